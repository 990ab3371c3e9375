"""What the estimator does, option by option."""

import copy
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from conftest import make_data
from fairlearn.metrics import (
    demographic_parity_difference,
    equal_opportunity_difference,
    equalized_odds_difference,
    false_positive_rate_difference,
)
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import log_loss

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn._data import labels
from fairbinn_sklearn._data.batches import Batches, Samples, samples_per_batch
from fairbinn_sklearn._training import update_rules
from fairbinn_sklearn._training.options import resolve_constraint
from fairbinn_sklearn.losses import DemographicParity, EqualOpportunity, FairnessLoss


def make(**params):
    return FairBiNNClassifier(**{"max_epochs": 3, "device": "cpu", "random_state": 0, **params})


def fit(data, **params):
    X, y, group = data
    return make(**params).fit(X, y, sensitive_features=group)


def difference(clf, data):
    X, y, group = data
    return demographic_parity_difference(y, clf.predict(X), sensitive_features=group)


def score_difference(clf, data):
    X, _, group = data
    scores = clf.predict_proba(X)[:, 1]
    means = [scores[group == name].mean() for name in np.unique(group)]
    return max(means) - min(means)


def same_model(first, second, X):
    return np.array_equal(first.decision_function(X), second.decision_function(X))


@pytest.fixture(scope="module")
def large():
    return make_data(4000)


# What it is for


@pytest.mark.parametrize("method", ["bilevel", "lagrangian"])
def test_eta_lowers_the_difference_and_costs_accuracy(large, method):
    X, y, _ = large
    models = [fit(large, eta=eta, method=method, max_epochs=15) for eta in (0, 1, 10)]
    differences = [difference(clf, large) for clf in models]
    accuracies = [clf.score(X, y) for clf in models]
    assert differences[0] > 0.3 > differences[1] > differences[2]
    assert differences[2] < 0.08
    assert accuracies[0] > accuracies[1] > accuracies[2] > 0.7


CRITERIA = {
    "demographic_parity": demographic_parity_difference,
    "equal_opportunity": equal_opportunity_difference,
    "false_positive_rate_parity": false_positive_rate_difference,
    "equalized_odds": equalized_odds_difference,
}


def differences(clf, data):
    X, y, group = data
    return {
        name: metric(y, clf.predict(X), sensitive_features=group)
        for name, metric in CRITERIA.items()
    }


@pytest.fixture(scope="module")
def unconstrained(large):
    return fit(large, eta=0, max_epochs=15)


@pytest.mark.parametrize("aggregation", ["mean", "max"])
@pytest.mark.parametrize("name", CRITERIA)
def test_each_criterion_lowers_its_difference(large, unconstrained, name, aggregation):
    loss = resolve_constraint(name).set_params(aggregation=aggregation)
    clf = fit(large, eta=30, max_epochs=15, constraint=loss)
    assert differences(clf, large)[name] < 0.5 * differences(unconstrained, large)[name]
    assert clf.history_[-1]["decision_difference"] == pytest.approx(
        differences(clf, large)[name], abs=0.04
    )


def test_a_list_of_criteria_and_its_weights(large, unconstrained):
    def fit_list(weight):
        losses = [DemographicParity(), EqualOpportunity(weight=weight)]
        return differences(fit(large, eta=10, max_epochs=15, constraint=losses), large)

    light, heavy = fit_list(0.05), fit_list(5.0)
    before = differences(unconstrained, large)
    assert light["demographic_parity"] < before["demographic_parity"] / 2
    assert heavy["equal_opportunity"] < before["equal_opportunity"]
    assert heavy["equal_opportunity"] < light["equal_opportunity"]
    assert heavy["demographic_parity"] > light["demographic_parity"]


def test_a_list_of_one_is_that_one(biased):
    names = [fit(biased, eta=5, constraint=form) for form in ("equalized_odds", ["equalized_odds"])]
    assert same_model(*names, biased[0])


def largest_absolute_gap(scores, y, groups):
    rates = (scores @ groups) / groups.sum(0).clamp(min=1)
    return rates.max() - rates.min()


def test_a_function_as_criterion(large, unconstrained):
    clf = fit(large, eta=1, max_epochs=15, batch_size=256, constraint=largest_absolute_gap)
    assert score_difference(clf, large) < 0.2 * score_difference(unconstrained, large)
    assert set(clf.history_[-1]) == {
        "epoch",
        "loss",
        "fairness_loss",
        "objective",
        "fairness_step",
        "lr",
    }
    assert clf.history_[-1]["fairness_loss"] == pytest.approx(
        score_difference(clf, large), abs=0.02
    )
    assert same_model(clf, pickle.loads(pickle.dumps(clf)), large[0])


