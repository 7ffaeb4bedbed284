"""Writes fixtures/golden/port_<stream>.toml: what the published PORT code does on real streams.

    python3 xtask/compare/golden.py DATA [--out fixtures/golden]

DATA holds golden/port_<stream>.json and golden/port_<stream>.parquet, recorded by running
the published code (fzwark/PORT at c1774fe) unmodified, with exact neighbors. This script
runs nothing of tollgate's: it copies numbers, and cuts an excerpt that is small enough to
be kept beside the tests.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

STREAMS = ["routerbench", "zeroeval", "routellm"]
# Decisions in the excerpt, counted from the first one that follows the learning prefix.
DECISIONS = 60
# The run whose prefix and decisions the excerpt holds.
EXCERPT = "0.025"

HEADER = """\
# PORT as published, on {dataset}: {n_stream} arrivals, {n_history} prompts of history, {n_models} models.
#
# Source: the published code (fzwark/PORT at c1774fe), run unmodified with exact neighbors,
# k = 5, seed 42, the weighted split, and the cheapest model's cost on the stream as budget.
# Written by xtask/compare/golden.py; not to be edited by hand.
#
# Tolerances: decisions, served queries and Performance are exact; Cost to 1e-9 relative
# (another order of summation); our minimum of the objective is at most (1 + 1e-7) times the
# one given here, which is the published optimizer's, evaluated partly in single precision
# (the same prices give it again to 1e-7); linear programs to 1e-9 relative. The published
# code rounds alpha and the prices to single precision.
"""


def number(value):
    """A float that reads back as the same float."""
    text = repr(float(value))
    return text if any(c in text for c in ".e") else text + ".0"


def numbers(values):
    return "[" + ", ".join(number(value) for value in values) + "]"


def integers(values):
    return "[" + ", ".join(str(int(value)) for value in values) + "]"


def table(name, rows):
    return f"{name} = [\n" + "".join(f"    {numbers(row)},\n" for row in rows) + "]"


def section(name, keys, entry):
    lines = [f"[{name}]"]
    for key in keys:
        value = entry[key]
        lines.append(f"{key} = {int(value) if key == 'served' else number(value)}")
    return "\n".join(lines)


def run(eps, entry):
    return "\n".join([
        "[[runs]]",
        f"eps = {number(eps)}",
        f"learn = {int(entry['learn'])}",
        f"gamma = {numbers(entry['gamma'])}",
        f"objective = {number(entry['objective'])}",
        f"performance = {number(entry['performance'])}",
        f"cost = {number(entry['cost'])}",
        f"served = {int(entry['served'])}",
    ])


def excerpt(golden, columns):
    models = golden["models"]
    learn = golden["runs"][EXCERPT]["learn"]
    rows = slice(0, learn + DECISIONS)
    quality = np.stack([columns[model] for model in models], axis=1)[rows]
    cost = np.stack([columns[model + "|total_cost"] for model in models], axis=1)[rows]
    choice = columns[f"choice_eps{EXCERPT}"][learn:learn + DECISIONS]
    return "\n".join([
        f"# The first {learn + DECISIONS} arrivals: estimates, one row an arrival, of the {learn} that prices",
        f"# are learned from and of {len(choice)} more, and the choices for the latter.",
        "[excerpt]",
        f"eps = {EXCERPT}",
        f"choice = {integers(choice)}",
        table("quality", quality),
        table("cost", cost),
    ])


def render(golden, columns):
    lp = ["lp_value", "performance", "cost", "served"]
    counts = {"n_models": len(golden["models"]), **golden}
    top = [
        f"stream = {json.dumps(golden['dataset'])}",
        f"seed = {golden['seed']}",
        f"k = {golden['k']}",
        f"n_stream = {golden['n_stream']}",
        f"n_history = {golden['n_history']}",
        f"alpha = {number(golden['alpha'])}",
        "models = [\n" + "".join(f"    {json.dumps(model)},\n" for model in golden["models"]) + "]",
        f"budgets = {numbers(golden['budgets'])}",
    ]
    parts = ["\n".join(top)]
    parts += [run(eps, entry) for eps, entry in golden["runs"].items()]
    parts += [section(name, lp, golden[name]) for name in ("approx_optimum", "optimum")]
    parts += [section(name, ["performance", "cost"], golden[name])
              for name in ("greedy_perf", "greedy_cost")]
    parts.append(excerpt(golden, columns))
    return HEADER.format(**counts) + "\n" + "\n\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "fixtures/golden")
    args = parser.parse_args()
    for stream in STREAMS:
        source = args.data / "golden" / f"port_{stream}"
        golden = json.loads(source.with_suffix(".json").read_text())
        recorded = pq.read_table(source.with_suffix(".parquet"))
        columns = {name: recorded[name].to_numpy() for name in recorded.column_names}
        text = render(golden, columns)
        path = args.out / f"port_{stream}.toml"
        path.write_text(text)
        print(f"{path}: {len(text)} bytes")


if __name__ == "__main__":
    main()
