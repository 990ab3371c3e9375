"""Measure selection rates of the ten intersections of sex and race on Adult over eta.

Run ``python examples/benchmarks/adult_intersection.py``; ``--summary FILE`` writes the table as
CSV, ``--validation`` evaluates on held-out training samples instead of the test samples.
"""

import argparse

import numpy as np
import pandas as pd
import torch
from adult_features import adult_features
from sklearn.model_selection import train_test_split

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import load_adult
from fairbinn_sklearn.losses import DemographicParity

SETTINGS = [
    ("no fairness loss", {}, [0]),
    ("intersection, mean gap", {}, [3, 10]),
    ("intersection, largest gap", {"constraint": DemographicParity(aggregation="max")}, [1, 3]),
    ("each column", {"combine": "separate"}, [3, 10]),
]


def main():
    """Print, and optionally save, one row per setting and eta."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--smallest", type=int, default=200, help="size of the smallest large group"
    )
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--summary", help="CSV file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    X_train, y_train, _, X_test, y_test, _ = adult_features()
    groups_train, groups_test = (
        load_adult(subset=subset, dropna=True).data[["sex", "race"]].astype(str)
        for subset in ("train", "test")
    )
    if args.validation:
        X_train, X_test, y_train, y_test, groups_train, groups_test = train_test_split(
            X_train, y_train, groups_train, test_size=10_000, random_state=0, stratify=y_train
        )
    names = groups_test.agg(", ".join, axis=1).to_numpy()
    sizes = pd.Series(names).value_counts()
    large = sizes.index[sizes >= args.smallest]
    print(f"large groups: {dict(sizes[large])}; small groups: {dict(sizes.drop(large))}")
    records = []
    for setting, params, etas in SETTINGS:
        for eta in etas:
            runs = []
            for seed in range(args.seeds):
                clf = FairBiNNClassifier(eta=eta, random_state=seed, **params)
                clf.fit(X_train, y_train, sensitive_features=groups_train)
                y_pred = clf.predict(X_test)
                rates = pd.Series(y_pred).groupby(names).mean()
                runs.append(
                    {
                        "accuracy": np.mean(y_pred == y_test),
                        f"largest difference, groups of {args.smallest} samples": np.ptp(
                            rates[large]
                        ),
                        "largest difference, all groups": np.ptp(rates),
                        "selection rate": y_pred.mean(),
                    }
                )
            table = pd.DataFrame(runs)
            print(setting, eta, table.mean().round(4).to_dict(), flush=True)
            row = {name: f"{table[name].mean():.4f} ± {table[name].std():.4f}" for name in table}
            records.append({"groups": setting, "eta": eta, **row})
    if args.summary:
        pd.DataFrame(records).to_csv(args.summary, index=False)


if __name__ == "__main__":
    main()
