"""Fitted classifiers that the tests share, and changes of what a training left."""

import copy
import dataclasses

import matplotlib
import pytest
from conftest import frozen, make, make_data

matplotlib.use("agg")


@pytest.fixture(scope="session")
def data():
    return frozen(make_data(300))


@pytest.fixture(scope="session")
def fit(data):
    """Return a function that fits on `data`, once for each set of parameters."""
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
        clf.net_.last_run = dataclasses.replace(clf.net_.last_run, epochs=n_epochs)
        return clf

    return with_history


@pytest.fixture(scope="session")
def with_options():
    """Return a function that sets options of the training of a fitted classifier."""

    def with_options(clf, **options):
        clf.net_.options = dataclasses.replace(clf.net_.options, **options)
        return clf

    return with_options
