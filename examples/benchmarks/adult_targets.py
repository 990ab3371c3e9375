"""Measure how closely training reaches each target on Adult.

Run ``python examples/benchmarks/adult_targets.py``; ``--summary FILE`` writes the table as CSV.
All parameters except the target have their defaults; the sensitive feature is sex.
"""

import argparse

import pandas as pd
import torch
from adult_features import adult_features
from fairlearn.metrics import demographic_parity_difference

from fairbinn_sklearn import FairBiNNClassifier


def main():
    """Print, and optionally save, one row per target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=float, nargs="+", default=[0.10, 0.05, 0.02, 0.01])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--summary", help="CSV file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    X_train, y_train, sex_train, X_test, y_test, sex_test = adult_features()
    records = []
    for target in args.targets:
        runs = []
        for seed in range(args.seeds):
            clf = FairBiNNClassifier(fairness_target=target, random_state=seed)
            clf.fit(X_train, y_train, sensitive_features=sex_train)
            y_pred, scores = clf.predict(X_test), clf.predict_proba(X_test)[:, 1]
            means = pd.Series(scores).groupby(sex_test).mean()
            runs.append(
                {
                    "learned eta": clf.eta_,
                    "difference, training samples": demographic_parity_difference(
                        y_train, clf.predict(X_train), sensitive_features=sex_train
                    ),
                    "difference, test samples": demographic_parity_difference(
                        y_test, y_pred, sensitive_features=sex_test
                    ),
                    "of mean scores": means.max() - means.min(),
                    "accuracy": (y_pred == y_test).mean(),
                }
            )
        table = pd.DataFrame(runs)
        print(f"target {target}\n{table.round(4).to_string()}", flush=True)
        row = {
            name: f"{table[name].mean():.{digits}f} ± {table[name].std():.{digits}f}"
            for name, digits in zip(table, [1, 4, 4, 4, 4], strict=True)
        }
        records.append({"target": target, **row})
    if args.summary:
        pd.DataFrame(records).to_csv(args.summary, index=False)


if __name__ == "__main__":
    main()