def test_a_function_may_lie_elsewhere_in_another_process(biased):
    X, y, group = biased
    clf = make(constraint=largest_absolute_gap).partial_fit(X, y, [0, 1], sensitive_features=group)
    code = largest_absolute_gap
    moved = type(code)(code.__code__, code.__globals__, code.__name__)
    moved.__qualname__ = code.__qualname__
    assert repr(moved) != repr(code)
    clf.set_params(constraint=moved).partial_fit(X, y, sensitive_features=group)
    with pytest.raises(ValueError, match="constraint cannot change"):
        clf.set_params(constraint="equalized_odds").partial_fit(X, y, sensitive_features=group)


def test_a_loss_object_called_as_function_is_the_loss_of_the_batch(biased):
    params = {"eta": 5, "batch_size": 200}
    as_object = fit(
        biased, constraint=DemographicParity(), rate_window=0, equalize="scores", **params
    )
    as_function = fit(biased, constraint=DemographicParity().__call__, **params)
    np.testing.assert_allclose(
        as_object.decision_function(biased[0]),
        as_function.decision_function(biased[0]),
        rtol=1e-3,
        atol=1e-4,
    )


def test_a_function_with_early_stopping_and_new_groups(biased):
    X, y, group = biased
    clf = fit(biased, constraint=largest_absolute_gap, early_stopping=True)
    assert clf.history_[-1]["validation_fairness_loss"] >= 0
    clf = make(constraint=largest_absolute_gap)
    clf.partial_fit(X, y, [0, 1], sensitive_features=group)
    clf.partial_fit(X, y, sensitive_features=np.where(group == "a", "c", group))
    assert clf.net_.criterion_.n_groups == [3]


@pytest.mark.parametrize("n_columns", [1, 2])
def test_many_groups_and_several_columns(n_columns):
    X, y, group = make_data(4000, groups=tuple("abcdef"))
    sensitive = pd.DataFrame({"letter": group})
    if n_columns == 2:  # the same six groups, told by two columns
        codes = sensitive.pop("letter").map("abcdef".index)
        sensitive = sensitive.assign(row=codes // 3, column=codes % 3)
    before = make(eta=0, max_epochs=15).fit(X, y, sensitive_features=sensitive)
    after = make(eta=10, max_epochs=15).fit(X, y, sensitive_features=sensitive)
    assert len(after.groups_) == 6
    assert difference(after, (X, y, group)) < 0.4 * difference(before, (X, y, group))


def test_groups_need_not_be_in_x_and_are_not_asked_for_to_predict(large):
    X, y, group = large
    clf = fit(large, eta=10, max_epochs=15)
    assert clf.predict(X[:5]).shape == (5,)
    assert clf.n_features_in_ == X.shape[1]


# Options that change the result as they say


def test_violation_says_which_difference_is_made_small(large):
    by_decision = fit(large, eta=10, max_epochs=20)
    by_score = fit(large, eta=10, max_epochs=20, equalize="scores")
    by_both = fit(large, eta=10, max_epochs=20, equalize="both")
    assert difference(by_decision, large) < difference(by_both, large) < difference(by_score, large)
    assert score_difference(by_score, large) < 0.05


def test_loss_told_for_both_is_the_mean_of_both_losses(large):
    losses = [
        fit(large, eta=0, max_epochs=1, equalize=name).history_[-1]["fairness_loss"]
        for name in ("decisions", "scores", "both")
    ]
    assert losses[2] == pytest.approx(np.mean(losses[:2]), rel=1e-6)
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    ("n_rows", "size"),
    [
        *((1, 64), (2047, 64), (2048, 128), (4095, 128), (4096, 256), (511_999, 256)),
        *((512_000, 512), (1_024_000, 1024), (10**8, 4096)),
    ],
)
def test_rows_of_a_batch_follow_the_rows(n_rows, size):
    assert samples_per_batch("auto", n_rows) == size
    assert samples_per_batch(100, n_rows) == 100


