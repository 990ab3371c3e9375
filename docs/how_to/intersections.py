"""Equalise the intersection of three columns and merge the small groups."""

import numpy as np
from fairlearn.metrics import MetricFrame, selection_rate
from sklearn.preprocessing import StandardScaler

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import load_adult

adult = load_adult()
X = StandardScaler().fit_transform(adult.data.select_dtypes("number"))
y = adult.target
columns = adult.sensitive_features.astype(str).assign(
    age=np.where(adult.data["age"] < 40, "below 40", "40 and above")
)
columns["race"] = np.where(columns["race"] == "White", "White", "other")
train, test = slice(0, 8000), slice(30000, None)
sizes = columns[train].value_counts()
print(f"{len(sizes)} groups of {sizes.min()} to {sizes.max()} training samples")


def difference(y_pred, groups):
    """Return the largest difference of selection rates on the test samples."""
    frame = MetricFrame(
        metrics=selection_rate, y_true=y[test], y_pred=y_pred, sensitive_features=groups[test]
    )
    return frame.difference()


print("                     accuracy    sex   race    age  all three")
for eta, combine in ((0, "separate"), (10, "separate"), (30, "intersection")):
    clf = FairBiNNClassifier(eta=eta, combine=combine, random_state=0)
    y_pred = clf.fit(X[train], y[train], sensitive_features=columns[train]).predict(X[test])
    gaps = [difference(y_pred, columns[name]) for name in columns]
    print(f"eta {eta:2} {combine:13} {clf.score(X[test], y[test]):8.3f}", end="")
    print("".join(f"{gap:7.2f}" for gap in gaps), f"{difference(y_pred, columns):10.2f}")
