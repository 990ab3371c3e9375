"""
Compare settings for frontier.py on folds of Adult's training samples.

    python examples/benchmarks/frontier_settings.py --save docs/results/frontier_settings.csv

Sex is not among the features. The base has the settings of frontier.py. Each other variant changes
the settings that it names. For each of three folds, a path over the targets of frontier.py is
trained on the other two folds, and the predictions of the held-out folds are pooled. The table has
the accuracy without a fairness loss, the accuracy at some demographic parity differences,
interpolated linearly between the targets, and the CPU seconds per path with one thread; the time of
gradient boosting is not included. The test samples are not used. Differences below about 0.001 are
noise.
"""

import argparse
import os
import sys
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from frontier import NET, PATH, PLANS, TARGETS, boosted_features, encoded_features, measure
from sklearn.model_selection import StratifiedKFold
from tables import load_table

from fairbinn_sklearn import FairBiNNClassifier, fairness_path

ETAS = (0.3, 0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6, 8, 11, 16, 22, 32, 45, 64)

# Parameters of the estimator, except "path", "encode" and "etas", which `evaluate` handles.
VARIANTS = {
    "base": {},
    "etas instead of targets": {"etas": ETAS},
    "3 epochs per point": {"path": {"epochs_per_point": 3}},
    "4 epochs per point": {"path": {"epochs_per_point": 4}},
    "lr=3e-3": {"lr": 3e-3},
    "lr=3e-3, 4 epochs per point": {"lr": 3e-3, "path": {"epochs_per_point": 4}},
    "separate fits": {"path": {"warm_start": False}},
    "fairness_position=-1": {"fairness_position": -1},
    "lagrangian": {"method": "lagrangian", "fairness_position": -1},
    "40 epochs for accuracy": {"max_epochs": 40},
    "batch_size=512": {"batch_size": 512},
    "rate_window=3000": {"rate_window": 3000},
    "hidden_layer_sizes=(64, 64)": {"hidden_layer_sizes": (64, 64)},
    "hidden_layer_sizes=(256, 256)": {"hidden_layer_sizes": (256, 256)},
    "weight_decay=0": {"weight_decay": 0.0},
    "weight_decay=1e-3": {"weight_decay": 1e-3},
    "boosted scores": {"encode": boosted_features},
    "boosted scores, 4 epochs per point": {
        **{"encode": boosted_features, "path": {"epochs_per_point": 4}}
    },
    "boosted scores, lr=3e-3": {"encode": boosted_features, "lr": 3e-3},
}


def evaluate(variant, X, y, group, folds):
    """Return the table row of a variant."""
    settings = {"fairness_position": 1, **NET, **VARIANTS[variant]}
    encode = settings.pop("encode", encoded_features)
    path_settings = settings.pop("path", PATH)
    points = {"etas": settings.pop("etas")} if "etas" in settings else {"targets": TARGETS}
    scores, seconds = {}, []
    for train, held_out in folds:
        X_train, transform = encode(X.iloc[train], y[train], group[train])
        X_new = transform(X.iloc[held_out])
        estimator = FairBiNNClassifier(**settings, random_state=0)
        start = time.process_time()
        path = fairness_path(
            X_train, y[train], group[train], estimator=estimator, **points, **path_settings
        )
        seconds.append(time.process_time() - start)
        plain = estimator.set_params(eta=0).fit(X_train, y[train])
        for clf in (plain, *path):
            key = None if clf is plain else (clf.eta, clf.fairness_target)
            scores.setdefault(key, []).append(clf.predict_proba(X_new)[:, 1])
    order = np.concatenate([held_out for _, held_out in folds])
    table = pd.DataFrame(
        [measure(np.concatenate(parts), y[order], group[order]) for parts in scores.values()]
    )
    fair = table.iloc[1:].sort_values("hard")
    return {
        "setting": variant,
        "accuracy, eta 0": table["accuracy"][0],
        **{
            f"accuracy at {bound}": np.interp(
                bound, fair["hard"], fair["accuracy"], left=np.nan, right=np.nan
            )
            for bound in PLANS["adult"]["bounds"]
        },
        "CPU s per path": np.mean(seconds),
    }


def main():
    """Run the variants; print and optionally save the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--save", help="CSV file to write")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    (X, y, group), _ = load_table("adult", blind=True)
    strata = pd.Series(y).astype(str) + group
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, strata))
    rows = []
    for variant in args.variants:
        rows.append(evaluate(variant, X, y, group, folds))
        print(pd.DataFrame(rows[-1:]).round(4).to_string(index=False, header=len(rows) == 1))
        sys.stdout.flush()
        if args.save:
            pd.DataFrame(rows).round(4).to_csv(args.save, index=False)


if __name__ == "__main__":
    main()