@pytest.mark.parametrize(("n_rows", "size"), [(1000, 64), (4000, 128)])
def test_automatic_batches_are_those_of_that_size(n_rows, size):
    data = make_data(n_rows)
    params = {"eta": 3, "early_stopping": True, "max_epochs": 3, "constraint": largest_absolute_gap}
    automatic, given = fit(data, **params), fit(data, batch_size=size, **params)
    assert same_model(automatic, given, data[0])
    # the value of the function depends on the batches, those of the rows set aside as well
    assert automatic.history_ == given.history_
    assert automatic.history_ != fit(data, batch_size=size // 2, **params).history_


def test_automatic_batches_set_the_window_of_the_fairness_loss():
    own = {"fairness_batch_size": 50, "max_epochs": 1}
    clf = fit(make_data(1000), eta=1, **own)
    assert clf.net_.criterion_.window == 16 * 50


def test_class_weight_moves_the_decisions(biased):
    X, y, group = biased
    rates = [
        fit(biased, eta=0, class_weight=weights).predict(X).mean()
        for weights in ({0: 9, 1: 1}, None, {0: 1, 1: 9})
    ]
    assert rates[0] < rates[1] < rates[2]


def test_class_weight_balanced_is_the_dict_and_scale_plays_no_part(biased):
    keep = (biased[1] == 0) | (np.arange(len(biased[1])) < 300)
    X, y, group = unbalanced = tuple(array[keep] for array in biased)
    share = y.mean()
    assert share < 0.4
    weights = {0: 1 / (1 - share), 1: 1 / share}
    balanced, by_dict, scaled = (
        fit(unbalanced, class_weight=class_weight)
        for class_weight in ("balanced", weights, {c: 5 * w for c, w in weights.items()})
    )
    for clf in (by_dict, scaled):
        np.testing.assert_allclose(
            clf.decision_function(X), balanced.decision_function(X), rtol=1e-4, atol=1e-5
        )
    assert fit(unbalanced).predict(X).mean() < balanced.predict(X).mean()


@pytest.mark.parametrize(
    "params",
    [
        {"constraint": None},
        {"method": "lagrangian"},
        {"equalize": "scores"},
        {"equalize": "both"},
        {"rate_window": 0},
        {"hidden_layer_sizes": (32,)},
        {"fairness_layer_sizes": (16, 8)},
        {"fairness_position": 0},
        {"activation": "tanh"},
        {"optimizer": "sgd"},
        {"lr": 0.01},
        {"weight_decay": 0.1},
        {"fairness_optimizer": "adam"},
        {"fairness_lr": 0.1},
        {"fairness_max_step": 1e-6},
        {"lr_schedule": "constant"},
        {"max_epochs": 4},
        {"batch_size": 100},
        {"early_stopping": True},
        {"class_weight": {0: 1, 1: 2}},
        {"random_state": 1},
    ],
    ids=lambda params: next(iter(params)),
)
def test_each_option_reaches_the_model(biased, params):
    if params == {"constraint": None}:

        class PositiveRows(FairnessLoss):
            def events(self, y, n_classes):
                return (y == 1)[None]

        params = {"constraint": PositiveRows()}
    X = biased[0]
    plain = fit(biased, eta=10, equalize="decisions")
    assert not same_model(fit(biased, eta=10, **params), plain, X)
    assert same_model(fit(biased, eta=10), plain, X)


@pytest.mark.parametrize(
    "name, cls",
    [
        ("optimizer", torch.optim.Adam),
        ("fairness_optimizer", torch.optim.SGD),
        ("activation", torch.nn.ReLU),
        ("constraint", DemographicParity()),
    ],
)
def test_names_stand_for_classes(biased, name, cls):
    assert same_model(fit(biased), fit(biased, **{name: cls}), biased[0])


@pytest.mark.parametrize("name", ["adam", "adamw", "nadam", "rmsprop", "sgd"])
@pytest.mark.parametrize("player", ["optimizer", "fairness_optimizer"])
def test_every_named_optimizer_trains(biased, player, name):
    clf = fit(biased, eta=10, **{player: name})
    assert np.isfinite(clf.decision_function(biased[0])).all()


@pytest.mark.parametrize(
    "position, base, head",
    [(-1, 2, 1), (2, 2, 1), (0, 0, 3), (-3, 0, 3), (1, 1, 2), (-2, 1, 2)],
)
def test_fairness_position_counts_hidden_layers(biased, position, base, head):
    clf = fit(biased, hidden_layer_sizes=(7, 5), fairness_position=position)

    def linear(part):
        return [layer for layer in part if isinstance(layer, torch.nn.Linear)]

    assert (len(linear(clf.module_.base)), len(linear(clf.module_.head))) == (base, head)
    (fairness,) = linear(clf.module_.fairness)
    assert fairness.in_features == fairness.out_features == [4, 7, 5][base]


def test_layer_sizes(biased):
    clf = fit(biased, hidden_layer_sizes=(), fairness_layer_sizes=3)
    shapes = [tuple(p.shape) for p in clf.module_.parameters()]
    assert shapes == [(3, 4), (3,), (1, 3), (1,)]


def test_early_stopping_stops_and_keeps_the_best_epoch(large):
    X, y, group = large
    clf = fit(
        large,
        eta=0,
        early_stopping=True,
        max_epochs=60,
        n_iter_no_change=3,
        lr_schedule="constant",
        lr=0.01,
    )
    objectives = [record["validation_objective"] for record in clf.history_]
    assert clf.n_iter_ == len(objectives) < 60
    best = int(np.argmin(objectives)) + 1
    stopped_there = fit(
        large,
        eta=0,
        early_stopping=True,
        max_epochs=best,
        n_iter_no_change=60,
        lr_schedule="constant",
        lr=0.01,
        tol=0,
    )
    assert same_model(clf, stopped_there, X)


def test_early_stopping_counts_progress_by_tol_and_keeps_the_lowest(biased):
    X, y, group = biased
    params = {"early_stopping": True, "n_iter_no_change": 5, "lr_schedule": "constant"}
    params["equalize"] = "scores"  # what decisions weigh would depend on max_epochs
    clf = fit(biased, tol=10.0, max_epochs=20, **params)
    assert clf.n_iter_ == 6  # the first epoch is progress, five are not
    objectives = [record["validation_objective"] for record in clf.history_]
    best = int(np.argmin(objectives)) + 1
    assert best > 1
    assert same_model(clf, fit(biased, tol=0, max_epochs=best, **params), X)


def test_validation_part_has_its_size(biased):
    sizes = {}
    for fraction in (0.1, 0.5):
        clf = make(early_stopping=True, validation_fraction=fraction, rate_window=10**9)
        clf.fit(*biased[:2], sensitive_features=biased[2])
        sizes[fraction] = clf.net_.criterion_.window
    assert sizes == {0.1: 540, 0.5: 300}


def test_warm_start_goes_on_and_cold_start_begins_afresh(biased):
    X, y, group = biased
    clf = fit(biased)
    first = clf.decision_function(X)
    assert np.array_equal(clf.fit(X, y, sensitive_features=group).decision_function(X), first)
    clf.set_params(warm_start=True, lr=1e-12, fairness_lr=1e-12, weight_decay=0)
    warm = clf.fit(X, y, sensitive_features=group).decision_function(X)
    np.testing.assert_allclose(warm, first, atol=1e-5)
    clf.set_params(lr=1e-3).fit(X, y, sensitive_features=group)
    assert not np.allclose(clf.decision_function(X), first, atol=1e-3)


def test_partial_fit_goes_on(biased):
    X, y, group = biased
    clf = make(eta=10)
    losses = []
    for _ in range(8):
        clf.partial_fit(X, y, classes=[0, 1], sensitive_features=group)
        losses.append(clf.history_[-1]["loss"])
    assert clf.n_iter_ == 8
    assert losses[-1] < losses[0]
    halves = make(eta=10)
    for rows in np.array_split(np.arange(len(y)), 2):
        halves.partial_fit(X[rows], y[rows], classes=[0, 1], sensitive_features=group[rows])
    assert not same_model(clf, halves, X)


def test_partial_fit_equals_fit_at_constant_rates(biased):
    X, y, group = biased
    params = {"rate_window": 500, "equalize": "scores"}
    whole = fit(biased, lr_schedule="constant", **params)
    steps = make(**params)
    for _ in range(3):
        steps.partial_fit(X, y, classes=[0, 1], sensitive_features=group)
    assert same_model(whole, steps, X)


def test_partial_fit_takes_new_groups_and_changed_parameters(biased):
    X, y, group = biased
    clf = make(eta=0).partial_fit(X, y, classes=[0, 1], sensitive_features=group)
    renamed = np.where(group == "a", "c", group)
    clf.set_params(eta=10).partial_fit(X, y, sensitive_features=renamed)
    assert list(clf.groups_) == ["a", "b", "c"]
    assert clf.net_.criterion_.counts.shape == (1, 3)
    assert clf.net_.eta == 10


def test_partial_fit_takes_class_weights_as_they_are(biased):
    X, y, group = biased
    models = [
        make(eta=0, class_weight=weights).partial_fit(
            X[y == 1], y[y == 1], classes=[0, 1], sensitive_features=group[y == 1]
        )
        for weights in ({0: 1, 1: 1e-6}, None)
    ]
    losses = [clf.history_[0]["loss"] for clf in models]
    assert losses[0] < 1e-5 < 0.1 < losses[1]


def test_partial_fit_may_lack_a_class_or_the_groups(biased):
    X, y, group = biased
    clf = make(eta=10, missing_sensitive="warn")
    clf.partial_fit(X[y == 1], y[y == 1], classes=[0, 1], sensitive_features=group[y == 1])
    with pytest.warns(UserWarning, match="sensitive_features is None"):
        clf.partial_fit(X, y)
    assert list(clf.groups_) == ["a", "b"]
    assert clf.predict(X).shape == y.shape


# Forms of X, y and the device


@pytest.mark.parametrize(
    "labels",
    [
        np.array([False, True]),
        np.array(["no", "yes"]),
        np.array([-1, 1]),
        np.array([2.0, 7.0]),
        np.array(["", "日本"]),
        np.array([3, 5], dtype=object),
        np.array([False, True], dtype=object),
        pd.array([False, True], dtype="boolean"),
        pd.array([3, 5], dtype="Int64"),
        pd.array(["no", "yes"], dtype="string"),
        pd.Categorical(["no", "yes"]),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_labels_of_any_type(biased, labels):
    X, y, group = biased
    for form in (lambda values: values, list, pd.Series):
        clf = make().fit(X, form(labels[y]), sensitive_features=group)
        assert clf.classes_.tolist() == list(labels)
        assert [type(label) for label in clf.classes_.tolist()] == [
            type(label) for label in np.array(list(labels)).tolist()
        ]
        assert same_model(clf, fit(biased), X)


@pytest.mark.parametrize("form", [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix])
def test_sparse_x_equals_dense_x(biased, form):
    X, y, group = biased
    X = np.where(np.abs(X) < 0.5, 0, X)
    dense = make().fit(X, y, sensitive_features=group)
    sparse = make().fit(form(X), y, sensitive_features=group)
    assert same_model(dense, sparse, X)
    assert np.array_equal(sparse.decision_function(form(X)), dense.decision_function(X))


def test_sparse_x_is_never_dense_as_a_whole(large, monkeypatch):
    X, y, group = large
    largest = []
    whole = sp.csr_array.toarray

    def watched(self, *args, **kwargs):
        largest.append(self.shape[0])
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(sp.csr_array, "toarray", watched)
    monkeypatch.setattr("fairbinn_sklearn._data.batches.GATHER_SIZE", 1000)  # numbers
    clf = make(eta=0, batch_size=50, max_epochs=1).fit(sp.csr_array(X), y, sensitive_features=group)
    assert 50 < max(largest) <= 1000 / X.shape[1]
    clf.set_params(eta=1).fit(sp.csr_array(X), y, sensitive_features=group)
    clf.predict(sp.csr_array(X))
    assert max(largest) == 1024 < len(y)


def test_data_frames_bring_their_names(biased):
    X, y, group = biased
    frame = pd.DataFrame(X, columns=list("pqrs"), index=np.arange(len(X))[::-1])
    clf = make().fit(frame, pd.Series(y), sensitive_features=pd.Series(group, name="sex"))
    assert list(clf.feature_names_in_) == list("pqrs")
    assert clf.groups_.name == "sex"
    np.testing.assert_array_equal(clf.predict(frame), fit(biased).predict(X))
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(frame.rename(columns={"p": "z"}))


def test_predictions_do_not_depend_on_the_rows_beside(biased):
    X, y, _ = biased
    clf = fit(biased)
    many = np.tile(X, (6, 1))
    whole = clf.decision_function(many)
    rng = np.random.default_rng(0)
    for size in (1, 2, 77, 1024, 1025, 3000):
        index = rng.choice(len(many), size)
        np.testing.assert_array_equal(clf.decision_function(many[index]), whole[index])


def test_probabilities_and_decisions_agree(biased):
    X = biased[0]
    clf = fit(biased)
    logits, probabilities = clf.decision_function(X), clf.predict_proba(X)
    assert logits.dtype == probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-15)
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[probabilities.argmax(1)])
    np.testing.assert_array_equal(clf.predict(X) == 1, logits > 0)


def test_device_auto_and_cpu(biased):
    assert next(fit(biased, device=torch.device("cpu")).module_.parameters()).device.type == "cpu"
    expected = (
        "cuda"
        if torch.cuda.is_available()
        else ("mps" if torch.backends.mps.is_available() else "cpu")
    )
    assert next(fit(biased, device="auto").module_.parameters()).device.type == expected


# Laws of an estimator


def test_same_seed_same_predictions_to_the_bit(biased):
    X = biased[0]
    assert same_model(fit(biased, eta=10), fit(biased, eta=10), X)
    assert not same_model(fit(biased, eta=10), fit(biased, eta=10, random_state=1), X)


def test_numpy_seed_rules_if_random_state_is_none(biased):
    models = []
    for _ in range(2):
        np.random.seed(3)
        models.append(fit(biased, random_state=None))
    assert same_model(*models, biased[0])


def test_global_random_states_are_untouched(biased):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    clf = fit(biased, eta=10, early_stopping=True)
    clf.predict(biased[0])
    clf.set_params(early_stopping=False).partial_fit(*biased[:2], sensitive_features=biased[2])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


def test_arguments_are_not_changed(biased):
    X, y, group = (np.array(array) for array in biased)
    frame = pd.DataFrame({"g": group})
    make().fit(X, y, sensitive_features=frame)
    for array, original in ((X, biased[0]), (y, biased[1]), (frame["g"], biased[2])):
        assert np.array_equal(array, original)


def test_refitting_starts_afresh(biased):
    X, y, group = biased
    clf = fit(biased)
    other = make_data(300, seed=5)
    frame = pd.DataFrame(other[0], columns=list("pqrs"))
    clf.fit(frame, other[1], sensitive_features=np.char.upper(other[2]))
    clf.fit(X, y, sensitive_features=group)
    fresh = fit(biased)
    assert same_model(clf, fresh, X)
    assert not hasattr(clf, "feature_names_in_")
    assert list(clf.groups_) == list(fresh.groups_)
    assert clf.history_ == fresh.history_
    assert set(vars(clf)) == set(vars(fresh))


def test_refitting_without_groups_forgets_them(biased):
    X, y, _ = biased
    clf = fit(biased, eta=0)
    assert clf.fit(X, y).groups_ is None


def failing_calls(clf, X, y, group):
    bad = np.full_like(X, np.nan)
    yield lambda: clf.fit(bad, y, sensitive_features=group)
    yield lambda: clf.fit(X[:, :2], y, sensitive_features=group[:-1])
    yield lambda: clf.fit(X[:, :2], np.zeros_like(y), sensitive_features=group)
    yield lambda: clf.set_params(activation="none").fit(X[:, :2], y, sensitive_features=group)
    yield lambda: clf.set_params(lr=1e30).fit(X, y, sensitive_features=group)
    yield lambda: clf.set_params(lr=1e30).partial_fit(X, y, sensitive_features=group)
    yield lambda: clf.partial_fit(X[:, :2], y, sensitive_features=group)
    yield lambda: clf.partial_fit(X, y + 1, sensitive_features=group)


def test_a_failed_fit_leaves_a_fitted_estimator_as_it_was(biased):
    X, y, group = biased
    clf = fit(biased)
    before, expected = copy.copy(vars(clf)), clf.decision_function(X)
    weights = [p.clone() for p in clf.module_.parameters()]
    optimizer = copy.deepcopy(clf.net_.optimizer_.state_dict())
    for call in failing_calls(clf, X, y, group):
        with pytest.raises(ValueError):
            call()
        clf.set_params(**{name: before[name] for name in clf.get_params(deep=False)})
        assert vars(clf) == before
        assert np.array_equal(clf.decision_function(X), expected)
        assert all(map(torch.equal, weights, clf.module_.parameters()))
        assert str(clf.net_.optimizer_.state_dict()) == str(optimizer)


def test_a_failed_first_fit_leaves_nothing(biased):
    X, y, group = biased
    clf = make(lr=1e30)
    with pytest.raises(ValueError, match="diverged"):
        clf.fit(X, y, sensitive_features=group)
    assert set(vars(clf)) == set(clf.get_params(deep=False))
    with pytest.raises(NotFittedError):
        clf.predict(X)


def test_an_interrupt_is_passed_on(biased, monkeypatch):
    X, y, group = biased
    clf = fit(biased)
    expected = clf.decision_function(X)

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("fairbinn_sklearn._training.update_rules.step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y, sensitive_features=group)
    assert np.array_equal(clf.decision_function(X), expected)


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda clf: pickle.loads(pickle.dumps(clf))])
def test_copies_predict_the_same_and_train_on_the_same(biased, copier):
    X, y, group = biased
    clf = fit(biased)
    copied = copier(clf)
    assert same_model(clf, copied, X)
    for model in (clf, copied):
        model.partial_fit(X, y, sensitive_features=group)
    assert same_model(clf, copied, X)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_pickle_is_small_and_holds_no_training_rows(biased, early_stopping):
    small, large = (fit(data, early_stopping=early_stopping) for data in (biased, make_data(6000)))
    assert abs(len(pickle.dumps(large)) - len(pickle.dumps(small))) < 20_000


