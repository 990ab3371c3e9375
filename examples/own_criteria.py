"""Criteria of one's own: a class that names its events, and a function of a batch.

The user guide shows them; run the file to see what they do to made-up data.
"""

import numpy as np
import torch

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.losses import FairnessLoss


class ParityAndOpportunity(FairnessLoss):
    """Equal rates among all rows, and among those whose label is positive."""

    def events(self, y, n_classes):
        """Mark the rows of both events: y has shape (N,), the result (2, N)."""
        return torch.stack([torch.ones_like(y, dtype=torch.bool), y == 1])


def largest_absolute_gap(scores, y, groups):
    """Return the gap of the paper: scores (N,), labels (N,), indicator of the groups (N, G)."""
    rates = (scores @ groups) / groups.sum(0).clamp(min=1)  # a group may be absent
    return rates.max() - rates.min()


def main():
    """Print both differences without and with each criterion."""
    rng = np.random.default_rng(0)
    group = rng.choice(["a", "b"], size=4000)
    X = rng.normal(size=(4000, 4))
    X[:, 0] += 2.0 * (group == "a")
    y = (X.sum(axis=1) + rng.normal(size=4000) > 1).astype(int)
    for name, eta, constraint in (
        ("none", 0, "demographic_parity"),
        ("ParityAndOpportunity()", 10, ParityAndOpportunity()),
        ("largest_absolute_gap", 2, largest_absolute_gap),
    ):
        clf = FairBiNNClassifier(eta=eta, constraint=constraint, random_state=0)
        decisions = clf.fit(X, y, sensitive_features=group).predict(X)
        selected, hits = (
            abs(decisions[rows & (group == "a")].mean() - decisions[rows & (group == "b")].mean())
            for rows in (y >= 0, y == 1)
        )
        print(f"{name:24} selection rates {selected:.2f} apart, true positive rates {hits:.2f}")


if __name__ == "__main__":
    main()
