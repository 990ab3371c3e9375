"""Measure how far each criterion's difference falls at eta 30 and 100 on Adult.

Run ``python examples/benchmarks/adult_criteria.py``; ``--summary FILE`` writes the table as CSV.
All parameters except eta and constraint have their defaults; the sensitive feature is sex.
"""

import argparse

import pandas as pd
import torch
from adult_features import adult_features
from fairlearn.metrics import (
    demographic_parity_difference,
    equal_opportunity_difference,
    equalized_odds_difference,
    false_positive_rate_difference,
)

from fairbinn_sklearn import FairBiNNClassifier

DIFFERENCES = {
    "demographic_parity": demographic_parity_difference,
    "equal_opportunity": equal_opportunity_difference,
    "false_positive_rate_parity": false_positive_rate_difference,
    "equalized_odds": equalized_odds_difference,
}


def main():
    """Print, and optionally save, one row per criterion and eta."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--etas", type=float, nargs="+", default=[30, 100])
    parser.add_argument(
        "--criteria", nargs="+", choices=list(DIFFERENCES), default=list(DIFFERENCES)
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--summary", help="CSV file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    X_train, y_train, sex_train, X_test, y_test, sex_test = adult_features()

    def predict(eta, seed, constraint="demographic_parity"):
        clf = FairBiNNClassifier(eta=eta, constraint=constraint, random_state=seed)
        clf.fit(X_train, y_train, sensitive_features=sex_train)
        return clf.predict(X_train), clf.predict(X_test)

    def summarise(difference, runs):
        table = pd.DataFrame(
            {
                "accuracy": [(y_pred == y_test).mean() for _, y_pred in runs],
                "difference, training samples": [
                    difference(y_train, y_pred, sensitive_features=sex_train) for y_pred, _ in runs
                ],
                "difference": [
                    difference(y_test, y_pred, sensitive_features=sex_test) for _, y_pred in runs
                ],
            }
        )
        return table.mean(), table.std()

    seeds = range(args.seeds)
    unconstrained = [predict(0, seed) for seed in seeds]
    records = []
    for name in args.criteria:
        difference = DIFFERENCES[name]
        before, _ = summarise(difference, unconstrained)
        for eta in [0, *args.etas]:
            runs = [predict(eta, seed, name) for seed in seeds] if eta else unconstrained
            mean, std = summarise(difference, runs)
            record = {"criterion": name, "eta": eta}
            record |= {key: f"{mean[key]:.4f} ± {std[key]:.4f}" for key in mean.index}
            reduction = 1 - mean["difference"] / before["difference"]
            record["reduced by"] = f"{reduction:.0%}" if eta else ""
            print(record, flush=True)
            records.append(record)
    if args.summary:
        pd.DataFrame(records).to_csv(args.summary, index=False)


if __name__ == "__main__":
    main()