def test_torch_default_dtype_plays_no_part(biased):
    expected = fit(biased, eta=10)
    torch.set_default_dtype(torch.float64)
    try:
        assert same_model(fit(biased, eta=10), expected, biased[0])
    finally:
        torch.set_default_dtype(torch.float32)


def test_clone_is_unfitted_with_the_same_parameters():
    clf = make(constraint=DemographicParity(), optimizer=torch.optim.SGD)
    cloned = clone(clf)
    assert cloned.optimizer is torch.optim.SGD
    assert isinstance(cloned.constraint, DemographicParity)
    assert cloned.constraint is not clf.constraint


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_fits_in_parallel_do_not_disturb_each_other(biased, backend):
    X, y, group = biased
    models = Parallel(n_jobs=2, backend=backend)(
        delayed(make(random_state=seed).fit)(X, y, sensitive_features=group) for seed in range(4)
    )
    for seed, clf in enumerate(models):
        assert same_model(clf, fit(biased, random_state=seed), X)


# History, progress, words


def test_history_is_what_was_measured(large):
    clf = fit(large, eta=10, max_epochs=15)
    table = pd.DataFrame(clf.history_)
    assert list(table["epoch"]) == list(range(1, 16))
    last = table.iloc[-1]
    assert last["decision_difference"] == pytest.approx(difference(clf, large), abs=0.02)
    assert last["score_difference"] == pytest.approx(score_difference(clf, large), abs=0.02)
    assert last["objective"] == pytest.approx(last["loss"] + 10 * last["fairness_loss"])
    assert last["fairness_loss"] == pytest.approx(last["decision_difference"] ** 2, rel=1e-4)


