"""Measure how well a target holds on samples that were not used for training.

Run ``python examples/benchmarks/few_samples.py``; ``--summary FILE`` writes the table as CSV.

- `wide`: 4,000 synthetic samples of eight groups, and 300 features, most without a signal. Training
  samples have the seed 0, test samples the seed 1.
- `adult, 3,000`: 3,000 training samples of Adult, drawn anew for each seed; the official test part.
- `german`: German credit; each seed draws 300 test samples.
- `adult`: Adult, official split.

The sensitive feature of Adult and German credit is sex. The target is 0.03. The setting "overfit"
has the settings that do not depend on the number of samples per feature and group: 20 epochs and a
weight decay of 3e-4.
"""

import argparse
import functools

import numpy as np
import pandas as pd
import torch
from adult_features import adult_features
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import load_german

ON_VALIDATION = {"target_samples": "validation", "validation_fraction": 0.3}
CASES = [
    ("wide", "overfit", {"max_epochs": 20, "weight_decay": 3e-4}),
    (
        "wide",
        "overfit, samples set aside",
        {"max_epochs": 20, "weight_decay": 3e-4, **ON_VALIDATION},
    ),
    *[
        (name, setting, params)
        for name in ("wide", "adult, 3,000", "german", "adult")
        for setting, params in (("default", {}), ("default, samples set aside", ON_VALIDATION))
    ],
]


def wide(seed, n_samples=4_000):
    """Return features, labels and groups of the data set `wide`."""
    rng = np.random.default_rng(seed)
    group = rng.integers(8, size=n_samples)
    dense = rng.normal(size=(n_samples, 10)) + 0.12 * group[:, None]
    X = np.column_stack([dense, rng.random((n_samples, 290)) < 0.05])
    y = X[:, :5].sum(axis=1) + 1.5 * rng.logistic(size=n_samples) > 4.1
    return X.astype(np.float32), y.astype(int), group


@functools.cache
def german_features():
    """Return features, labels and sex of German credit."""
    german = load_german()
    preprocessor = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (OneHotEncoder(drop="if_binary"), make_column_selector(dtype_include="category")),
        sparse_threshold=0,
    )
    X = preprocessor.fit_transform(german.data).astype(np.float32)
    return X, german.target.to_numpy(), german.sensitive_features["sex"].to_numpy()


adult = functools.cache(adult_features)


def samples_of(name, seed):
    """Return the training samples and the test samples of a data set."""
    if name == "wide":
        return wide(0), wide(1, 20_000)
    order = np.random.default_rng(seed)
    if name == "german":
        data = german_features()
        order = order.permutation(len(data[1]))
        return [column[order[300:]] for column in data], [column[order[:300]] for column in data]
    train, test = adult()[:3], adult()[3:]
    if name == "adult, 3,000":
        index = order.permutation(len(train[1]))[:3_000]
        train = [column[index] for column in train]
    return train, test


def difference(clf, X, group):
    """Return the largest difference between the rates of positive predictions of two groups."""
    rates = pd.Series(clf.predict(X) == clf.classes_[1]).groupby(group).mean()
    return rates.max() - rates.min()


def main():
    """Print, and optionally save, one row per data set and setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", help="names of data sets; all by default")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--summary", help="CSV file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    records = []
    for name, setting, params in CASES:
        if args.data and name not in args.data:
            continue
        runs = []
        for seed in range(args.seeds):
            (X, y, group), (X_test, y_test, group_test) = samples_of(name, seed)
            clf = FairBiNNClassifier(fairness_target=0.03, random_state=seed, **params)
            clf.fit(X, y, sensitive_features=group)
            runs.append(
                {
                    "difference, given samples": difference(clf, X, group),
                    "difference, test samples": difference(clf, X_test, group_test),
                    "accuracy": clf.score(X_test, y_test),
                }
            )
        table = pd.DataFrame(runs)
        mean, std = table.mean(), table.std()
        row = {column: f"{mean[column]:.3f} ± {std[column]:.3f}" for column in table}
        records.append({"data": name, "setting": setting, **row})
        print(records[-1], flush=True)
    if args.summary:
        pd.DataFrame(records).to_csv(args.summary, index=False)


if __name__ == "__main__":
    main()
