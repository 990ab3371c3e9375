"""
Compare time and memory of a path with the same fits one by one.

    python examples/benchmarks/path.py                                  # 16 etas, CPU
    python examples/benchmarks/path.py --device cuda --etas 32 --seeds 4 --epochs 50

The data are Adult, the network is the default one, and etas range from 0.1 to 100. Three ways are
compared on the same cores: the path; single fits one after another; single fits in one process per
core, each with one thread. On a CPU, the path continues each network from the one before it. On a
GPU, the path trains networks side by side. The ways take turns, and ratios use the lowest time of
each. Single fits are timed for some etas (`--sample`) and scaled up. Peak memory is measured in a
process that only loads the data and fits the path. The script takes a few minutes on two cores.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from adult_features import adult_features
from joblib import Parallel, delayed
from sklearn.base import clone

from fairbinn_sklearn import FairBiNNClassifier, fairness_path

RESULTS = Path(__file__).parents[2] / "docs/results/path.csv"


def fit_alone(classifier, data, threads):
    """Fit one classifier with the args number of threads."""
    torch.set_num_threads(threads)
    X, y, sex = data
    return classifier.fit(X, y, sensitive_features=sex)


def timed(function):
    """Return the wall time of a call in seconds."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    """Time the three ways in turns; print and save the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--etas", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--sample", type=int, default=3, help="number of single fits to time")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--memory", action="store_true", help="fit the path once and print its memory"
    )
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)

    X, y, sex = data = adult_features()[:3]
    etas = np.geomspace(0.1, 100, args.etas)
    estimator = FairBiNNClassifier(max_epochs=args.epochs, device=args.device, random_state=0)

    def path():
        torch.set_num_threads(cores)
        fairness_path(X, y, sex, etas=etas, seeds=range(args.seeds), estimator=estimator)

    if args.memory:
        path()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return

    sample = np.linspace(0, args.etas - 1, args.sample).astype(int)
    classifiers = [clone(estimator).set_params(eta=etas[i]) for i in sample]
    scale = args.etas * args.seeds / len(classifiers)
    ways = {
        "path": (path, 1.0),
        "single fits, one after another": (
            lambda: [fit_alone(clone(clf), data, cores) for clf in classifiers],
            scale,
        ),
    }
    if args.device == "cpu":
        pool = Parallel(n_jobs=cores)
        ways[f"single fits, {cores} processes"] = (
            lambda: pool(delayed(fit_alone)(clone(clf), data, 1) for clf in classifiers),
            scale,
        )
    for function, _ in ways.values():
        function()  # warm-up: starts processes, loads kernels
    seconds = {name: [] for name in ways}
    for _ in range(args.repeat):
        for name, (function, factor) in ways.items():
            seconds[name].append(factor * timed(function))
    table = pd.DataFrame(
        {
            "way": list(seconds),
            "seconds": [min(times) for times in seconds.values()],
        }
    )
    table["path / way"] = table["seconds"][0] / table["seconds"]
    command = [sys.executable, __file__, *sys.argv[1:], "--memory"]
    memory = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    table.insert(0, "settings", f"{args.etas} etas, {args.seeds} seeds, {args.epochs} epochs")
    table.insert(1, "device", args.device)
    table["peak MB"] = [float(memory), *[np.nan] * (len(table) - 1)]
    print(table.round(3).to_string(index=False))
    earlier = [pd.read_csv(RESULTS)] if RESULTS.exists() else []
    combined = pd.concat([*earlier, table]).drop_duplicates(
        ["settings", "device", "way"], keep="last"
    )
    combined.round(3).to_csv(RESULTS, index=False)


if __name__ == "__main__":
    main()