def test_history_has_the_same_figures_of_the_validation_part(biased):
    figures = {"loss", "fairness_loss", "decision_difference", "score_difference", "objective"}
    record = fit(biased, early_stopping=True).history_[-1]
    others = {"epoch", "fairness_step", "lr"}
    assert set(record) == others | figures | {"validation_" + name for name in figures}
    assert 0 <= record["validation_decision_difference"] <= 1


def test_validation_figures_are_those_of_the_validation_part(biased, monkeypatch):
    parts = []
    split_validation = labels.split_validation
    monkeypatch.setattr(
        "fairbinn_sklearn._classifier.split_validation",
        lambda *args: parts.extend(split_validation(*args)) or parts,
    )
    clf = fit(biased, eta=0, early_stopping=True, validation_fraction=0.3, lr=0.01, max_epochs=1)
    _, part = parts
    rows = part.X.numpy(), part.y.numpy(), part.groups.numpy()[:, 0]
    (record,) = clf.history_
    assert record["validation_decision_difference"] == pytest.approx(difference(clf, rows))
    assert record["validation_score_difference"] == pytest.approx(
        score_difference(clf, rows), rel=1e-5
    )
    assert record["validation_loss"] == pytest.approx(
        log_loss(rows[1], clf.predict_proba(rows[0])), rel=1e-5
    )


