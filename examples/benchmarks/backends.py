"""Compare the backends of joblib on one search or path: time relative to loky, and equal scores.

Run ``python examples/benchmarks/backends.py``, optionally followed by some of loky, sequential,
threading, dask and ray. The script takes about six minutes on two CPU cores. The search has 8
values of eta and 5 folds on 6,000 of Adult's training samples, with 5 epochs per fit and 2 workers
of one thread ("sequential" is this process alone). ``--work path`` runs a path of the same values
for 6 seeds; the seeds are distributed to the workers. The first run of a backend starts its
workers, and later runs reuse them if the backend keeps them. Backends take turns. Ratios are
computed within each round, and their median, minimum and maximum are reported. ``--save FILE``
writes them as CSV.
"""

import argparse
import logging
import os
import time
from contextlib import ExitStack
from importlib.metadata import version

import joblib
import numpy as np
import pandas as pd
import sklearn
import torch
from adult_features import adult_features
from sklearn.model_selection import GridSearchCV

from fairbinn_sklearn import FairBiNNClassifier, fairness_path
from fairbinn_sklearn.metrics import best_under, fairness_scoring

ETAS, WORKERS = [0, 0.3, 1, 3, 5, 10, 15, 20], 2


def start_loky(stack):
    """Return the configuration of loky, scikit-learn's default: processes that joblib reuses."""
    return {"backend": "loky", "inner_max_num_threads": 1}


def start_sequential(stack):
    """Return the configuration without workers: this process only."""
    return {"backend": "sequential"}


def start_threading(stack):
    """Return the configuration with threads of this process."""
    return {"backend": "threading"}


def start_dask(stack):
    """Start a dask cluster on this machine; return the configuration."""
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=WORKERS,
        threads_per_worker=1,
        dashboard_address=None,
        silence_logs=logging.ERROR,
    )
    stack.enter_context(cluster)
    stack.enter_context(Client(cluster))
    return {"backend": "dask"}


def start_ray(stack):
    """Start a ray cluster on this machine; return the configuration."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray.util.joblib import register_ray

    ray.init(num_cpus=WORKERS, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    stack.callback(ray.shutdown)
    register_ray()
    return {"backend": "ray"}


# Name: function that starts the backend, its package, and the name of the package for pip.
BACKENDS = {
    "loky": (start_loky, "joblib", "joblib"),
    "sequential": (start_sequential, "joblib", "joblib"),
    "threading": (start_threading, "joblib", "joblib"),
    "dask": (start_dask, "distributed", "dask[distributed]"),
    "ray": (start_ray, "ray", "ray"),
}


def estimator():
    """Return the classifier that both kinds of work train."""
    return FairBiNNClassifier(lr=5e-3, max_epochs=5, batch_size=256, device="cpu", random_state=0)


def fit_path(X, y, sex):
    """Fit a path for 6 seeds; return the metrics."""
    path = fairness_path(
        *(X, y, sex), etas=ETAS, seeds=range(6), estimator=estimator(), n_jobs=WORKERS
    )
    table = path.to_frame()
    return {name: table[name].to_numpy() for name in table}


def fit_search(X, y, sex):
    """Search over eta; return the scores and the chosen eta."""
    grid = GridSearchCV(
        estimator(),
        {"eta": ETAS},
        scoring=fairness_scoring(),
        refit=best_under(0.05),
        cv=5,
        n_jobs=WORKERS,
    )
    grid.fit(X, y, sensitive_features=sex)
    scores = {name: grid.cv_results_[name] for name in grid.cv_results_ if "_test_" in name}
    return {**scores, "chosen eta": grid.best_params_["eta"]}


def equal(result, reference):
    """Return whether all scores and the chosen eta are identical bit for bit."""
    return all(np.array_equal(result[name], reference[name]) for name in reference)


def start_all(names, stack):
    """Start backends; return the arguments for joblib.parallel_config and the start times."""
    configs, seconds = {}, {}
    for name in names:
        start, _, package = BACKENDS[name]
        begin = time.perf_counter()
        try:
            configs[name] = start(stack)
        except ImportError:
            print(f'{name} is not installed: python -m pip install "{package}"', flush=True)
        seconds[name] = time.perf_counter() - begin
    return configs, seconds


def run_in_turn(work, configs, data, rounds):
    """Run the work on each backend in turns; return all results and times in seconds."""
    results, seconds = ({name: [] for name in configs} for _ in range(2))
    for _ in range(rounds):
        for name, config in configs.items():
            begin = time.perf_counter()
            with joblib.parallel_config(**config):
                results[name].append(work(*data))
            seconds[name].append(time.perf_counter() - begin)
            print(f"{name}: {seconds[name][-1]:.1f} s", flush=True)
    return results, {name: np.array(values) for name, values in seconds.items()}


def main():
    """Print, and optionally save, one row per backend."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backends", nargs="*", help=f"some of {', '.join(BACKENDS)}; default: all")
    parser.add_argument("--work", choices=["search", "path"], default="search")
    parser.add_argument("--samples", type=int, default=6000)
    parser.add_argument("--repeats", type=int, default=2, help="runs after the first one")
    parser.add_argument("--save", help="CSV file to write")
    args = parser.parse_args()
    if unknown := set(args.backends) - set(BACKENDS):
        parser.error(f"backends must be some of {list(BACKENDS)}, got {sorted(unknown)}")
    if args.repeats < 1:
        parser.error(f"--repeats must be 1 or more, got {args.repeats}")
    sklearn.set_config(enable_metadata_routing=True)
    torch.set_num_threads(1)  # in this process; the next line does it for its child processes
    os.environ["OMP_NUM_THREADS"] = "1"
    index = np.random.default_rng(0).permutation(30_162)[: args.samples]
    data = [values[index] for values in adult_features()[:3]]

    names = ["loky", *(name for name in args.backends or BACKENDS if name != "loky")]
    with ExitStack() as stack:
        configs, started = start_all(names, stack)
        results, seconds = run_in_turn(
            {"search": fit_search, "path": fit_path}[args.work], configs, data, 1 + args.repeats
        )
    reference = results["loky"][0]
    records = []
    for name in configs:
        ratios = (seconds[name][1:] / seconds["loky"][1:]).round(2)
        first = (started[name] + seconds[name][0]) / (started["loky"] + seconds["loky"][0])
        package = BACKENDS[name][1]
        records.append(
            {
                "backend": name,
                "work": args.work,
                "version": f"{package} {version(package)}",
                "start and first run / loky": round(first, 2),
                "later run / loky": np.median(ratios).round(2),
                "smallest": ratios.min(),
                "largest": ratios.max(),
                "scores equal to loky": all(equal(result, reference) for result in results[name]),
                "chosen eta": results[name][0].get("chosen eta", ""),
            }
        )
    table = pd.DataFrame(records)
    print(table.T.to_string(header=False))
    if args.save:
        table.to_csv(args.save, index=False)


if __name__ == "__main__":
    main()
