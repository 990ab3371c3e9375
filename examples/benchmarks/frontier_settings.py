"""
Compare settings for frontier.py on folds of Adult's training samples.

    python examples/benchmarks/frontier_settings.py --save docs/results/frontier_settings.csv

Sex is among the features. Each variant changes one setting of the base. For each of three folds,
networks are trained on the other two folds, without a fairness loss and at each target, and the
predictions of the held-out folds are pooled. The table has the accuracy without a fairness loss,
the accuracy at some demographic parity differences, interpolated linearly between the targets, and
the CPU seconds per fit with one thread. The test samples are not used. Differences below about
0.001 are noise.
"""

import argparse
import os
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from frontier import NET, PLANS, boosted_features, encoded_features, measure
from sklearn.model_selection import StratifiedKFold
from tables import load_table

from fairbinn_sklearn import FairBiNNClassifier, fairness_path

TARGETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.14)
ETAS = (0.5, 1, 2, 4, 8, 16, 24)


VARIANTS = {
    "base": {},
    "etas instead of targets": {"etas": ETAS},
    "fairness_position=-1": {"fairness_position": -1},
    "lagrangian": {"method": "lagrangian", "fairness_position": -1},
    "10 epochs": {"max_epochs": 10},
    "40 epochs": {"max_epochs": 40},
    "40 epochs, lr=2e-3": {"max_epochs": 40, "lr": 2e-3},
    "batch_size=256, lr=1e-3": {"batch_size": 256, "lr": 1e-3},
    "rate_window=3000": {"rate_window": 3000},
    "equalize='scores'": {"equalize": "scores"},
    "equalize='both'": {"equalize": "both"},
    "hidden_layer_sizes=(64, 64)": {"hidden_layer_sizes": (64, 64)},
    "hidden_layer_sizes=(256, 256)": {"hidden_layer_sizes": (256, 256)},
    "activation='silu'": {"activation": torch.nn.SiLU},
    "weight_decay=0": {"weight_decay": 0.0},
    "weight_decay=3e-3": {"weight_decay": 3e-3},
    "boosted scores": {"encode": boosted_features},
    "boosted scores, equalize='both'": {"encode": boosted_features, "equalize": "both"},
    "boosted scores, 10 epochs": {"encode": boosted_features, "max_epochs": 10},
    "boosted scores, 40 epochs, lr=2e-3": {
        **{"encode": boosted_features, "max_epochs": 40, "lr": 2e-3}
    },
}


def evaluate(variant, X, y, group, folds):
    """Return the table row of a variant."""
    settings = {"fairness_position": 1, **NET, **VARIANTS[variant]}
    encode = settings.pop("encode", encoded_features)
    points = {"targets": TARGETS}
    if "etas" in settings:
        points = {"etas": settings.pop("etas")}
    scores, seconds = {}, []
    for train, held_out in folds:
        X_train, transform = encode(X.iloc[train], y[train], group[train])
        X_new = transform(X.iloc[held_out])
        estimator = FairBiNNClassifier(**settings, random_state=0)
        start = time.process_time()
        path = fairness_path(X_train, y[train], group[train], estimator=estimator, **points)
        seconds.append((time.process_time() - start) / len(path))
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
        "CPU s": np.mean(seconds),
    }


def main():
    """Run the variants; print and optionally save the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--save", help="CSV file to write")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    (X, y, group), _ = load_table("adult")
    strata = pd.Series(y).astype(str) + group
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, strata))
    rows = []
    for variant in args.variants:
        rows.append(evaluate(variant, X, y, group, folds))
        print(
            {k: v if isinstance(v, str) else round(v, 4) for k, v in rows[-1].items()}, flush=True
        )
    if args.save:
        pd.DataFrame(rows).round(4).to_csv(args.save, index=False)


if __name__ == "__main__":
    main()
