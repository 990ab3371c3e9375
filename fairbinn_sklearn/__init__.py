"""FairBiNN as a scikit-learn estimator: a neural network for accuracy and group fairness.

>>> from fairlearn.metrics import demographic_parity_difference
>>> from fairbinn_sklearn import FairBiNNClassifier
>>> from fairbinn_sklearn.datasets import load_adult
>>> adult = load_adult(subset="train")
>>> X, y, sex = adult.data[["age", "hours-per-week"]] / 50, adult.target, adult.data["sex"]
>>> for eta in (0, 10):
...     clf = FairBiNNClassifier(eta=eta, max_epochs=2, random_state=0)
...     predicted = clf.fit(X, y, sensitive_features=sex).predict(X)
...     print(f"{demographic_parity_difference(y, predicted, sensitive_features=sex):.2f}")
0.05
0.01
"""

from ._classifier import FairBiNNClassifier
from ._cv import FairBiNNClassifierCV
from ._path import FairnessPath, fairness_path

__version__ = "0.2.0"

__all__ = [
    "FairBiNNClassifier",
    "FairBiNNClassifierCV",
    "FairnessPath",
    "__version__",
    "fairness_path",
]
