"""Train with user-defined criteria: of a rate, of events, and as a function of a batch.

The user guide explains them. This script shows their effect on synthetic data.
"""

import numpy as np
import torch

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.losses import FairnessLoss


class JaccardParity(FairnessLoss):
    """Equalise the Jaccard index, TP / (TP + FP + FN)."""

    def coefficients(self, label):
        """Return a, b, c and d for labels of shape (N, C): numbers, or tensors of that shape."""
        return 0.0, label, label, 1.0 - label


class ParityAndOpportunity(FairnessLoss):
    """Equalise rates among all samples, and among samples with a positive label."""

    def events(self, y, n_classes):
        """Return the samples of both events with shape (2, N), for labels y of shape (N,)."""
        return torch.stack([torch.ones_like(y, dtype=torch.bool), y == 1])


def largest_absolute_gap(scores, y, groups):
    """Return the paper's gap for scores (N,), labels (N,) and group indicators (N, G)."""
    rates = (scores @ groups) / groups.sum(0).clamp(min=1)  # groups may be absent
    return rates.max() - rates.min()


def main():
    """Print the differences of selection and true positive rates for each criterion."""
    rng = np.random.default_rng(0)
    group = rng.choice(["a", "b"], size=4000)
    X = rng.normal(size=(4000, 4))
    X[:, 0] += 2.0 * (group == "a")
    y = (X.sum(axis=1) + rng.normal(size=4000) > 1).astype(int)
    for name, eta, constraint in (
        ("none", 0, "demographic_parity"),
        ("ParityAndOpportunity()", 10, ParityAndOpportunity()),
        ("JaccardParity()", 10, JaccardParity()),
        ("largest_absolute_gap", 2, largest_absolute_gap),
    ):
        clf = FairBiNNClassifier(eta=eta, constraint=constraint, random_state=0)
        y_pred = clf.fit(X, y, sensitive_features=group).predict(X)
        parity, opportunity = (
            abs(y_pred[mask & (group == "a")].mean() - y_pred[mask & (group == "b")].mean())
            for mask in (np.ones(len(y), dtype=bool), y == 1)
        )
        print(
            f"{name:24} difference of selection rates {parity:.2f}, "
            f"of true positive rates {opportunity:.2f}"
        )


if __name__ == "__main__":
    main()
