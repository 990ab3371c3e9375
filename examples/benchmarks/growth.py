"""
Measure time and memory of a fit by samples, features, groups, width and depth.

    python examples/benchmarks/growth.py

Synthetic samples, one thread. Each size runs in a separate process, which fits twice and reports
the shorter time: CPU seconds per epoch, including checks and the predictions at the end. Memory is
the peak of the process's anonymous memory during the first of these fits, less the memory after
loading the data and fitting a few samples. Exponents are slopes of a straight line through the
logarithms of size and time, over the second half of each range and one size before it. Linux only.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from larger_than_memory import PeakMemory

RESULTS = Path(__file__).parents[2] / "docs/results"
BASE = {"samples": 30_000, "features": 100, "groups": 2, "width": 128, "depth": 2}
SIZES = {
    "samples": (1_000, 10_000, 100_000, 1_000_000, 10_000_000),
    "features": (10, 50, 200, 1_000, 2_000),
    "groups": (2, 10, 50, 100, 200),
    "width": (16, 64, 256, 1024),
    "depth": (1, 2, 4, 8),
}
# Fewer features, because ten million samples of 100 features would take 4 GB.
FIXED = {"samples": {"features": 20}}


def make_data(size):
    """Return synthetic samples, labels and groups."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((size["samples"], size["features"]), dtype=np.float32)
    codes = rng.integers(size["groups"], size=size["samples"], dtype=np.int16)
    X[:, 0] += codes / size["groups"]
    y = X[:, :5].sum(1) > rng.standard_normal(size["samples"], dtype=np.float32)
    names = [f"group {code}" for code in range(size["groups"])]
    return X, y, pd.Series(pd.Categorical.from_codes(codes, names))


def measure(size):
    """Return CPU seconds per epoch and MB of memory."""
    import torch

    from fairbinn_sklearn import FairBiNNClassifier

    torch.set_num_threads(1)
    clf = FairBiNNClassifier(
        hidden_layer_sizes=(size["width"],) * size["depth"],
        max_epochs=1,
        batch_size=256,
        device="cpu",
        random_state=0,
    )

    def fit(X, y, group):
        clf.fit(X, y, sensitive_features=group)

    fit(*make_data({**size, "samples": 600}))
    X, y, group = make_data(size)
    watch, times = PeakMemory(), []
    watch.start()
    for _ in range(2):
        start = time.process_time()
        fit(X, y, group)
        times.append(time.process_time() - start)
        if len(times) == 1:
            megabytes = watch.stop()[0]
    return {"seconds": min(times), "MB": megabytes}


def exponent(sizes, times):
    """Return the exponent of the growth."""
    tail = slice(len(sizes) // 2 - 1 if len(sizes) > 4 else 1, None)
    return np.polyfit(np.log(sizes[tail]), np.log(times[tail]), 1)[0]


def draw(table, exponents):
    """Draw seconds and memory against each size, with both axes logarithmic."""
    fig, axes = plt.subplots(2, 3, figsize=(11, 6.5), layout="constrained")
    axes.flat[-1].remove()
    for ax, (name, rows) in zip(axes.flat, table.groupby("varied", sort=False), strict=False):
        ax.loglog(rows[name], rows["seconds"], "o-", color="C0", label="CPU seconds per epoch")
        ax.loglog(rows[name], rows["MB"].clip(lower=1), "s--", color="C1", label="MB")
        ax.set(xlabel=name, title=f"exponent of time: {exponents[name]:.2f}")
        ax.set_xticks(rows[name], [f"{value:g}" for value in rows[name]])
        ax.minorticks_off()
        ax.grid(alpha=0.3)
    axes.flat[0].legend()
    fig.savefig(RESULTS / "growth.png", dpi=110)


def main():
    """Run one process per size; print and optionally save table, exponents and figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--vary", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--size", type=json.loads, help="fit one size and print the result as JSON")
    parser.add_argument("--save", action="store_true", help="write table and figure for the docs")
    args = parser.parse_args()
    if args.size:
        print(json.dumps(measure(args.size)))
        return
    rows = []
    for name in args.vary:
        for value in SIZES[name]:
            size = {**BASE, **FIXED.get(name, {}), name: value}
            process = subprocess.run(
                [sys.executable, "-W", "ignore", __file__, "--size", json.dumps(size)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            rows.append({"varied": name, **size, **json.loads(process.stdout)})
            print(
                f"{name} {value}: {rows[-1]['seconds']:.3f} s, {rows[-1]['MB']:.0f} MB", flush=True
            )
    table = pd.DataFrame(rows)
    exponents = {
        name: exponent(part[name].to_numpy(), part["seconds"].to_numpy())
        for name, part in table.groupby("varied", sort=False)
    }
    print({name: round(value, 3) for name, value in exponents.items()})
    if args.save:
        table["exponent of seconds"] = table["varied"].map(exponents)
        table.round(3).to_csv(RESULTS / "growth.csv", index=False)
        draw(table, exponents)


if __name__ == "__main__":
    main()
