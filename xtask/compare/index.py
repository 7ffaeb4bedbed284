"""hnswlib and faiss on the points that `cargo xtask bench index --compare` hands over.

Answers commands, one JSON object a line on stdin and stdout, so that both sides can take
turns in one run; one thread each, and builds in processor time. Every call from Python is
timed by itself, which is how these libraries are used one query at a time; what such a call
takes on an index of eight rows is in the note.
"""
import json
import statistics
import sys
import time

import numpy as np

try:
    import faiss
except ImportError:
    faiss = None
try:
    import hnswlib
except ImportError:
    hnswlib = None

LINKS, BUILD_BEAM, QUERY_BEAM = 32, 200, 50


class Hnswlib:
    def __init__(self, rows):
        self.index = hnswlib.Index(space="cosine", dim=rows.shape[1])
        self.index.init_index(len(rows), M=LINKS, ef_construction=BUILD_BEAM, random_seed=1)
        self.index.set_num_threads(1)
        self.index.add_items(rows, num_threads=1)
        self.index.set_ef(QUERY_BEAM)

    def bytes(self):
        return self.index.index_file_size()

    def search(self, queries, k):
        return self.index.knn_query(queries, k=k, num_threads=1)[0]


class Faiss:
    def __init__(self, rows):
        self.index = self.make(rows.shape[1])
        self.index.add(rows)

    def bytes(self):
        return faiss.serialize_index(self.index).nbytes

    def search(self, queries, k):
        return self.index.search(queries, k)[1]


class Flat(Faiss):
    def make(self, dim):
        return faiss.IndexFlatIP(dim)


class Graph(Faiss):
    def make(self, dim):
        index = faiss.IndexHNSWFlat(dim, LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction, index.hnsw.efSearch = BUILD_BEAM, QUERY_BEAM
        return index


# Name: the index, and whether it takes the queries of a turn all at once.
KINDS = {}
if hnswlib:
    KINDS["hnswlib"] = (Hnswlib, False)
if faiss:
    faiss.omp_set_num_threads(1)
    KINDS |= {"faiss flat": (Flat, False), "faiss flat, 256": (Flat, True), "faiss hnsw": (Graph, False)}


def timed(index, queries, k):
    start = time.perf_counter()
    found = index.search(queries, k)
    return time.perf_counter() - start, found


def hello():
    versions, calls = [], []
    rows = np.eye(8, 384, dtype=np.float32)
    for module, name in [(hnswlib, "hnswlib"), (faiss, "faiss flat")]:
        if module:
            index = KINDS[name][0](rows)
            call = statistics.median(timed(index, rows[:1], 5)[0] for _ in range(500))
            versions.append(f"{module.__name__} {getattr(module, '__version__', '')}".strip())
            calls.append(f"{call * 1e6:.1f} us of {module.__name__}")
    note = f"{', '.join(versions)}, M = {LINKS}, efC = {BUILD_BEAM}, ef = {QUERY_BEAM}; " \
           f"a call from Python takes {' and '.join(calls)} (their one-query times have it in)"
    return {"offers": list(KINDS), "note": note}


def search(index, batched, queries, k, turn):
    if batched:
        seconds, found = timed(index, queries, k)
        return [seconds / len(queries) * 1e6] * len(queries), found.tolist()
    micros, rows, begun = [], [], time.perf_counter()
    for at in range(len(queries)):
        seconds, found = timed(index, queries[at:at + 1], k)
        micros.append(seconds * 1e6)
        rows.append(found[0].tolist())
        if time.perf_counter() - begun > turn:
            break
    return micros, rows


def main():
    rows = queries = None
    built = {}
    for line in sys.stdin:
        command = json.loads(line)
        answer = {}
        if command["do"] == "hello":
            answer = hello()
        elif command["do"] == "load":
            read = lambda name: np.fromfile(command[name], dtype="<f4").reshape(-1, command["dim"])
            built, rows, queries = {}, read("rows"), read("queries")
        elif command["do"] == "build":
            built.pop(command["index"], None)
            kind, _ = KINDS[command["index"]]
            start = time.thread_time()
            index = kind(rows)
            answer = {"seconds": time.thread_time() - start}
            answer["bytes"] = int(index.bytes())
            built[command["index"]] = index
        elif command["do"] == "search":
            name = command["index"]
            block = queries[command["from"]:command["to"]]
            micros, found = search(built[name], KINDS[name][1], block, command["k"], command["turn"])
            answer = {"micros": micros, "found": found}
        print(json.dumps(answer), flush=True)


main()
