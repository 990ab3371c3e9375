"""Compare the time of the bilevel and the Lagrangian rule by samples, width and depth.

    python examples/paper/cost.py

The paper has 0.62 against 0.60 seconds per epoch on Adult and 1.03 against 1.05 on Heritage Health,
on the CPU of an Apple M1 Pro. Here the data are synthetic, with one thread and a separate process
for each size. The table has CPU seconds per epoch and their ratio; only the ratio is comparable
across machines. Memory and larger ranges are in ``examples/benchmarks/growth.py``.
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

BASE = {"samples": 30_000, "features": 100, "width": 128, "depth": 2}
SIZES = {
    "samples": (1_000, 10_000, 100_000, 1_000_000),
    "width": (32, 128, 512),
    "depth": (1, 2, 4, 8),
}


def fit(size):
    """Return CPU seconds per epoch of both rules, measured in turns."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(size["samples"], size["features"])).astype(np.float32)
    group = rng.integers(2, size=size["samples"])
    y = (X[:, 0] + group + rng.normal(size=size["samples"]) > 0.5).astype(int)
    epochs = 1 if size["samples"] > 100_000 else 3
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
    times = {method: min(values) for method, values in seconds.items()}
    return {**times, "ratio": times["bilevel"] / times["lagrangian"]}


def main():
    """Run one process per size; print and save the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=json.loads, help="fit one size and print the result as JSON")
    args = parser.parse_args()
    if args.size:
        print(json.dumps(fit(args.size)))
        return
    rows = []
    for name, values in SIZES.items():
        for value in values:
            size = {**BASE, name: value}
            process = subprocess.run(
                [sys.executable, "-W", "ignore", __file__, "--size", json.dumps(size)],
                capture_output=True,
                text=True,
                check=True,
            )
            rows.append({"varied": name, **size, **json.loads(process.stdout)})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows).round(3)
    print(table.to_string(index=False))
    table.to_csv(RESULTS / "paper_cost.csv", index=False)


if __name__ == "__main__":
    main()
