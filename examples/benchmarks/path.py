"""
Time and memory of the whole curve in one pass, against the same fits one by one.

    python examples/benchmarks/path.py                                  # 16 etas, CPU
    python examples/benchmarks/path.py --device cuda --etas 32 --seeds 4 --epochs 50

Adult, default net, etas from 0.1 to 100; an eta of 0 is a single fit in any case. Three ways on the
same cores: the path; single fits one after another, each with all threads; single fits in as many
processes as there are cores, each with one thread. Ratios are of the lowest times of each way, the
ways taking turns. Single fits are timed for some etas (`--sample`) and scaled up. Peak memory is
that of a process which does nothing but load the data and fit the path. Some minutes on two cores.
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
    """One fit with so many threads."""
    torch.set_num_threads(threads)
    X, y, sex = data
    return classifier.fit(X, y, sensitive_features=sex)


def timed(function):
    """Seconds of a call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    """Time the three ways in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--etas", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--sample", type=int, default=3, help="single fits that are timed")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="fit the path once, tell its memory")
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)

    X, y, sex = data = adult_features()[:3]
    etas = np.geomspace(0.1, 100, given.etas)
    settings = FairBiNNClassifier(max_epochs=given.epochs, device=given.device, random_state=0)

    def path():
        torch.set_num_threads(cores)
        fairness_path(X, y, sex, etas=etas, seeds=range(given.seeds), estimator=settings)

    if given.memory:
        path()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return

    picked = np.linspace(0, given.etas - 1, given.sample).astype(int)
    alone = [clone(settings).set_params(eta=etas[i]) for i in picked]
    scale = given.etas * given.seeds / len(alone)
    ways = {
        "path": (path, 1.0),
        "single fits, one after another": (
            lambda: [fit_alone(clone(one), data, cores) for one in alone],
            scale,
        ),
    }
    if given.device == "cpu":
        pool = Parallel(n_jobs=cores)
        ways[f"single fits, {cores} processes"] = (
            lambda: pool(delayed(fit_alone)(clone(one), data, 1) for one in alone),
            scale,
        )
    for function, _ in ways.values():
        function()  # what is done once: processes, kernels
    seconds = {name: [] for name in ways}
    for _ in range(given.repeat):
        for name, (function, factor) in ways.items():
            seconds[name].append(factor * timed(function))
    table = pd.DataFrame(
        {
            "way": list(seconds),
            "seconds": [min(one) for one in seconds.values()],
        }
    )
    table["path / way"] = table["seconds"][0] / table["seconds"]
    command = [sys.executable, __file__, *sys.argv[1:], "--memory"]
    memory = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    table.insert(0, "settings", f"{given.etas} etas, {given.seeds} seeds, {given.epochs} epochs")
    table.insert(1, "device", given.device)
    table["peak MB"] = [float(memory), *[np.nan] * (len(table) - 1)]
    print(table.round(3).to_string(index=False))
    before = [pd.read_csv(RESULTS)] if RESULTS.exists() else []
    everything = pd.concat([*before, table]).drop_duplicates(
        ["settings", "device", "way"], keep="last"
    )
    everything.round(3).to_csv(RESULTS, index=False)


if __name__ == "__main__":
    main()
