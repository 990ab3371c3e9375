"""One thread, made-up data, and one way to build and fit the classifier, for all tests."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and scikit-learn are imported

import re

import numpy as np
import pandas as pd
import pytest
import torch
from fairlearn.metrics import demographic_parity_difference

from fairbinn_sklearn import FairBiNNClassifier

torch.set_num_threads(1)

SETTINGS = {"max_epochs": 3, "device": "cpu", "random_state": 0}


def make_data(n_samples=600, groups=("a", "b"), seed=0, n_classes=2):
    """Return X, y and group; the first feature, and so the label, depends on the group."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(len(groups), size=n_samples)
    X = rng.normal(size=(n_samples, 4)).astype(np.float32)
    X[:, 0] += 2 * codes / (len(groups) - 1)
    logit = X.sum(1) + rng.normal(size=n_samples)
    y = (logit > 1).astype(int) if n_classes == 2 else np.digitize(logit, np.arange(n_classes - 1))
    return X, y, np.asarray(groups)[codes]


def wide_data(seed=0, n_samples=1200, n_features=200, n_groups=4):
    """Return groups and features most of which have no signal, so that a network overfits them."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, n_groups, n_samples)
    dense = rng.normal(size=(n_samples, 10)) + 0.96 / n_groups * codes[:, None]
    sparse = rng.random((n_samples, n_features - 10)) < 0.05
    y = dense[:, :5].sum(1) + 1.5 * rng.logistic(size=n_samples) > 4.1
    X = np.column_stack([dense, sparse]).astype(np.float32)
    return X, y.astype(int), np.array([f"g{code}" for code in codes])


def make(**params):
    """Return a classifier that trains a few epochs on the CPU with a fixed seed."""
    return FairBiNNClassifier(**{**SETTINGS, **params})


def fit(data, **params):
    """Return a classifier fitted on X, y and group."""
    X, y, group = data
    return make(**params).fit(X, y, sensitive_features=group)


def difference(clf, data, metric=demographic_parity_difference):
    """Return the difference of the predictions between groups."""
    X, y, group = data
    return metric(y, clf.predict(X), sensitive_features=group)


def stable_id(value):
    """Return the text of a parameter without addresses, which differ between processes."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


def frozen(data):
    """Return arrays that no test can change."""
    for array in data:
        array.flags.writeable = False
    return data


@pytest.fixture(scope="session")
def biased():
    """Two groups, 600 samples: enough for shapes, errors and exact comparisons."""
    return frozen(make_data())


@pytest.fixture(scope="session")
def large():
    """Two groups, 3,000 samples: enough for differences to fall."""
    return frozen(make_data(3000))


@pytest.fixture(scope="session")
def fitted(biased):
    """Return a classifier with default settings, fitted on `biased`. Do not change it."""
    return fit(biased)


@pytest.fixture(scope="session")
def two_columns(biased):
    """Two sensitive features of the samples of `biased`."""
    group = biased[2]
    age = np.random.default_rng(1).choice(["old", "young"], len(group))
    return pd.DataFrame({"group": group, "age": age})


def score_difference(clf, data):
    """Return the difference of the mean scores between groups."""
    X, _, group = data
    scores = clf.predict_proba(X)[:, 1]
    means = [scores[group == name].mean() for name in np.unique(group)]
    return max(means) - min(means)


def same_model(first, second, X):
    """Return whether two classifiers have the same logits to the bit."""
    return np.array_equal(first.decision_function(X), second.decision_function(X))
