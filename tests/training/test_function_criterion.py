"""A function of scores, labels and groups as the criterion."""

import copy
import pickle

import numpy as np
import pytest
from conftest import fit, make, same_model, score_difference

from fairbinn_sklearn.losses import DemographicParity

SMALL = {"hidden_layer_sizes": (16,), "max_epochs": 8, "lr": 0.01, "batch_size": 256}


def largest_gap(scores, y, groups):
    rates = (scores @ groups) / groups.sum(0).clamp(min=1)
    return rates.max() - rates.min()


def test_the_value_of_the_function_falls_and_is_recorded(large):
    plain, fair = (fit(large, eta=eta, constraint=largest_gap, **SMALL) for eta in (0, 1))
    assert score_difference(fair, large) < 0.2 * score_difference(plain, large)
    last = fair.history_[-1]
    assert set(last) == {"epoch", "loss", "fairness_loss", "objective", "fairness_step", "lr"}
    assert last["fairness_loss"] == pytest.approx(score_difference(fair, large), abs=0.03)
    assert same_model(fair, pickle.loads(pickle.dumps(fair)), large[0])


def test_a_loss_called_as_function_is_the_loss_of_the_batch(biased):
    params = {"eta": 5, "batch_size": 200}
    as_loss = fit(
        biased, constraint=DemographicParity(), rate_window=0, equalize="scores", **params
    )
    as_function = fit(biased, constraint=DemographicParity().__call__, **params)
    np.testing.assert_allclose(
        as_loss.decision_function(biased[0]),
        as_function.decision_function(biased[0]),
        rtol=1e-3,
        atol=1e-4,
    )


def test_early_stopping_and_new_groups(biased):
    X, y, group = biased
    clf = fit(biased, constraint=largest_gap, early_stopping=True, eta=0.5)
    last = clf.history_[-1]
    assert last["validation_objective"] == pytest.approx(
        last["validation_loss"] + 0.5 * last["validation_fairness_loss"]
    )
    clf = make(constraint=largest_gap)
    clf.partial_fit(X, y, [0, 1], sensitive_features=group)
    clf.partial_fit(X, y, sensitive_features=np.where(group == "a", "c", group))
    assert clf.net_.criterion_.n_groups == [3]


def test_functions_are_recognised_by_their_name_between_calls_of_partial_fit(biased):
    X, y, group = biased
    clf = make(constraint=largest_gap).partial_fit(X, y, [0, 1], sensitive_features=group)
    moved = type(largest_gap)(largest_gap.__code__, largest_gap.__globals__, largest_gap.__name__)
    assert moved != largest_gap  # as in another process
    clf.set_params(constraint=moved).partial_fit(X, y, sensitive_features=group)
    with pytest.raises(ValueError, match="constraint must stay the same"):
        clf.set_params(constraint="equalized_odds").partial_fit(X, y, sensitive_features=group)


def test_lambdas_train_on_and_are_copied(biased):
    X, y, group = biased
    clf = make(constraint=lambda scores, y, groups: (scores @ groups).var())
    for _ in range(2):
        clf.partial_fit(X, y, [0, 1], sensitive_features=group)
    copied = copy.deepcopy(clf).partial_fit(X, y, sensitive_features=group)
    assert same_model(clf.partial_fit(X, y, sensitive_features=group), copied, X)
    clf.set_params(constraint=lambda scores, y, groups: (scores @ groups).var())
    with pytest.raises(ValueError, match="constraint must stay the same"):
        clf.partial_fit(X, y, sensitive_features=group)


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda scores, y, groups: 0.0, "constraint, as a function, must return a scalar"),
        (lambda scores, y, groups: scores, r"return a scalar.*a tensor of shape \(60,\)"),
        (lambda scores, y: scores.sum(), "must take scores, y and groups.*raised TypeError"),
        (lambda scores, y, groups: groups.sum(), "depends on the scores"),
    ],
)
def test_functions_that_return_no_loss_raise(biased, function, message):
    with pytest.raises(ValueError, match=message):
        fit(biased, constraint=function)