def test_validation_part_is_stratified_by_label_and_group(biased):
    X, y, group = biased
    codes = 1 * (group == "b")[:, None]
    rows = Samples(X, y.copy(), codes, np.ones(len(y)), None, torch.device("cpu"))
    train, part = labels.split_validation(rows, 0.25, np.random.RandomState(0))
    assert len(train) + len(part) == len(y)
    cells = [2 * rows.groups[:, 0] + rows.y for rows in (rows, part)]
    whole, held_out = (torch.bincount(cell, minlength=4) for cell in cells)
    torch.testing.assert_close(held_out.double(), whole.double() * 0.25, rtol=0, atol=1.0)


def test_both_players_follow_the_schedule(biased, monkeypatch):
    rates = []
    step = update_rules.bilevel

    def watched(net, batch):
        rates.append([o.param_groups[0]["lr"] for o in (net.optimizer_, net.fairness_optimizer_)])
        return step(net, batch)

    monkeypatch.setitem(update_rules.METHODS, "bilevel", watched)
    fit(biased, eta=1, lr=0.1, fairness_lr=0.02, max_epochs=4, batch_size=600)
    factors = (1 + np.cos(np.pi * np.arange(4) / 4)) / 2
    np.testing.assert_allclose(rates, factors[:, None] * [[0.1, 0.02]])


