"""Numbers of epochs: enough steps on few samples, and accuracy first for rare labels."""

import numpy as np
import pytest
from conftest import fit, make, make_data
from fairlearn.metrics import demographic_parity_difference
from sklearn.metrics import balanced_accuracy_score

from fairbinn_sklearn import fairness_path


def rare_labels(seed, n_samples=5_000):
    """Return data with 2 % positive labels, most of them in one group."""
    rng = np.random.default_rng(seed)
    group = rng.choice(["a", "b"], n_samples)
    X = rng.normal(size=(n_samples, 6))
    X[:, 0] += group == "a"
    z = X.sum(1) + rng.normal(size=n_samples)
    return X, (z > np.quantile(z, 0.98)).astype(int), group


@pytest.mark.parametrize(
    "n_samples, params, expected",
    [
        (120, {"eta": 1.0}, 100),
        (120, {"eta": 0}, 20),
        (120, {"eta": None, "fairness_target": 0.1}, 100),
        (300, {"eta": 1.0}, 40),
        (100, {"eta": 1.0, "batch_size": 100}, 200),
        (3000, {"eta": 1.0}, 20),
        (120, {"eta": 1.0, "max_epochs": 3}, 3),
    ],
)
def test_epochs_have_enough_steps_for_the_fairness_loss(n_samples, params, expected):
    clf = fit(make_data(n_samples), **{"max_epochs": "auto", **params})
    assert clf.n_iter_ == expected


def test_few_samples_have_fair_predictions_of_both_classes():
    differences, accuracies = [], []
    for seed in range(3):
        X, y, group = make_data(120, seed=seed)
        clf = make(eta=10, max_epochs="auto").fit(X, y, sensitive_features=group)
        predicted = clf.predict(X)
        differences.append(demographic_parity_difference(y, predicted, sensitive_features=group))
        X, y, group = make_data(2000, seed=seed + 10)
        accuracies.append(clf.score(X, y))
    assert max(differences) < 0.15
    assert min(accuracies) > 0.7


@pytest.mark.parametrize("params", [{"eta": 10.0}, {"eta": None, "fairness_target": 0.01}])
def test_rare_labels_are_still_predicted(params):
    X, y, group = rare_labels(0, 3_000)
    plain, fair = (
        make(max_epochs="auto", **settings).fit(X, y, sensitive_features=group)
        for settings in ({"eta": 0}, params)
    )
    X, y, group = rare_labels(1)
    scores = [balanced_accuracy_score(y, clf.predict(X)) for clf in (plain, fair)]
    assert scores[0] > 0.65
    assert scores[1] > 0.9 * scores[0]


@pytest.mark.parametrize(
    "params, n_epochs", [({}, 4), ({"class_weight": "balanced"}, 0), ({"eta": 0}, 0)]
)
def test_rare_labels_start_with_accuracy(params, n_epochs):
    X, y, group = rare_labels(0, 1000)
    clf = make(**{"eta": 1.0, "max_epochs": 8, **params}).fit(X, y, sensitive_features=group)
    plain = make(**{**params, "eta": 0, "max_epochs": 8}).fit(X, y, sensitive_features=group)
    equal = [a["loss"] == b["loss"] for a, b in zip(clf.history_, plain.history_, strict=True)]
    assert (
        equal == [True] * 8
        if "eta" in params
        else equal == [True] * n_epochs + [False] * (8 - n_epochs)
    )


@pytest.mark.filterwarnings("ignore:The difference on the training samples")
def test_a_path_of_few_samples_has_enough_steps():
    X, y, group = make_data(300)
    estimator = make(max_epochs="auto")
    path = fairness_path(X, y, group, etas=[0, 1], estimator=estimator)
    assert [clf.n_iter_ for clf in path] == [20, 40]
    path = fairness_path(X, y, group, targets=[0.1, 0.2], estimator=estimator, warm_start=True)
    assert [clf.n_iter_ for clf in path] == [20 + 2 * 40, 20 + 40]


def test_early_stopping_compares_the_epochs_with_a_fairness_loss():
    X, y, group = rare_labels(0, 2_000)
    clf = make(eta=1.0, max_epochs=20, early_stopping=True, n_iter_no_change=2)
    clf.fit(X, y, sensitive_features=group)
    objectives = ["validation_objective" in record for record in clf.history_]
    assert objectives[:10] == [False] * 10
    assert len(objectives) > 10 and all(objectives[10:])


def test_a_class_without_samples_is_not_rare():
    X, y, group = make_data(3000)
    clf = make(max_epochs="auto", warm_start=True).fit(X, y, sensitive_features=group)
    clf.fit(X[y == 1], y[y == 1], sensitive_features=group[y == 1])
    assert clf.n_iter_ == 20
