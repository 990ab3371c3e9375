"""Time of the bilevel against the Lagrangian net, by rows, width and depth.

    python examples/paper/cost.py

The paper has 0.62 against 0.60 seconds an epoch on Adult, 1.03 against 1.05 on Heritage Health, on
the CPU of an Apple M1 Pro. Made-up rows here, one thread, each size in a process of its own; the
figures are CPU seconds an epoch, and the ratio of the two, which is what carries over to other
machines. Memory, and longer ranges, are in ``examples/benchmarks/growth.py``.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import torch
from common import RESULTS

from fairbinn_sklearn import FairBiNNClassifier

BASE = {"rows": 30_000, "columns": 100, "width": 128, "depth": 2}
SIZES = {
    "rows": (1_000, 10_000, 100_000, 1_000_000),
    "width": (32, 128, 512),
    "depth": (1, 2, 4, 8),
}


def fit(size):
    """CPU seconds an epoch for both rules, in turns."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(size["rows"], size["columns"])).astype(np.float32)
    group = rng.integers(2, size=size["rows"])
    y = (X[:, 0] + group + rng.normal(size=size["rows"]) > 0.5).astype(int)
    epochs = 1 if size["rows"] > 100_000 else 3
    seconds = {"bilevel": [], "lagrangian": []}
    for _ in range(1 if epochs == 1 else 3):
        for method, times in seconds.items():
            clf = FairBiNNClassifier(
                method=method,
                hidden_layer_sizes=(size["width"],) * size["depth"],
                max_epochs=epochs,
                batch_size=100,
                device="cpu",
                random_state=0,
            )
            start = time.process_time()
            clf.fit(X, y, sensitive_features=group)
            times.append((time.process_time() - start) / epochs)
    figures = {method: min(times) for method, times in seconds.items()}
    figures["ratio"] = figures["bilevel"] / figures["lagrangian"]
    return figures


def main():
    """One process a size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=json.loads, help="fit one size, and tell as JSON")
    given = parser.parse_args()
    if given.size:
        print(json.dumps(fit(given.size)))
        return
    rows = []
    for name, values in SIZES.items():
        for value in values:
            size = {**BASE, name: value}
            done = subprocess.run(
                [sys.executable, "-W", "ignore", __file__, "--size", json.dumps(size)],
                capture_output=True,
                text=True,
                check=True,
            )
            rows.append({"varied": name, **size, **json.loads(done.stdout)})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows).round(3)
    print(table.to_string(index=False))
    table.to_csv(RESULTS / "paper_cost.csv", index=False)


if __name__ == "__main__":
    main()