def test_batches_are_dealt_anew_each_epoch_and_by_random_state(biased):
    X, y, group = biased
    rows = Samples(X[:103], y[:103].copy(), None, np.arange(103), None, torch.device("cpu"))

    def epochs(seed):
        batches = Batches(rows, 25, np.random.default_rng(seed))
        return [[batch.weight for batch in batches] for _ in range(2)]

    (first, second), (other, _) = epochs(0), epochs(1)
    assert sorted(len(weight) for weight in first) == [20, 20, 21, 21, 21]
    orders = [torch.cat(epoch).tolist() for epoch in (first, second, other)]
    assert all(sorted(order) == list(range(103)) for order in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0]
    seeds = [fit(biased, random_state=seed).net_.rng.bit_generator.state for seed in (0, 1)]
    assert seeds[0] != seeds[1]


def test_a_loss_that_is_not_finite_stops_even_if_the_weights_are(biased, monkeypatch):
    X, y, group = biased

    def overflow(net, batch):
        return torch.tensor(float("inf"))

    monkeypatch.setitem(update_rules.METHODS, "bilevel", overflow)
    with pytest.raises(ValueError, match="the loss is inf, .* and the weights are finite"):
        fit(biased)


@pytest.mark.filterwarnings("ignore:sensitive_features has one group")
def test_partial_fit_on_chunks_sorted_by_group_stays_stable():
    X, y, group = make_data(6000)
    order = np.argsort(group, kind="stable")
    clf = make(eta=1)
    for chunk in np.array_split(order, 6):
        clf.partial_fit(X[chunk], y[chunk], [0, 1], sensitive_features=group[chunk])
    assert max(record["loss"] for record in clf.history_) < 1
    assert clf.score(X, y) > 0.65


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_torch_gradient_mode_of_the_caller_plays_no_part(biased, mode):
    with mode():
        inside = fit(biased, eta=10)
    assert same_model(inside, fit(biased, eta=10), biased[0])


def test_history_without_groups_has_no_differences(biased):
    X, y, _ = biased
    assert set(make(eta=0).fit(X, y).history_[0]) == {"epoch", "loss", "objective", "lr"}


