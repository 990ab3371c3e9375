"""Networks of a path, each of which starts from the network before it."""

import math
import pickle

import numpy as np
import pytest
import torch
from conftest import difference, make, make_data
from joblib import parallel_config
from sklearn.base import clone

from fairbinn_sklearn import FairBiNNClassifier, FairBiNNClassifierCV, _points, fairness_path
from fairbinn_sklearn._training.length import epochs_per_point, steps_per_epoch
from fairbinn_sklearn._training.options import TrainingOptions
from fairbinn_sklearn.inspection import check_assumptions

ETAS = [0, 1, 10]
FULL = {"max_epochs": 20, "random_state": 0}


@pytest.fixture(scope="module")
def many():
    """Return 5,000 samples whose scores depend on the group."""
    rng = np.random.default_rng(0)
    group = rng.choice(["a", "b"], 5000)
    X = rng.normal(size=(5000, 4)).astype(np.float32)
    X[:, 0] += group == "a"
    y = (X.sum(axis=1) + rng.normal(size=5000) > 0.5).astype(int)
    return X, y, group


@pytest.fixture(scope="module")
def path(many):
    return fairness_path(*many, etas=ETAS, estimator=make(**FULL))


def weights(clf):
    return [param.detach() for param in clf.module_.parameters()]


def equal(clf, other):
    return all(torch.equal(a, b) for a, b in zip(weights(clf), weights(other), strict=True))


def test_the_first_network_is_that_of_fit_for_accuracy(path, many):
    X, y, group = many
    alone = make(eta=0, **FULL).fit(X, y, sensitive_features=group)
    assert path.reason is None
    assert equal(path[0], alone)
    assert path[0].n_iter_ == 20


def test_points_have_the_effect_of_their_eta_in_fit(path, many):
    X, y, group = many
    for clf in path:
        alone = clone(clf).fit(X, y, sensitive_features=group)
        differences = [difference(c, many) for c in (clf, alone)]
        assert differences[0] == pytest.approx(differences[1], rel=0.25, abs=0.015)


def test_few_epochs_per_point(path):
    epochs = math.ceil(220 / 20)
    assert [clf.n_iter_ for clf in path] == [20, 20 + epochs, 20 + 2 * epochs]
    assert [clf.net_.last_run.epochs for clf in path] == [20, epochs, epochs]


def test_learning_rates_decrease_by_step_and_with_eta(path):
    for clf, eta in zip(list(path)[1:], ETAS[1:], strict=True):
        start = 1e-3 / max(1, eta / 3)
        last = clf.history_[-1]["lr"]
        assert last == pytest.approx(start * 10**-1.5, rel=1e-6)
        first = clf.history_[-clf.net_.last_run.epochs]["lr"]
        assert start > first > last


def test_learning_rates_of_targets_start_lower(many):
    path = fairness_path(*many, targets=[0.8, 0.9], estimator=make(max_epochs=2))
    start = 1e-3 * 0.3
    first = path[0].history_[-path[0].net_.last_run.epochs]["lr"]
    assert start * 0.1 < first < start
    assert path[0].history_[-1]["lr"] == pytest.approx(start * 10**-1.5, rel=1e-6)


def test_order_of_the_points_does_not_matter(path, many):
    shuffled = fairness_path(*many, etas=[10, 0, 1], estimator=make(**FULL))
    for k, clf in zip([2, 0, 1], shuffled, strict=True):
        assert equal(path[k], clf)


def test_targets_continue_their_multipliers(many):
    path = fairness_path(*many, targets=[0.02, 0.1], estimator=make(**FULL))
    differences = [difference(clf, many) for clf in path]
    assert differences[0] == pytest.approx(0.02, abs=0.015)
    assert differences[1] == pytest.approx(0.1, abs=0.03)
    strict, loose = path
    assert strict.eta_ > loose.eta_ > 0
    assert strict.n_iter_ > loose.n_iter_


@pytest.mark.parametrize(
    "params",
    [
        {"constraint": lambda scores, y, groups: (groups.T @ scores / groups.sum(0)).var()},
        {"method": "unrolled"},
        {"method": "lagrangian", "optimizer": torch.optim.Adagrad},
        {"lr_schedule": torch.optim.lr_scheduler.ReduceLROnPlateau},
        {"fairness_optimizer": "adam", "activation": "gelu"},
    ],
    ids=lambda params: "-".join(params),
)
def test_any_method_can_continue(biased, params):
    estimator = make(max_epochs=3, lr=0.01, random_state=0, **params)
    path = fairness_path(*biased, etas=[0, 30], estimator=estimator, epochs_per_point=2)
    assert path.reason is None
    assert [clf.n_iter_ for clf in path] == [3, 5]
    assert difference(path[1], biased) <= difference(path[0], biased)
    assert not equal(path[0], path[1])


