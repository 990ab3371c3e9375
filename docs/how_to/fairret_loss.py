"""Use a loss of fairret as the fairness loss."""

import numpy as np
from fairret.loss import NormLoss
from fairret.statistic import TruePositiveRate

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.metrics import FairnessScorer

rng = np.random.default_rng(0)
group = rng.choice(["a", "b"], 6000)
X = rng.normal(size=(6000, 5))
X[:, 0] += 2.0 * (group == "a")
y = (X.sum(axis=1) + rng.normal(size=6000) > 1).astype(int)
train, test = slice(0, 4000), slice(4000, None)
norm_loss = NormLoss(TruePositiveRate())


def fairret_loss(scores, y, groups):
    """Pass scores (N,), labels (N,) and group indicators (N, G) as fairret expects them."""
    labels = y[:, None].to(scores.dtype)
    return norm_loss(scores[:, None], groups, labels, pred_as_logit=False)


difference = FairnessScorer("equal_opportunity_difference")
for eta in (0, 1):
    clf = FairBiNNClassifier(eta=eta, constraint=fairret_loss, max_epochs=10, random_state=0)
    clf.fit(X[train], y[train], sensitive_features=group[train])
    accuracy = clf.score(X[test], y[test])
    gap = -difference(clf, X[test], y[test], sensitive_features=group[test])
    print(f"eta {eta}: accuracy {accuracy:.2f}, difference of true positive rates {gap:.2f}")
