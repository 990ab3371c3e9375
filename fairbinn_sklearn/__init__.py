"""FairBiNN as a scikit-learn estimator: a neural net trained for accuracy and parity at once.

>>> from fairbinn_sklearn import FairBiNNClassifier
>>> from fairbinn_sklearn.datasets import load_adult
>>> adult = load_adult(subset="train", dropna=True)
>>> X, y, sex = adult.data[["age", "education-num"]] / 50, adult.target, adult.data["sex"]
>>> clf = FairBiNNClassifier(eta=1, random_state=0).fit(X, y, sensitive_features=sex)
>>> clf.predict(X).mean() < y.mean()
np.True_
"""

from ._classifier import FairBiNNClassifier
from ._version import __version__

__all__ = ["FairBiNNClassifier", "__version__"]
