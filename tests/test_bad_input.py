"""Errors of bad input name the parameter, its allowed values and the value."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import fit, make
from sklearn.exceptions import NotFittedError

from fairbinn_sklearn._training.update_rules import METHODS
from fairbinn_sklearn.losses import FairnessLoss

BAD_PARAMETERS = [
    ("eta", -1, "range [0"),
    ("eta", float("nan"), "range [0"),
    ("eta", float("inf"), "range [0"),
    ("eta", "much", "range [0"),
    ("eta", 10**400, "fits a float"),
    ("weight_decay", 10**400, "fits a float"),
    ("constraint", "parity", "'demographic_parity'"),
    ("method", "unknown", "'bilevel'"),
    ("n_unroll_steps", 0, "range [1"),
    ("equalize", "rank", "'decisions'"),
    ("rate_window", -1, "range [0"),
    ("rate_window", 0.5, "int"),
    ("combine", "each", "'separate'"),
    ("hidden_layer_sizes", (128, 0), "positive integer"),
    ("fairness_layer_sizes", (), "at least one"),
    ("fairness_position", 3, "from -3 to 2"),
    ("fairness_position", 0.5, "int"),
    ("activation", "none", "'relu'"),
    ("optimizer", "best", "'adam'"),
    ("optimizer", torch.optim.LBFGS, "without a closure"),
    ("lr", 0, "range (0"),
    ("lr", float("inf"), "range (0"),
    ("weight_decay", -1, "range [0"),
    ("fairness_optimizer", 3, "'sgd'"),
    ("fairness_optimizer", torch.optim.LBFGS, "without a closure"),
    ("fairness_lr", -1, "range (0"),
    ("fairness_max_step", 0, "range (0"),
    ("fairness_target", 0, "range (0"),
    ("target_samples", "test", "'validation'"),
    ("lr_schedule", "linear", "'cosine'"),
    ("max_epochs", 0, "range [1"),
    ("batch_size", 0, "range [1"),
    ("batch_size", "all", "'auto'"),
    ("early_stopping", "yes", "bool"),
    ("validation_fraction", 1.0, "range (0"),
    ("n_iter_no_change", 0, "range [1"),
    ("tol", -1, "range [0"),
    ("class_weight", "equal", "'balanced'"),
    ("device", "gpu", '"auto"'),
    ("device", "cpu:7", "available"),
    ("warm_start", "yes", "bool"),
    ("checkpoint", 3, "str"),
    ("verbose", -1, "range [0"),
    ("random_state", -1, "range [0"),
]


@pytest.mark.parametrize(
    "name, value, allowed",
    BAD_PARAMETERS,
    ids=lambda value: getattr(value, "__name__", str(value)),  # no addresses: they change
)
def test_bad_parameters_raise(biased, name, value, allowed):
    with pytest.raises(ValueError, match=f"(?s){name}.*{re.escape(allowed)}") as error:
        fit(biased, **{name: value})
    assert (value.__name__ if isinstance(value, type) else repr(value)) in str(error.value)


def test_all_parameters_are_in_the_table():
    others = {"module", "fairness_modules", "pos_label", "threshold"}  # have tests elsewhere
    assert {name for name, *_ in BAD_PARAMETERS} | others == set(make().get_params())


def events_of(function):
    class WrongEvents(FairnessLoss):
        def events(self, y, n_classes):
            return function(y)

    return WrongEvents()


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda y: y == 1, r"constraint must have events.*WrongEvents.events returned \(2,\)"),
        (lambda y: (y == 1).float()[None], r"booleans.*returned \(1, 2\), torch.float32"),
        (lambda y: (y == 1).numpy()[None], r"booleans.*returned \(1, 2\), bool"),
        (lambda y: None, "returned None"),
        (
            lambda y: torch.ones(len(y) // 2, len(y), dtype=torch.bool),
            "the same number of events for any samples.*1 for 2 samples and 2 for 4",
        ),
    ],
)
def test_losses_with_wrong_events_raise(biased, function, message):
    with pytest.raises(ValueError, match=message):
        fit(biased, constraint=events_of(function))


@pytest.mark.parametrize(
    "params",
    [{"lr": 1e30}, {"optimizer": "sgd", "lr": 1e20}, {"eta": 1e38, "optimizer": "sgd"}],
    ids=str,
)
def test_divergence_names_the_epoch_and_what_to_lower(biased, params):
    with pytest.raises(ValueError, match=r"diverged in epoch 1.*Lower lr \(now .*eta \(now"):
        fit(biased, equalize="scores", **params)


def test_a_loss_that_is_not_finite_raises_even_if_the_weights_are(biased, monkeypatch):
    monkeypatch.setitem(METHODS, "bilevel", lambda net, batch: torch.tensor(float("inf")))
    with pytest.raises(ValueError, match="the loss is inf, .* and the weights are finite"):
        fit(biased)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_bad_samples_to_predict_raise(biased, fitted, method):
    X, y, group = biased
    with pytest.raises(NotFittedError):
        getattr(make(), method)(X)
    predict = getattr(fitted, method)
    with pytest.raises(ValueError, match="X has 3 features.*expecting 4"):
        predict(X[:, :3])
    with pytest.raises(ValueError, match="X contains NaN"):
        predict(np.full((2, 4), np.nan))
    with pytest.raises(ValueError, match="X must have values that the network can take, got val"):
        predict(np.full((3, 4), 3e38))


def test_other_feature_names_than_in_fit_raise(biased):
    X, y, group = biased
    clf = fit((pd.DataFrame(X, columns=list("pqrs")), y, group), max_epochs=1)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(pd.DataFrame(X, columns=list("pqsr")))
    with pytest.warns(UserWarning, match="valid feature names"):
        clf.predict(X)


def test_warm_start_needs_the_same_layers_and_classes(biased):
    clf = fit(biased, warm_start=True, max_epochs=1)
    X, y, group = biased
    with pytest.raises(ValueError, match=r"y must have the classes \[0, 1\] and no others.*2"):
        clf.fit(X, y + 1, sensitive_features=group)
    with pytest.raises(ValueError, match="warm_start=True needs the layers"):
        clf.set_params(hidden_layer_sizes=(3,)).fit(X, y, sensitive_features=group)


@pytest.mark.parametrize(
    "params, classes, message",
    [
        ({"early_stopping": True}, [0, 1], "early_stopping must be False for partial_fit.*True"),
        (
            {"target_samples": "validation", "fairness_target": 0.1},
            [0, 1],
            'target_samples must be "training" for partial_fit.*validation',
        ),
        ({"class_weight": "balanced"}, [0, 1], 'class_weight must be a dict or None.*"balanced"'),
        ({}, None, "classes must be passed in the first call of partial_fit, got None"),
        ({}, [5, 6], r"y must have the classes \[5, 6\] and no others, got \[0, 1\]"),
    ],
    ids=str,
)
def test_bad_first_calls_of_partial_fit_raise(biased, params, classes, message):
    X, y, group = biased
    with pytest.raises(ValueError, match=message):
        make(**params).partial_fit(X, y, classes, sensitive_features=group)


def test_later_calls_of_partial_fit_need_the_same_features(biased):
    X, y, group = biased
    clf = make().partial_fit(X, y, [0, 1], sensitive_features=group)
    with pytest.raises(ValueError, match="X has 2 features"):
        clf.partial_fit(X[:, :2], y, sensitive_features=group)
