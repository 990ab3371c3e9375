"""Measure each criterion under a target, beside fairret and fairlearn, on Adult and German credit.

Run ``python examples/benchmarks/criteria_by_target.py --data adult german --save docs/results``.
It needs fairret (``pip install fairret``) unless ``--methods`` leaves it out. Each data set has one
table:

- ``none``: `FairBiNNClassifier(eta=0)`. Each criterion has its own difference.
- ``FairBiNN``: the target is a fifth of the difference of ``none`` on the training samples, at
  least 0.005. All other parameters have their defaults.
- ``fairret``: a network of the same layers, epochs and batches, in a plain loop with Adam, and
  the NormLoss of fairret with strength 1.
- ``ExponentiatedGradient``: the method of fairlearn on logistic regression, with the same target
  as its difference bound.

Features are one-hot encoded and scaled; the sensitive feature (sex) is one of them. Differences and
accuracies are means over the seeds. Adult has the official split, German credit another random
split for each seed, with 30 % test samples. Times are CPU seconds of one fit in one thread.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from adult_features import adult_features
from fairlearn.reductions import (
    DemographicParity,
    EqualizedOdds,
    ErrorRateParity,
    ExponentiatedGradient,
    FalsePositiveRateParity,
    TruePositiveRateParity,
)
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import load_german
from fairbinn_sklearn.losses import CONSTRAINTS
from fairbinn_sklearn.metrics._metrics import METRICS, count

SHARE_OF_DIFFERENCE, LOWEST_TARGET = 0.2, 0.005
MOMENTS = {
    "demographic_parity": DemographicParity,
    "equal_opportunity": TruePositiveRateParity,
    "false_positive_rate_parity": FalsePositiveRateParity,
    "equalized_odds": EqualizedOdds,
    "accuracy_parity": ErrorRateParity,
}
STATISTICS = {  # of fairret
    "demographic_parity": ["PositiveRate"],
    "equal_opportunity": ["TruePositiveRate"],
    "false_positive_rate_parity": ["FalsePositiveRate"],
    "equalized_odds": ["TruePositiveRate", "FalsePositiveRate"],
    "predictive_parity": ["PositivePredictiveValue"],
    "false_omission_rate_parity": ["FalseOmissionRate"],
    "accuracy_parity": ["Accuracy"],
    "f1_parity": ["FScore"],
    "treatment_equality": ["FalseNegativeFalsePositiveFraction"],
}


def german_features(seed):
    """Return X, y and sex of the training samples, then of the test samples, as arrays."""
    german = load_german()
    y, sex = german.target.to_numpy(), german.sensitive_features["sex"].to_numpy()
    train, test = train_test_split(np.arange(len(y)), test_size=0.3, random_state=seed, stratify=y)
    encoder = make_column_transformer(
        (MinMaxScaler(), make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
    )
    parts = []
    for index in (train, test):
        encode = encoder.fit_transform if index is train else encoder.transform
        parts += [encode(german.data.iloc[index]).astype(np.float32), y[index], sex[index]]
    return parts


class PlainNetwork:
    """The default network in a plain training loop, with the NormLoss of fairret."""

    def __init__(self, criterion, seed, strength=1.0):
        self.criterion = criterion
        self.seed = seed
        self.strength = strength

    def fit(self, X, y, group):
        """Train as `FairBiNNClassifier` does by default, with one optimizer."""
        from fairret import statistic
        from fairret.loss import NormLoss

        torch.manual_seed(self.seed)
        sizes = [X.shape[1], 128, 128, 128]
        layers = [
            layer
            for n_in, n_out in zip(sizes, sizes[1:], strict=False)
            for layer in (torch.nn.Linear(n_in, n_out), torch.nn.ReLU())
        ]
        self.module = torch.nn.Sequential(*layers, torch.nn.Linear(128, 1))
        losses = [
            (name, NormLoss(getattr(statistic, name)())) for name in STATISTICS[self.criterion]
        ]
        X = torch.from_numpy(X)
        labels = torch.from_numpy((y == np.unique(y)[-1]).astype(np.float32))[:, None]
        sensitive = torch.nn.functional.one_hot(
            torch.from_numpy(np.unique(group, return_inverse=True)[1])
        ).float()
        batch_size = 256 if len(X) > 4096 else 64
        n_batches = -(-len(X) // batch_size)
        epochs = max(20, -(-200 // n_batches))
        optimizer = torch.optim.Adam(self.module.parameters(), lr=1e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * n_batches)
        for _ in range(epochs):
            for index in torch.randperm(len(X)).tensor_split(n_batches):
                logit, label = self.module(X[index]), labels[index]
                loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, label)
                for name, fairness in losses:
                    needs_label = name != "PositiveRate"
                    loss = loss + self.strength * fairness(
                        logit, sensitive[index], *([label] if needs_label else [])
                    )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        return self

    @torch.no_grad()
    def predict(self, X):
        """Return codes of the labels."""
        return (self.module(torch.from_numpy(X))[:, 0] > 0).long().numpy()


def codes_of(values):
    """Return the codes of sorted distinct values."""
    return np.unique(values, return_inverse=True)[1]


def measure(criterion, y, predictions, group):
    """Return accuracy and the difference of a criterion; `predictions` are label codes."""
    counts = count(codes_of(y), predictions, codes_of(group), np.ones(len(y)), 2)
    return (codes_of(y) == predictions).mean(), METRICS[f"{criterion}_difference"].function(counts)


def fit(method, criterion, target, seed, X, y, group):
    """Return a fitted model as a function from X to label codes, and the CPU seconds of the fit."""
    start = time.process_time()
    if method == "FairBiNN":
        clf = FairBiNNClassifier(constraint=criterion, fairness_target=target, random_state=seed)
        clf.fit(X, y, sensitive_features=group)
    elif method == "fairret":
        clf = PlainNetwork(criterion, seed).fit(X, y, group)
    else:
        moment = MOMENTS[criterion](difference_bound=target)
        clf = ExponentiatedGradient(LogisticRegression(max_iter=1000), moment)
        clf.fit(X, codes_of(y), sensitive_features=group)
    seconds = time.process_time() - start
    if method == "FairBiNN":
        return lambda X: np.searchsorted(clf.classes_, clf.predict(X)), seconds
    if method == "fairret":
        return clf.predict, seconds
    return lambda X: clf.predict(X, random_state=seed).astype(int), seconds


def run(data, criteria, methods, seeds):
    """Return one record for each criterion, method and seed."""
    records = []
    for seed in range(seeds):
        parts = adult_features() if data == "adult" else german_features(seed)
        (X, y, group), (X_test, y_test, group_test) = parts[:3], parts[3:]
        plain = FairBiNNClassifier(eta=0, random_state=seed).fit(X, y, sensitive_features=group)
        before = [np.searchsorted(plain.classes_, plain.predict(part)) for part in (X, X_test)]
        for criterion in criteria:
            _, train = measure(criterion, y, before[0], group)
            accuracy, test = measure(criterion, y_test, before[1], group_test)
            known = {"criterion": criterion, "seed": seed}
            records.append(
                {**known, "method": "none", "train": train, "test": test, "acc": accuracy}
            )
            target = max(SHARE_OF_DIFFERENCE * train, LOWEST_TARGET)
            for method in methods:
                if method == "ExponentiatedGradient" and criterion not in MOMENTS:
                    continue
                predict, seconds = fit(method, criterion, target, seed, X, y, group)
                _, train_after = measure(criterion, y, predict(X), group)
                accuracy, test_after = measure(criterion, y_test, predict(X_test), group_test)
                values = {"train": train_after, "test": test_after, "acc": accuracy}
                records.append({**known, "method": method, **values, "seconds": seconds})
                print(records[-1], flush=True)
    return pd.DataFrame(records)


def summarise(records):
    """Return a table of means over the seeds, one row for each criterion and method."""
    means = records.groupby(["criterion", "method"], sort=False).mean(numeric_only=True)
    before = means.xs("none", level="method")["train"]
    reduction = 1 - means["train"] / before.reindex(means.index, level="criterion")
    return pd.DataFrame(
        {
            "difference, training samples": means["train"].map("{:.3f}".format),
            "reduced by": reduction.map("{:.0%}".format),
            "difference": means["test"].map("{:.3f}".format),
            "accuracy": means["acc"].map("{:.4f}".format),
            "CPU s": means["seconds"].map(lambda s: "" if np.isnan(s) else f"{s:.1f}"),
        }
    ).reset_index()


def main():
    """Print, and optionally save, one table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", choices=["adult", "german"], default=["adult"])
    parser.add_argument(
        "--criteria", nargs="+", choices=list(CONSTRAINTS), default=list(CONSTRAINTS)
    )
    methods = ["FairBiNN", "fairret", "ExponentiatedGradient"]
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--save", help="folder of the CSV files to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for data in args.data:
        table = summarise(run(data, args.criteria, args.methods, args.seeds))
        print(table.to_string())
        if args.save:
            table.to_csv(Path(args.save) / f"criteria_{data}.csv", index=False)


if __name__ == "__main__":
    main()
