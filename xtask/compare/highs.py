"""Solves one budgeted routing program with HiGHS, for comparison.

Makes an instance in the manner of RouterBench (11 models with its published mean scores
and costs, 60 latent topics, Bernoulli scores, log-normal costs, estimates like means of
five neighbours), writes it to --out as raw little-endian doubles, solves it with scipy's
default method three times and prints one JSON line: least seconds, value.

The draws and their order are those of the instance that the published comparisons of
this project speak of (numpy's default generator, seed 5).
"""
import argparse
import json
import time

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_matrix

COST = np.array([7.27031551e-05, 2.31895898e-04, 2.13621678e-03, 2.41047998e-03, 2.42202363e-04,
                 3.28095445e-03, 1.71426650e-04, 2.01902332e-04, 4.55752123e-05, 1.34171861e-04,
                 1.84926716e-04])
SCORE = np.array([0.43214326, 0.59844322, 0.63064309, 0.63556818, 0.6165698, 0.78112239,
                  0.20256822, 0.32848247, 0.30845001, 0.54979054, 0.64783749])


def instance(n, seed, topics=60):
    """Estimated scores and costs (n x 11) and one budget a model."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(7)
    m = len(COST)
    difficulty = fixed.normal(0, 1.3, size=topics)
    special = fixed.normal(0, 0.9, size=(topics, m))
    length = np.exp(fixed.normal(0, 0.6, size=topics))
    length /= length.mean()
    topic = rng.integers(0, topics, size=n)
    logit = np.log(SCORE / (1 - SCORE)) * 1.2 + difficulty[topic][:, None] + special[topic]
    chance = 1 / (1 + np.exp(-logit))
    rng.random((n, m))  # the true scores, not needed here
    mean_cost = COST * length[topic][:, None]
    true_cost = mean_cost * np.exp(rng.normal(0, 0.25, size=(n, m)))
    score = rng.binomial(5, chance) / 5.0
    cost = mean_cost * np.exp(rng.normal(0, 0.25 / np.sqrt(5), size=(n, m)))
    share = np.sqrt(SCORE / COST)
    budget = share / share.sum() * true_cost.sum(axis=0).min()
    return score, cost, budget


def solve(score, cost, budget):
    n, m = score.shape
    query = np.repeat(np.arange(n), m)
    row = np.concatenate([query, n + np.tile(np.arange(m), n)])
    column = np.tile(np.arange(n * m), 2)
    values = np.concatenate([np.ones(n * m), cost.ravel()])
    matrix = coo_matrix((values, (row, column)), shape=(n + m, n * m)).tocsr()
    start = time.perf_counter()
    result = linprog(-score.ravel(), A_ub=matrix, b_ub=np.concatenate([np.ones(n), budget]),
                     bounds=(0, 1), method="highs")
    return time.perf_counter() - start, -result.fun


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    score, cost, budget = instance(args.queries, args.seed)
    np.concatenate([score.ravel(), cost.ravel(), budget]).astype("<f8").tofile(args.out)
    runs = [solve(score, cost, budget) for _ in range(3)]
    seconds, value = min(seconds for seconds, _ in runs), runs[0][1]
    print(json.dumps({"queries": args.queries, "models": len(budget), "seconds": seconds, "value": value}))


if __name__ == "__main__":
    main()
