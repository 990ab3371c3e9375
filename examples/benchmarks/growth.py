"""
Time and memory of a fit against rows, columns, groups, width, depth, and etas of a path.

    python examples/benchmarks/growth.py

Made-up rows, one thread, each size a process of its own, which fits twice and takes the shorter
time: CPU seconds an epoch, checks and predictions at the end included. Memory is the highest of the
process's own during the first of these fits, less what it had with the data loaded and after a fit
of a few rows. Slopes are those of a straight line through the logarithms of size and figure, over
the sizes of the second half of each range and one before. Linux only.
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
from larger_than_memory import Watch

RESULTS = Path(__file__).parents[2] / "docs/results"
BASE = {"rows": 30_000, "columns": 100, "groups": 2, "width": 128, "depth": 2, "etas": 1}
SIZES = {
    "rows": (1_000, 10_000, 100_000, 1_000_000, 10_000_000),
    "columns": (10, 50, 200, 1_000, 2_000),
    "groups": (2, 10, 50, 100, 200),
    "width": (16, 64, 256, 1024),
    "depth": (1, 2, 4, 8),
    "etas": (1, 2, 4, 8, 16, 32),
}
# Ten million rows of 100 columns would be 4 GB.
FIXED = {"rows": {"columns": 20}}


def made_up(size):
    """Rows, labels and groups."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((size["rows"], size["columns"]), dtype=np.float32)
    group = rng.integers(size["groups"], size=size["rows"], dtype=np.int16)
    X[:, 0] += group / size["groups"]
    y = X[:, :5].sum(1) > rng.standard_normal(size["rows"], dtype=np.float32)
    return X, y, group


def measure(size):
    """CPU seconds an epoch and MB of memory."""
    import torch

    from fairbinn_sklearn import FairBiNNClassifier, fairness_path

    torch.set_num_threads(1)
    settings = {"max_epochs": 1, "batch_size": 256, "device": "cpu", "random_state": 0}
    settings |= {"hidden_layer_sizes": (size["width"],) * size["depth"], "max_groups": 200}
    clf = FairBiNNClassifier(**settings)

    def fit(X, y, group):
        if size["etas"] == 1:
            clf.fit(X, y, sensitive_features=group)
        else:
            etas = np.geomspace(0.5, 50, size["etas"])
            fairness_path(X, y, group, etas=etas, estimator=clf)

    fit(*made_up({**size, "rows": 600}))
    X, y, group = made_up(size)
    watch, times = Watch(), []
    watch.start()
    for _ in range(2):
        start = time.process_time()
        fit(X, y, group)
        times.append(time.process_time() - start)
        if len(times) == 1:
            megabytes = watch.end()[0]
    return {"seconds": min(times), "MB": megabytes}


def slope(sizes, figures):
    """Exponent of the growth."""
    tail = slice(len(sizes) // 2 - 1 if len(sizes) > 4 else 1, None)
    return np.polyfit(np.log(sizes[tail]), np.log(figures[tail]), 1)[0]


def draw(table, slopes):
    """Seconds and memory against each size, with both axes logarithmic."""
    fig, axes = plt.subplots(2, 3, figsize=(11, 6.5), layout="constrained")
    for ax, (name, rows) in zip(axes.flat, table.groupby("varied", sort=False), strict=True):
        ax.loglog(rows[name], rows["seconds"], "o-", color="C0", label="CPU seconds an epoch")
        ax.loglog(rows[name], rows["MB"].clip(lower=1), "s--", color="C1", label="MB")
        ax.set(xlabel=name, title=f"time grows by the power of {slopes[name]:.2f}")
        ax.set_xticks(rows[name], [f"{value:g}" for value in rows[name]])
        ax.minorticks_off()
        ax.grid(alpha=0.3)
    axes.flat[0].legend()
    fig.savefig(RESULTS / "growth.png", dpi=110)


def main():
    """One process a size; table, slopes and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--vary", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--size", type=json.loads, help="fit one size, and tell as JSON")
    parser.add_argument("--save", action="store_true", help="write table and picture for the docs")
    given = parser.parse_args()
    if given.size:
        print(json.dumps(measure(given.size)))
        return
    rows = []
    for name in given.vary:
        for value in SIZES[name]:
            size = {**BASE, **FIXED.get(name, {}), name: value}
            done = subprocess.run(
                [sys.executable, "-W", "ignore", __file__, "--size", json.dumps(size)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            rows.append({"varied": name, **size, **json.loads(done.stdout)})
            print(
                f"{name} {value}: {rows[-1]['seconds']:.3f} s, {rows[-1]['MB']:.0f} MB", flush=True
            )
    table = pd.DataFrame(rows)
    slopes = {
        name: slope(part[name].to_numpy(), part["seconds"].to_numpy())
        for name, part in table.groupby("varied", sort=False)
    }
    print({name: round(one, 3) for name, one in slopes.items()})
    if given.save:
        table["slope of seconds"] = table["varied"].map(slopes)
        table.round(3).to_csv(RESULTS / "growth.csv", index=False)
        draw(table, slopes)


if __name__ == "__main__":
    main()
