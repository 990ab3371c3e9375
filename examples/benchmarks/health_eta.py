"""Measure accuracy and differences between nine age groups on Heritage Health over eta.

Run ``python examples/benchmarks/health_eta.py --health PATH``, where PATH is your copy of the data
(see ``fairbinn_sklearn.datasets.load_health``). ``--validation`` compares settings on 8,000
held-out training samples instead of the test samples; the settings of the table were chosen this
way. ``--summary FILE`` writes the table as CSV.
"""

import argparse

import numpy as np
import pandas as pd
import torch
from health_features import health_features
from sklearn.model_selection import train_test_split

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.losses import DemographicParity

LARGEST = DemographicParity(aggregation="max")
CHOSEN = {"constraint": LARGEST, "equalize": "scores"}
COMPARED = [
    CHOSEN,
    {"equalize": "scores"},
    {"constraint": LARGEST},
    {},
    {**CHOSEN, "method": "lagrangian"},
]


def largest_difference(values, age):
    """Return the largest difference between the means of two groups."""
    return np.ptp(pd.Series(values).groupby(age).mean())


def main():
    """Print, and optionally save, one row per setting and eta."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--health", required=True, help="file with the data")
    parser.add_argument("--etas", type=float, nargs="+", default=[0, 0.1, 0.3, 1, 3, 10])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--summary", help="CSV file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    X_train, y_train, age_train, X_test, y_test, age_test = health_features(args.health)
    if args.validation:
        X_train, X_test, y_train, y_test, age_train, age_test = train_test_split(
            X_train, y_train, age_train, test_size=8000, random_state=0, stratify=y_train
        )
    print(f"training samples {X_train.shape}, evaluated samples {X_test.shape}")
    records = []
    for params in COMPARED if args.validation else [CHOSEN]:
        setting = ", ".join(f"{name}={value}" for name, value in params.items()) or "defaults"
        for eta in args.etas:
            runs = []
            for seed in range(args.seeds):
                clf = FairBiNNClassifier(eta=eta, random_state=seed, **params)
                clf.fit(X_train, y_train, sensitive_features=age_train)
                y_pred, scores = clf.predict(X_test), clf.predict_proba(X_test)[:, 1]
                runs.append(
                    {
                        "accuracy": np.mean(y_pred == y_test),
                        "hard DP": largest_difference(y_pred, age_test),
                        "soft DP": largest_difference(scores, age_test),
                        "selection rate": y_pred.mean(),
                    }
                )
            table = pd.DataFrame(runs)
            print(setting, eta, table.mean().round(4).to_dict(), flush=True)
            row = {name: f"{table[name].mean():.4f} ± {table[name].std():.4f}" for name in table}
            records.append({**({"setting": setting} if args.validation else {}), "eta": eta, **row})
    if args.summary:
        pd.DataFrame(records).to_csv(args.summary, index=False)


if __name__ == "__main__":
    main()
