"""Measures the HNSW index against hnswlib: the same vectors, one thread each, in turns.

    python -m venv env && env/bin/pip install hnswlib==0.8.0 numpy
    cargo build --release -p tollgate-estimators --example hnsw_against_hnswlib
    env/bin/python hnsw_against_hnswlib.py target/release/examples/hnsw_against_hnswlib [DATA ...]

DATA: c20k, t20k, c100k, near, near01, copies. Prints a JSON object a line, one a measure: its
name and unit, hnswlib's figure, ours with the widest instructions and with AVX2 at most, and
the ratios to hnswlib's. Times are medians over the rounds of: the seconds of a build, by the
clock and of the processor; the median, mean and 99th percentile of a query in microseconds.
Recall is that of the five nearest; a row as similar as the fifth counts, up to 1e-9.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import hnswlib
import numpy as np

DIM, K, N_QUERIES, ROUNDS = 384, 5, 1000, 3


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def data(name):
    rng = np.random.default_rng(1)
    spectrum = np.arange(1, DIM + 1) ** -0.5

    def clusters(n, spread, sizes=None):
        centers = unit(rng.normal(size=(200, DIM)) * spectrum)
        rows = rng.integers(0, 200, n)
        noise = rng.normal(size=(n, DIM)) * spectrum / np.linalg.norm(spectrum)
        return unit(centers[rows] + spread * noise)

    def balls(spread):
        centers = unit(rng.normal(size=(50, DIM)))
        noise = lambda n: rng.normal(size=(n, DIM)) / DIM**0.5
        rows = unit(np.repeat(centers, 100, axis=0) + spread * noise(5000))
        return rows, unit(centers[rng.integers(0, 50, 300)] + spread * noise(300))

    if name == "near":
        return balls(0.05)
    if name == "near01":
        return balls(0.01)
    if name == "copies":
        ten = unit(rng.normal(size=(10, DIM)))
        return np.repeat(ten, 500, axis=0), unit(ten[rng.integers(0, 10, 300)] + 0.01 * rng.normal(size=(300, DIM)))
    n, spread = {"c20k": (20_000, 1.0), "t20k": (20_000, 0.3), "c100k": (100_000, 1.0)}[name]
    x = clusters(n + N_QUERIES, spread)
    return x[:n], x[n:]


def recall(rows, queries, found):
    hits = 0
    rows = rows.astype(np.float64)
    for query, ours in zip(queries, found):
        similarity = rows @ query.astype(np.float64)
        fifth = np.partition(similarity, -K)[-K]
        hits += sum(similarity[row] >= fifth - 1e-9 for row in set(ours))
    return hits / (K * len(queries))


def theirs(rows, queries):
    index = hnswlib.Index(space="cosine", dim=DIM)
    index.init_index(max_elements=len(rows), M=32, ef_construction=200, random_seed=1)
    index.set_num_threads(1)
    start, processor = time.perf_counter(), time.process_time()
    index.add_items(rows, num_threads=1)
    build, processor = time.perf_counter() - start, time.process_time() - processor
    index.set_ef(50)
    for _ in range(2):
        times, found = [], []
        for query in queries:
            start = time.perf_counter()
            labels, _ = index.knn_query(query, k=K, num_threads=1)
            times.append((time.perf_counter() - start) * 1e6)
            found.append(labels[0].tolist())
    return {
        "build": build,
        "build_processor": processor,
        "median": statistics.median(times),
        "mean": statistics.mean(times),
        "high": sorted(times)[len(times) * 99 // 100],
        "found": found,
    }


def ours(program, rows, queries, *level):
    with tempfile.NamedTemporaryFile() as a, tempfile.NamedTemporaryFile() as b:
        rows.tofile(a.name)
        queries.tofile(b.name)
        command = [program, a.name, b.name, str(DIM), *level]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


MEASURES = [
    ("build", "build", "s"),
    ("build, processor", "build_processor", "s"),
    ("query, median", "median", "us"),
    ("query, mean", "mean", "us"),
    ("query, 99th percentile", "high", "us"),
    ("query of the mapped file, median", "opened_median", "us"),
    ("save", "save", "s"),
    ("load", "load", "s"),
    ("open", "open", "s"),
]


def main():
    program, *names = sys.argv[1:]
    for name in names or ["c20k", "t20k", "c100k", "near", "near01", "copies"]:
        rows, queries = data(name)
        rounds = []
        for _ in range(ROUNDS):
            rounds.append(
                {
                    "hnswlib": theirs(rows, queries),
                    "widest": ours(program, rows, queries),
                    "avx2": ours(program, rows, queries, "avx2"),
                }
            )
        sides = rounds[0].keys()
        share = {side: recall(rows, queries, rounds[0][side]["found"]) for side in sides}
        print(json.dumps({"data": name, "measure": "recall", **share}), flush=True)
        for measure, key, unit in MEASURES:
            line = {"data": name, "measure": measure, "unit": unit, "rounds": ROUNDS}
            for side in sides:
                times = [times[side][key] for times in rounds if key in times[side]]
                if times:
                    line[side] = round(statistics.median(times), 4)
            if "hnswlib" in line:
                for side in ["widest", "avx2"]:
                    line[f"{side}/hnswlib"] = round(line[side] / line["hnswlib"], 3)
            print(json.dumps({**line, "load": os.getloadavg()[0]}), flush=True)


main()
