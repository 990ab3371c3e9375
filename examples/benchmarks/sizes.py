"""
Default settings on few rows and on many: what batch_size="auto" was chosen by.

    python examples/benchmarks/sizes.py --save docs/results/sizes.csv

Samples of Adult's training rows, measured on 8,000 others; no test row is looked at. The nets get
the columns of `tabular_preprocessor`, fitted on the sample, and differ from the defaults in the
size of a batch and in epochs alone. Logistic regression on the same columns and gradient boosting,
without any mitigation, are there to compare.
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
NETS = {
    'batch_size="auto", the default': {},
    "batch_size=32": {"batch_size": 32},
    "batch_size=64": {"batch_size": 64},
    "batch_size=128": {"batch_size": 128},
    "batch_size=256": {"batch_size": 256},
    "batch_size=256, 100 epochs": {"batch_size": 256, "max_epochs": 100},
}
WISHES = {
    "eta=0": {"eta": 0},
    "eta=3": {"eta": 3},
    "fairness_target=0.05": {"fairness_target": 0.05},
}


def main():
    """Fit all on samples of each size, and print and save means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--save", help="CSV to write")
    given = parser.parse_args()
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
        for seed in range(given.seeds):
            part, _ = train_test_split(
                pool, train_size=size, stratify=strata.iloc[pool], random_state=seed
            )
            preprocessor = tabular_preprocessor().fit(X.iloc[part])
            columns, columns_new = map(preprocessor.transform, (X.iloc[part], X_new))

            def tell(model, wish, scores, size=size, seed=seed):
                figures = measure(scores[:, 1], y_new, group_new)
                rows.append({"rows": size, "wish": wish, "model": model, "seed": seed, **figures})

            boosting = gradient_boosting(seed).fit(X.iloc[part], y[part])
            tell("gradient boosting", "none", boosting.predict_proba(X_new))
            linear = logistic_regression(seed).fit(columns, y[part])
            tell("logistic regression", "none", linear.predict_proba(columns_new))
            for wish, params in WISHES.items():
                for net, settings in NETS.items():
                    clf = FairBiNNClassifier(
                        **{**params, **settings}, device="cpu", random_state=seed
                    ).fit(columns, y[part], sensitive_features=group[part])
                    tell(net, wish, clf.predict_proba(columns_new))
    table = pd.DataFrame(rows).drop(columns="seed")
    summary = table.groupby(["rows", "wish", "model"], sort=False).mean().round(4)
    print(summary.to_string())
    if given.save:
        summary.reset_index().to_csv(given.save, index=False)


if __name__ == "__main__":
    main()
