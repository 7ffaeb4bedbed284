"""Measures the HNSW index against hnswlib: the same vectors, one thread each, in turns.

    python -m venv env && env/bin/pip install hnswlib==0.8.0 numpy
    cargo build --release -p tollgate-estimators --example hnsw_against_hnswlib
    env/bin/python hnsw_against_hnswlib.py target/release/examples/hnsw_against_hnswlib [DATA ...]

DATA: c20k, t20k, c100k, near, near01, copies. Build in seconds, median query in microseconds,
recall of the five nearest (a row as similar as the fifth counts, up to 1e-9), the ratios of
the medians of the rounds.
"""

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
    start = time.perf_counter()
    index.add_items(rows, num_threads=1)
    build = time.perf_counter() - start
    index.set_ef(50)
    for _ in range(2):
        times, found = [], []
        for query in queries:
            start = time.perf_counter()
            labels, _ = index.knn_query(query, k=K, num_threads=1)
            times.append(time.perf_counter() - start)
            found.append(labels[0].tolist())
    return build, statistics.median(times) * 1e6, found


def ours(program, rows, queries):
    with tempfile.NamedTemporaryFile() as a, tempfile.NamedTemporaryFile() as b:
        rows.tofile(a.name)
        queries.tofile(b.name)
        command = [program, a.name, b.name, str(DIM)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found = [[int(row) for row in line.split()] for line in lines[2:]]
    return float(lines[0]), float(lines[1].split()[0]), found


def main():
    program, *names = sys.argv[1:]
    for name in names or ["c20k", "t20k", "c100k", "near", "near01", "copies"]:
        rows, queries = data(name)
        rounds = []
        for _ in range(ROUNDS):
            rounds.append((theirs(rows, queries), ours(program, rows, queries)))
        middle = lambda side, what: statistics.median(round[side][what] for round in rounds)
        for side, label in enumerate(["hnswlib", "tollgate"]):
            share = recall(rows, queries, rounds[0][side][2])
            print(f"{name:7} {label:9} build {middle(side, 0):7.2f} s  query {middle(side, 1):6.1f} us  recall {share:.4f}")
        build, query = (middle(1, what) / middle(0, what) for what in (0, 1))
        print(f"{name:7} ratio     build {build:7.2f}    query {query:6.2f}", flush=True)


main()
