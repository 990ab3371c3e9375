"""Reach parity among the top 10 % of the scores, not at the threshold 0.5."""

import numpy as np

from fairbinn_sklearn import FairBiNNClassifier

rng = np.random.default_rng(0)
group = rng.choice(["a", "b"], 18000)
X = rng.normal(size=(18000, 5))
X[:, 0] = np.where(group == "a", 3 * X[:, 0], X[:, 0])  # scores of "a" vary more
y = (X.sum(axis=1) + rng.normal(size=18000) > 0).astype(int)
train, test = slice(0, 6000), slice(6000, None)


def difference(selected):
    """Return the difference of selection rates between the two groups."""
    return abs(selected[group[test] == "a"].mean() - selected[group[test] == "b"].mean())


def fit(eta, threshold):
    """Return a network that is trained to decide at a threshold."""
    clf = FairBiNNClassifier(eta=eta, threshold=threshold, random_state=0)
    return clf.fit(X[train], y[train], sensitive_features=group[train])


plain = fit(eta=0, threshold=0.5)
high = float(np.quantile(plain.predict_proba(X[train])[:, 1], 0.9))
models = {
    "no fairness loss": plain,
    "parity at 0.5": fit(20, 0.5),
    "parity in the top": fit(20, high),
}
print("                  above 0.5   top 10 %   accuracy")
for name, clf in models.items():
    scores = clf.predict_proba(X[test])[:, 1]
    half, top = scores > 0.5, scores > np.quantile(scores, 0.9)
    accuracy = (half == y[test]).mean()
    print(f"{name:17}{difference(half):10.3f}{difference(top):11.3f}{accuracy:11.3f}")
