"""Fitted classifiers that the tests share."""

import copy

import matplotlib
import pytest
from made_up import make_biased

from fairbinn_sklearn import FairBiNNClassifier

matplotlib.use("agg")


@pytest.fixture(scope="session")
def data():
    X, y, group = make_biased(300)
    for array in (X, y, group):
        array.flags.writeable = False
    return X, y, group


@pytest.fixture(scope="session")
def make():
    """Return an unfitted classifier that trains quickly."""

    def make(**params):
        small = {"max_epochs": 2, "device": "cpu", "random_state": 0}
        return FairBiNNClassifier(**{**small, **params})

    return make


@pytest.fixture(scope="session")
def fit(data, make):
    """Return a classifier fitted on `data`; each set of parameters is trained once."""
    fitted = {}

    def fit(**params):
        key = repr(sorted(params.items()))
        if key not in fitted:
            X, y, group = data
            fitted[key] = make(**params).fit(X, y, sensitive_features=group)
        return copy.deepcopy(fitted[key])

    return fit


@pytest.fixture
def clf(fit):
    """Return a fitted classifier that the test may change."""
    return fit(eta=3)


@pytest.fixture(scope="session")
def with_history():
    """Return a function that sets columns of the history of a fitted classifier."""

    def with_history(clf, **columns):
        n_epochs = len(next(iter(columns.values())))
        last = clf.history_[-1]
        clf.history_ = [
            {**last, "epoch": i + 1, **{name: column[i] for name, column in columns.items()}}
            for i in range(n_epochs)
        ]
        clf.net_.epochs = n_epochs
        return clf

    return with_history
