"""What the published router does for one query, for `cargo xtask bench route --compare`.

A restatement in numpy and hnswlib, as the published program is: the five nearest prompts of
the history by a graph (cosine, M = 32, efC = 200, ef = 50), the means of their scores and
costs for each model, and the model with the highest alpha * score - gamma * cost. Prices
are given; no budget is looked at, nothing is reserved and nothing is ever solved.

Answers commands, one JSON object a line on stdin and stdout; one thread. Queries come one at
a time, or a block at a time as the published runs have them: then the time of the block is
divided by its queries, and is the processor's, since a block takes too long to be left alone
by other programs.
"""
import json
import sys
import time
from importlib.metadata import version

import hnswlib
import numpy as np

LINKS, BUILD_BEAM, QUERY_BEAM, K = 32, 200, 50, 5
ALPHA = 1e-4


class Router:
    def __init__(self, embeddings, quality, cost):
        self.quality, self.cost = quality, cost
        # Where the published search for prices begins; any take as long.
        self.prices = np.full(quality.shape[1], 1 / quality.shape[1])
        self.index = hnswlib.Index(space="cosine", dim=embeddings.shape[1])
        self.index.init_index(len(embeddings), M=LINKS, ef_construction=BUILD_BEAM, random_seed=1)
        self.index.set_num_threads(1)
        self.index.add_items(embeddings, num_threads=1)
        self.index.set_ef(QUERY_BEAM)

    def route(self, queries, clock):
        """The model of each query, and the seconds of the search, the means and the choice."""
        start = clock()
        rows = self.index.knn_query(queries, k=K, num_threads=1)[0]
        found = clock()
        quality, cost = self.quality[rows].mean(axis=1), self.cost[rows].mean(axis=1)
        estimated = clock()
        models = np.argmax(ALPHA * quality - self.prices * cost, axis=1)
        return models, (found - start, estimated - found, clock() - estimated)


def turn(router, queries, block):
    """Microseconds a query of the search, the means and the choice; and the models."""
    micros, models = [], []
    clock = time.perf_counter if block == 1 else time.thread_time
    for first in range(0, len(queries), block):
        some = queries[first:first + block]
        chosen, seconds = router.route(some, clock)
        micros += [[part / len(some) * 1e6 for part in seconds]] * len(some)
        models += chosen.tolist()
    return {"micros": micros, "models": models}


def main():
    router = queries = None
    for line in sys.stdin:
        command = json.loads(line)
        answer = {}
        if command["do"] == "hello":
            answer = {"note": f"hnswlib {version('hnswlib')}, numpy {np.__version__}"}
        elif command["do"] == "build":
            read = lambda name, kind, width: np.fromfile(command[name], kind).reshape(-1, width)
            queries = read("queries", "<f4", command["dim"])
            labels = [read(name, "<f8", command["models"]) for name in ("quality", "cost")]
            router = Router(read("rows", "<f4", command["dim"]), *labels)
        elif command["do"] == "turn":
            answer = turn(router, queries, command["block"])
        print(json.dumps(answer), flush=True)


main()
