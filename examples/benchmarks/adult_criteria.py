"""What eta 30 and 100 do to the difference that each criterion is about, on Adult's test rows.

Run ``python examples/benchmarks/adult_criteria.py``; ``--summary FILE`` writes the table as CSV.
Default settings but for what the arguments say; the sensitive feature is sex.
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
    """Print, and save if asked, one row a criterion."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--etas", type=float, nargs="+", default=[30, 100])
    parser.add_argument(
        "--criteria", nargs="+", choices=list(DIFFERENCES), default=list(DIFFERENCES)
    )
    parser.add_argument("--fairness-batch-size", type=int, help="rows of the fairness loss")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--summary", help="CSV file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    X_train, y_train, sex_train, X_test, y_test, sex_test = adult_features()

    def decide(eta, seed, constraint="demographic_parity"):
        clf = FairBiNNClassifier(
            eta=eta,
            constraint=constraint,
            fairness_batch_size=args.fairness_batch_size,
            random_state=seed,
        )
        clf.fit(X_train, y_train, sensitive_features=sex_train)
        return clf.predict(X_train), clf.predict(X_test)

    def figures(difference, runs):
        table = pd.DataFrame(
            {
                "accuracy": [(decisions == y_test).mean() for _, decisions in runs],
                "difference, training rows": [
                    difference(y_train, decisions, sensitive_features=sex_train)
                    for decisions, _ in runs
                ],
                "difference": [
                    difference(y_test, decisions, sensitive_features=sex_test)
                    for _, decisions in runs
                ],
            }
        )
        return table.mean(), table.std()

    seeds = range(args.seeds)
    plain = [decide(0, seed) for seed in seeds]
    records = []
    for name in args.criteria:
        difference = DIFFERENCES[name]
        before, _ = figures(difference, plain)
        for eta in [0, *args.etas]:
            runs = [decide(eta, seed, name) for seed in seeds] if eta else plain
            mean, std = figures(difference, runs)
            record = {"criterion": name, "eta": eta}
            record |= {key: f"{mean[key]:.4f} ± {std[key]:.4f}" for key in mean.index}
            fall = 1 - mean["difference"] / before["difference"]
            record["lowered by"] = f"{fall:.0%}" if eta else ""
            print(record, flush=True)
            records.append(record)
    if args.summary:
        pd.DataFrame(records).to_csv(args.summary, index=False)


if __name__ == "__main__":
    main()
