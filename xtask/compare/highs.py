"""Solves one budgeted routing program with HiGHS and Clarabel, for comparison.

Makes an instance in the manner of RouterBench (11 models with its published mean scores
and costs, 60 latent topics, Bernoulli scores, log-normal costs, estimates like means of
five neighbours), writes it to --out as raw little-endian doubles, solves it with scipy's
default method three times, with Clarabel once where it is installed, and prints one JSON
line: least seconds of each, value.

The draws and their order are those of the instance that the published comparisons of
this project speak of (numpy's default generator, seed 5). With --ties only 60 of the
queries are kept and repeated.
"""
import argparse
import json
import time

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_matrix, identity, vstack

COST = np.array([7.27031551e-05, 2.31895898e-04, 2.13621678e-03, 2.41047998e-03, 2.42202363e-04,
                 3.28095445e-03, 1.71426650e-04, 2.01902332e-04, 4.55752123e-05, 1.34171861e-04,
                 1.84926716e-04])
SCORE = np.array([0.43214326, 0.59844322, 0.63064309, 0.63556818, 0.6165698, 0.78112239,
                  0.20256822, 0.32848247, 0.30845001, 0.54979054, 0.64783749])


def instance(n, seed, ties, topics=60):
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
    if ties:
        repeat = np.resize(np.arange(60), n)
        score, cost, true_cost = score[repeat], cost[repeat], true_cost[repeat]
    share = np.sqrt(SCORE / COST)
    budget = share / share.sum() * true_cost.sum(axis=0).min()
    return score, cost, budget


def constraints(score, cost, budget):
    n, m = score.shape
    query = np.repeat(np.arange(n), m)
    row = np.concatenate([query, n + np.tile(np.arange(m), n)])
    column = np.tile(np.arange(n * m), 2)
    values = np.concatenate([np.ones(n * m), cost.ravel()])
    matrix = coo_matrix((values, (row, column)), shape=(n + m, n * m))
    return matrix, np.concatenate([np.ones(n), budget])


def highs(score, cost, budget):
    matrix, bounds = constraints(score, cost, budget)
    matrix = matrix.tocsr()
    start = time.perf_counter()
    result = linprog(-score.ravel(), A_ub=matrix, b_ub=bounds, bounds=(0, 1), method="highs")
    return time.perf_counter() - start, -result.fun


def clarabel(score, cost, budget):
    """Seconds and value of an interior point method; None where it is not installed."""
    try:
        import clarabel as package
    except ImportError:
        return None
    matrix, bounds = constraints(score, cost, budget)
    size = score.size
    everything = vstack([matrix, -identity(size)]).tocsc()
    right = np.concatenate([bounds, np.zeros(size)])
    settings = package.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_rel = settings.tol_gap_abs = settings.tol_feas = 1e-9
    start = time.perf_counter()
    quadratic = coo_matrix((size, size)).tocsc()
    solver = package.DefaultSolver(quadratic, -score.ravel(), everything, right,
                                   [package.NonnegativeConeT(len(right))], settings)
    solution = solver.solve()
    return time.perf_counter() - start, -solution.obj_val


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--ties", action="store_true")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    score, cost, budget = instance(args.queries, args.seed, args.ties)
    np.concatenate([score.ravel(), cost.ravel(), budget]).astype("<f8").tofile(args.out)
    runs = [highs(score, cost, budget) for _ in range(3)]
    seconds, value = min(seconds for seconds, _ in runs), runs[0][1]
    line = {"queries": args.queries, "models": len(budget), "seconds": seconds, "value": value}
    inner = clarabel(score, cost, budget)
    if inner is not None:
        line["clarabel_seconds"], line["clarabel_value"] = inner
    print(json.dumps(line))


if __name__ == "__main__":
    main()
