"""Train with sensitive values that are missing for some samples."""

import numpy as np
from sklearn.pipeline import make_pipeline

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import load_adult
from fairbinn_sklearn.metrics import FairnessScorer
from fairbinn_sklearn.preprocessing import tabular_preprocessor

train, test = load_adult(subset="train"), load_adult(subset="test")
X, y = train.data[:5000], train.target[:5000]
sex = train.sensitive_features["sex"][:5000].astype(object)
sex[np.random.default_rng(0).random(len(sex)) < 0.6] = None  # 60 % did not answer

X_test, y_test, sex_test = test.data, test.target, test.sensitive_features["sex"]


def report(name, X, y, sex):
    """Fit and print the numbers of samples, the test accuracy and the test difference."""
    clf = FairBiNNClassifier(fairness_target=0.05, max_epochs=30, random_state=0)
    model = make_pipeline(tabular_preprocessor(), clf)
    model.fit(X, y, fairbinnclassifier__sensitive_features=sex)
    difference = -FairnessScorer()(model, X_test, y_test, sensitive_features=sex_test)
    print(
        f"{name}: {len(X)} samples, {clf.n_unknown_} unknown, "
        f"accuracy {model.score(X_test, y_test):.3f}, difference {difference:.3f}"
    )


known = sex.notna()
report("keep all samples", X, y, sex)
report("drop the unknown", X[known], y[known], sex[known])
