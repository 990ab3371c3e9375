"""Compare candidates for the default settings on held-out training samples of Adult.

Run ``python examples/benchmarks/choose_settings.py``. Each candidate changes one default. 6,000 of
the training samples are held out; the test samples are not used.
"""

import argparse

import pandas as pd
import torch
from adult_eta import measure, summary
from adult_features import adult_features
from sklearn.model_selection import train_test_split

CANDIDATES = [
    {},
    {"weight_decay": 0.0},
    {"weight_decay": 1e-4},
    {"weight_decay": 1e-3},
    {"max_epochs": 10},
    {"max_epochs": 40},
    {"rate_window": 0},
    {"rate_window": 5_000},
    {"lr_schedule": "constant"},
    {"fairness_lr": 1e-2},
    {"equalize": "scores"},
]


def main():
    """Print, and optionally save, one row per setting and eta."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--etas", type=float, nargs="+", default=[0, 3, 10, 30])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--constraint", default="demographic_parity")
    parser.add_argument("--summary", help="CSV file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    X, y, sex, *_ = adult_features()
    X_train, X_valid, y_train, y_valid, sex_train, sex_valid = train_test_split(
        X, y, sex, test_size=6000, random_state=0, stratify=y
    )
    data = X_train, y_train, sex_train, X_valid, y_valid, sex_valid
    records = []
    for params in CANDIDATES:
        name = ", ".join(f"{key}={value!r}" for key, value in params.items()) or "defaults"
        for eta in args.etas:
            runs = [
                measure(data, eta=eta, seed=seed, constraint=args.constraint, **params)
                for seed in range(args.seeds)
            ]
            records += [{**run, "setting": name} for run in runs]
            table = summary(records[-args.seeds :], "setting")
            print(table.to_string(index=False, header=False), flush=True)
    if args.summary:
        summary(pd.DataFrame(records), "setting").to_csv(args.summary, index=False)


if __name__ == "__main__":
    main()