def test_verbose_prints_a_row_an_epoch(biased, capsys):
    fit(biased)
    assert capsys.readouterr().out == ""
    fit(biased, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert "decision_difference" in lines[0]
    assert len(lines) == 2 + 3


def test_missing_sensitive_features_warn_or_raise(biased):
    X, y, _ = biased
    with pytest.warns(UserWarning, match="sensitive_features is None and eta is 1.0"):
        warned = make().fit(X, y)
    with pytest.raises(ValueError, match="sensitive_features is None"):
        make(missing_sensitive="raise").fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = make(eta=0, missing_sensitive="raise").fit(X, y)
    assert same_model(warned, plain, X)


def test_one_decision_for_everybody_is_told(large):
    X, y, group = large
    labels = np.where(y == 1, "yes", "no")
    with pytest.warns(
        ConvergenceWarning, match="The model predicts 4000 training rows are '(yes|no)'"
    ):
        clf = make(eta=1e4, equalize="scores").fit(X, labels, sensitive_features=group)
    assert len(set(clf.predict(X))) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(large, eta=3, max_epochs=15)
        make(eta=0, lr=1e-12).fit(X, labels, sensitive_features=group)  # not the fairness loss


def test_one_group_trains_for_accuracy_and_says_so(biased):
    X, y, _ = biased
    with pytest.warns(UserWarning, match="one group only"):
        clf = make().fit(X, y, sensitive_features=["all"] * len(y))
    assert same_model(clf, make(eta=0).fit(X, y), X)


def test_eta_zero_trains_all_parameters_for_accuracy(biased):
    X, y, group = biased
    trained = fit(biased, eta=0)
    untrained = fit(biased, eta=0, lr=1e-12, weight_decay=0)
    for old, new in zip(
        untrained.module_.fairness_parameters(), trained.module_.fairness_parameters(), strict=True
    ):
        assert not torch.allclose(old, new, atol=1e-4)


def test_import_leaves_optional_packages_alone():
    code = "import sys, fairbinn_sklearn; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# What a net keeps from one part to the next


class Gap:
    """A function that has a state of its own."""

    def __init__(self, power):
        self.power = power

    def __repr__(self):
        return f"Gap({self.power})"

    def __call__(self, scores, y, groups):
        rates = (scores @ groups) / groups.sum(0).clamp(min=1)
        return (rates.max() - rates.min()) ** self.power


@pytest.mark.parametrize(
    "before, after",
    [
        ({"constraint": Gap(1)}, {"constraint": Gap(2)}),
        ({"constraint": DemographicParity()}, {"constraint": DemographicParity(weight=2)}),
        ({"n_bins": {0: 2}}, {"n_bins": {0: 3}}),
        ({"optimizer__betas": (0.9, 0.9)}, {"optimizer__betas": (0.9, 0.99)}),
        ({"optimizer__betas": (0.9, 0.9)}, {"optimizer": "nadam"}),
    ],
    ids=str,
)
def test_what_stays_may_not_change_and_may_be_given_again(biased, before, after):
    X, y, _ = biased
    columns = X[:, 0]
    clf = make(**{"n_bins": {0: 2}, **before}).partial_fit(X, y, [0, 1], sensitive_features=columns)
    again = {name: copy.deepcopy(v) if name != "constraint" else v for name, v in before.items()}
    clf.set_params(**again).partial_fit(X, y, sensitive_features=columns)
    for later in (clf, pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)):
        later.partial_fit(X, y, sensitive_features=columns)
        with pytest.raises(ValueError, match=f"{next(iter(after))}.* cannot change from"):
            later.set_params(**after).partial_fit(X, y, sensitive_features=columns)


def test_a_loss_changed_in_place_is_noticed(biased):
    X, y, group = biased
    loss = DemographicParity()
    clf = make(constraint=loss).partial_fit(X, y, [0, 1], sensitive_features=group)
    loss.set_params(weight=3)
    with pytest.raises(ValueError, match="constraint cannot change"):
        clf.partial_fit(X, y, sensitive_features=group)


def test_what_cannot_be_pickled_goes_on_all_the_same(biased):
    X, y, group = biased
    clf = make(constraint=lambda scores, y, groups: (scores @ groups).var())
    for _ in range(2):
        clf.partial_fit(X, y, [0, 1], sensitive_features=group)
    copied = copy.deepcopy(clf).partial_fit(X, y, sensitive_features=group)
    clf.partial_fit(X, y, sensitive_features=group)
    assert same_model(clf, copied, X)
    with pytest.raises(ValueError, match="constraint cannot change"):
        clf.set_params(constraint=lambda scores, y, groups: scores.var()).partial_fit(
            X, y, sensitive_features=group
        )


def test_sorted_rows_do_not_look_like_one_decision_for_everybody():
    rng = np.random.default_rng(0)
    X = np.sort(rng.normal(size=(25_000, 1)), axis=0)
    y = (X[:, 0] > 1).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(max_epochs=2, lr=0.01).fit(X, y, sensitive_features=rng.integers(2, size=25_000))
