"""FairBiNN as a scikit-learn estimator: a neural net trained for accuracy and parity at once.

>>> from fairbinn_sklearn import FairBiNNClassifier
>>> from fairbinn_sklearn.datasets import load_adult
>>> adult = load_adult(subset="train", dropna=True)
>>> X, y, sex = adult.data[["age", "education-num"]] / 50, adult.target, adult.data["sex"]
>>> clf = FairBiNNClassifier(eta=10, max_epochs=2, random_state=0)
>>> clf.fit(X, y, sensitive_features=sex).predict(X.head(3))
array([0, 0, 0])
"""

from ._classifier import FairBiNNClassifier
from ._version import __version__

__all__ = ["FairBiNNClassifier", "__version__"]
