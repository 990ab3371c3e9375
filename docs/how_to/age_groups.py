"""Use age, a continuous attribute, as the sensitive feature."""

import pandas as pd
from fairlearn.metrics import MetricFrame, count, selection_rate
from sklearn.pipeline import make_pipeline

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import load_adult
from fairbinn_sklearn.preprocessing import tabular_preprocessor

adult = load_adult()
X, y = adult.data, adult.target
# Cut before the split, so that training and audit use the same groups.
names = ["17-25", "26-35", "36-45", "46-55", "56-90"]
age = pd.cut(X["age"], [0, 25, 35, 45, 55, 100], labels=names)
train, test = slice(0, 6000), slice(30000, None)

for target in (None, 0.05):
    clf = FairBiNNClassifier(
        eta=0 if target is None else None, fairness_target=target, max_epochs=40, random_state=0
    )
    model = make_pipeline(tabular_preprocessor(), clf)
    model.fit(X[train], y[train], fairbinnclassifier__sensitive_features=age[train])
    audit = MetricFrame(
        metrics={"samples": count, "selection rate": selection_rate},
        y_true=y[test],
        y_pred=model.predict(X[test]),
        sensitive_features=age[test],
    )
    print(f"target {target}: accuracy {model.score(X[test], y[test]):.3f}")
    print(audit.by_group.round(2).to_string())
