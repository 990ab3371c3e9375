"""Train with 2 % positive labels and a fixed budget of positive predictions."""

import numpy as np

from fairbinn_sklearn import FairBiNNClassifier

rng = np.random.default_rng(0)
group = rng.choice(["a", "b"], 15000)
X = rng.normal(size=(15000, 6))
X[:, 0] += group == "a"
risk = X.sum(axis=1) + rng.normal(size=15000)
y = (risk > np.quantile(risk, 0.98)).astype(int)
train, test = slice(0, 5000), slice(5000, None)

print("settings               selected   of a   of b  precision")
for settings in (
    {"eta": 0, "threshold": 0.5},
    {"eta": 0, "threshold": "rate"},
    {"eta": 100, "threshold": "rate"},
):
    clf = FairBiNNClassifier(**settings, random_state=0)
    clf.fit(X[train], y[train], sensitive_features=group[train])
    selected = clf.predict(X[test]) == 1
    rates = [selected[group[test] == name].mean() for name in "ab"]
    name = f"eta {settings['eta']}, threshold {settings['threshold']}"
    print(
        f"{name:23}{selected.mean():8.3f}{rates[0]:7.3f}{rates[1]:7.3f}"
        f"{y[test][selected].mean():11.2f}"
    )
