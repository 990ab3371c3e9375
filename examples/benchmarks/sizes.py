"""
Compare batch sizes on small and large samples, to choose batch_size="auto".

    python examples/benchmarks/sizes.py --save docs/results/sizes.csv

Networks are trained on subsets of Adult's training samples and evaluated on 8,000 others; the test
samples are not used. The networks use the features of `tabular_preprocessor`, fitted on the subset,
and differ from the defaults in batch size and epochs only. Logistic regression on the same features
and gradient boosting, both without mitigation, are included for comparison.
"""

import argparse
import os
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from frontier import gradient_boosting, load, logistic_regression, measure
from sklearn.model_selection import train_test_split

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.preprocessing import tabular_preprocessor

SIZES = (1_000, 3_000, 10_000)
BATCH_SETTINGS = {
    'batch_size="auto", the default': {},
    "batch_size=32": {"batch_size": 32},
    "batch_size=64": {"batch_size": 64},
    "batch_size=128": {"batch_size": 128},
    "batch_size=256": {"batch_size": 256},
    "batch_size=256, 100 epochs": {"batch_size": 256, "max_epochs": 100},
}
FAIRNESS_SETTINGS = {
    "eta=0": {"eta": 0},
    "eta=3": {"eta": 3},
    "fairness_target=0.05": {"fairness_target": 0.05},
}


def main():
    """Fit all models on subsets of each size; print and optionally save means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--save", help="CSV file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    (X, y, group), _ = load("adult", None)
    strata = pd.Series(y).astype(str) + group
    pool, held_out = train_test_split(
        np.arange(len(y)), test_size=8_000, stratify=strata, random_state=0
    )
    X_new, y_new, group_new = X.iloc[held_out], y[held_out], group[held_out]
    rows = []
    for size in SIZES:
        for seed in range(args.seeds):
            part, _ = train_test_split(
                pool, train_size=size, stratify=strata.iloc[pool], random_state=seed
            )
            preprocessor = tabular_preprocessor().fit(X.iloc[part])
            encoded, encoded_new = map(preprocessor.transform, (X.iloc[part], X_new))

            def record(model, setting, scores, size=size, seed=seed):
                row = {"samples": size, "setting": setting, "model": model, "seed": seed}
                rows.append({**row, **measure(scores[:, 1], y_new, group_new)})

            boosting = gradient_boosting(seed).fit(X.iloc[part], y[part])
            record("gradient boosting", "none", boosting.predict_proba(X_new))
            linear = logistic_regression(seed).fit(encoded, y[part])
            record("logistic regression", "none", linear.predict_proba(encoded_new))
            for setting, fairness in FAIRNESS_SETTINGS.items():
                for model, batches in BATCH_SETTINGS.items():
                    clf = FairBiNNClassifier(**fairness, **batches, device="cpu", random_state=seed)
                    clf.fit(encoded, y[part], sensitive_features=group[part])
                    record(model, setting, clf.predict_proba(encoded_new))
    table = pd.DataFrame(rows).drop(columns="seed")
    summary = table.groupby(["samples", "setting", "model"], sort=False).mean().round(4)
    print(summary.to_string())
    if args.save:
        summary.reset_index().to_csv(args.save, index=False)


if __name__ == "__main__":
    main()
