"""One search or path, dealt out by each backend of joblib: time as a ratio to loky, same scores?

Run ``python examples/benchmarks/backends.py``, or name some of loky, sequential, threading, dask
and ray. It takes about six minutes on two CPU cores. A search has 8 etas and 5 folds on 6,000 of
Adult's training rows, 5 epochs a fit, by 2 workers of one thread ("sequential" is this process
alone). With ``--work path`` it is a path of the same etas for 6 seeds, which are what is dealt out.
The first run of a backend starts its workers, later ones find them there if the backend keeps them.
Backends take turns, and the ratios are taken round by round; their median is quoted, with the
smallest and the largest. ``--save FILE`` writes them as CSV.
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
    """Processes that joblib starts and keeps; the default of scikit-learn."""
    return {"backend": "loky", "inner_max_num_threads": 1}


def start_sequential(stack):
    """No worker but this process."""
    return {"backend": "sequential"}


def start_threading(stack):
    """Threads of this process."""
    return {"backend": "threading"}


def start_dask(stack):
    """Workers of a dask cluster, here on this machine."""
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
    """Actors of a ray cluster, here on this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray.util.joblib import register_ray

    ray.init(num_cpus=WORKERS, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    stack.callback(ray.shutdown)
    register_ray()
    return {"backend": "ray"}


# Name: how to start the backend, the package that it is from, and how pip calls that.
BACKENDS = {
    "loky": (start_loky, "joblib", "joblib"),
    "sequential": (start_sequential, "joblib", "joblib"),
    "threading": (start_threading, "joblib", "joblib"),
    "dask": (start_dask, "distributed", "dask[distributed]"),
    "ray": (start_ray, "ray", "ray"),
}


def estimator():
    """What both kinds of work train."""
    return FairBiNNClassifier(lr=5e-3, max_epochs=5, batch_size=256, device="cpu", random_state=0)


def path(X, y, sex):
    """Path for some seeds; return the figures and the choice."""
    found = fairness_path(
        *(X, y, sex), etas=ETAS, seeds=range(6), estimator=estimator(), n_jobs=WORKERS
    )
    table = found.to_frame()
    return {
        **{name: table[name].to_numpy() for name in table},
        "eta chosen": found.best_under(0.05).eta,
    }


def search(X, y, sex):
    """Search over eta; return the scores and the choice."""
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
    return {**scores, "eta chosen": grid.best_params_["eta"]}


def same(result, reference):
    """Whether all scores and the choice are equal to the bit."""
    return all(np.array_equal(result[name], reference[name]) for name in reference)


def start_all(names, stack):
    """Start backends; return what joblib.parallel_config takes and the seconds of each."""
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
    """Results and seconds of all runs of the work by each backend, the backends taking turns."""
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
    """Print one row a backend, and save them if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backends", nargs="*", help=f"of {', '.join(BACKENDS)}; none means all")
    parser.add_argument("--work", choices=["search", "path"], default="search")
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--repeats", type=int, default=2, help="runs behind the first one")
    parser.add_argument("--save", help="CSV file to write")
    args = parser.parse_args()
    if strange := set(args.backends) - set(BACKENDS):
        parser.error(f"backends must be of {list(BACKENDS)}, got {sorted(strange)}")
    if args.repeats < 1:
        parser.error(f"--repeats must be 1 or more, got {args.repeats}")
    sklearn.set_config(enable_metadata_routing=True)
    torch.set_num_threads(1)  # of this process, and by the next line of those that it starts
    os.environ["OMP_NUM_THREADS"] = "1"
    some = np.random.default_rng(0).permutation(30_162)[: args.rows]
    data = [values[some] for values in adult_features()[:3]]

    names = ["loky", *(name for name in args.backends or BACKENDS if name != "loky")]
    with ExitStack() as stack:
        configs, started = start_all(names, stack)
        results, seconds = run_in_turn(
            {"search": search, "path": path}[args.work], configs, data, 1 + args.repeats
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
                "scores equal to loky": all(same(one, reference) for one in results[name]),
                "eta chosen": results[name][0]["eta chosen"],
            }
        )
    table = pd.DataFrame(records)
    print(table.T.to_string(header=False))
    if args.save:
        table.to_csv(args.save, index=False)


if __name__ == "__main__":
    main()