def test_points_are_pickled_and_trained_further(path, many):
    X, y, group = many
    again = pickle.loads(pickle.dumps(path[2]))
    np.testing.assert_array_equal(again.decision_function(X), path[2].decision_function(X))
    for clf in (again, clf_copy := pickle.loads(pickle.dumps(path[2]))):
        clf.partial_fit(X, y, sensitive_features=group)
    assert equal(again, clf_copy)
    assert again.n_iter_ == path[2].n_iter_ + 1
    assert not equal(again, path[2])


def test_advice_names_the_epochs_of_a_point(path, many):
    report = check_assumptions(path[2], many[0]).to_frame()
    assert report.loc["settled", "advice"].startswith("Raise epochs_per_point")


def test_seeds_do_not_depend_on_n_jobs(biased):
    settings = {"etas": [0, 3], "seeds": [0, 1], "warm_start": True}
    estimator = make(max_epochs=2, hidden_layer_sizes=(8,))
    with parallel_config(backend="threading"):
        paths = [
            fairness_path(*biased, estimator=estimator, n_jobs=n_jobs, **settings)
            for n_jobs in (None, 2)
        ]
    for clf, other in zip(*paths, strict=True):
        assert equal(clf, other)
    assert not equal(paths[0][1], paths[0][3])


def test_auto_depends_on_the_number_of_samples(biased, many, monkeypatch):
    X, y, group = biased
    estimator = make(max_epochs=1, hidden_layer_sizes=(4,))
    path = fairness_path(X, y, group, etas=[0, 1], estimator=estimator)
    assert f"{len(y)} training samples" in path.reason
    assert path[1].n_iter_ == 1
    path = fairness_path(*many, etas=[0, 1], estimator=estimator, warm_start=False)
    assert "one network at a time" in path.reason
    monkeypatch.setattr(_points, "SIDE_BY_SIDE", ("cpu",))
    path = fairness_path(*many, etas=[0.5, 1], estimator=estimator)
    assert path.reason is None and path[1].n_iter_ == 1


@pytest.mark.parametrize("warm_start", [True, np.True_])
def test_booleans_of_numpy_are_booleans(biased, warm_start):
    estimator = make(max_epochs=1, hidden_layer_sizes=(4,))
    path = fairness_path(*biased, etas=[0, 1], estimator=estimator, warm_start=warm_start)
    assert path.reason is None and path[1].n_iter_ == 2


def test_networks_of_cross_validation_continue(many):
    X, y, group = many
    cv = FairBiNNClassifierCV(ETAS, estimator=make(max_epochs=2), epochs_per_point=1, cv=2, bound=1)
    cv.fit(X, y, sensitive_features=group)
    assert [clf.n_iter_ for clf in cv.path_] == [2, 3, 4]
    assert cv.path_.of_training


@pytest.mark.parametrize(
    "max_epochs, n_samples, expected",
    [(20, 30_000, 2), (20, 10_000, 6), (20, 5_000, 11), (5, 5_000, 5), (100, 30_000, 10)],
)
def test_default_epochs_per_point(max_epochs, n_samples, expected):
    options = TrainingOptions.from_estimator(FairBiNNClassifier())
    assert epochs_per_point(max_epochs, options, n_samples) == expected
    target = TrainingOptions.from_estimator(FairBiNNClassifier(fairness_target=0.1))
    assert epochs_per_point(max_epochs, target, n_samples) == min(2 * expected, max_epochs)
    assert expected == max_epochs or expected * steps_per_epoch(options, n_samples) >= 220


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"warm_start": "yes"}, "warm_start must be .*'yes'"),
        ({"epochs_per_point": 0}, "epochs_per_point must be .* at least 1, got 0"),
        ({"epochs_per_point": True}, "epochs_per_point must be .* got True"),
        ({"epochs_per_point": 2, "warm_start": False}, "epochs_per_point must be None with"),
    ],
)
def test_invalid_arguments(biased, arguments, match):
    with pytest.raises(ValueError, match=match):
        fairness_path(*biased, etas=[0, 1], **arguments)


@pytest.mark.filterwarnings("ignore:The difference on the training samples")
@pytest.mark.parametrize(
    "groups, equalize, of_etas, of_targets",
    [
        ("ab", "decisions", None, None),
        ("ab", "both", None, "need more epochs"),
        ("abc", "decisions", "more than two groups", "more than two groups"),
    ],
)
def test_auto_continues_where_continuation_is_as_good(groups, equalize, of_etas, of_targets):
    X, y, group = make_data(4096, groups=list(groups))
    estimator = make(max_epochs=2, equalize=equalize)
    for points, reason in (({"etas": [1, 3]}, of_etas), ({"targets": [0.1, 0.2]}, of_targets)):
        path = fairness_path(X, y, group, estimator=estimator, **points)
        assert path.reason is None if reason is None else reason in path.reason
