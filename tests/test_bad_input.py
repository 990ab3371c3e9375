"""Bad input gets an error that names the parameter, what was got and what is allowed."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.exceptions import NotFittedError

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.losses import FairnessLoss


def fit(data, **params):
    X, y, group = data
    clf = FairBiNNClassifier(**{"max_epochs": 1, "device": "cpu", "random_state": 0, **params})
    return clf.fit(X, y, sensitive_features=group)


class FairnessLossOf(FairnessLoss):
    def events(self, y, n_classes):
        return (y == y)[None]


class NeedsArguments(torch.optim.Optimizer):
    def __init__(self, params, rate):
        super().__init__(params, {"rate": rate})


BAD_PARAMETERS = [
    ("eta", -1, "range [0"),
    ("eta", float("nan"), "range [0"),
    ("eta", float("inf"), "range [0"),
    ("eta", "much", "range [0"),
    ("eta", 10**400, "fits a float"),
    ("weight_decay", 10**400, "fits a float"),
    ("constraint", "parity", "'demographic_parity'"),
    ("constraint", [], "a list of these"),
    ("constraint", FairBiNNClassifier, "FairnessLoss"),
    ("constraint", FairnessLossOf, "Pass an instance"),
    ("method", "unknown", "'bilevel'"),
    ("equalize", "rank", "'decisions'"),
    ("rate_window", -1, "range [0"),
    ("rate_window", 0.5, "int"),
    ("hidden_layer_sizes", 0, "positive integer"),
    ("hidden_layer_sizes", (128, 0), "positive integer"),
    ("hidden_layer_sizes", (1.5,), "positive integer"),
    ("hidden_layer_sizes", "128", "positive integer"),
    ("hidden_layer_sizes", (True,), "positive integer"),
    ("fairness_layer_sizes", 0, "positive integer"),
    ("fairness_layer_sizes", (), "at least one"),
    ("fairness_position", 3, "from -3 to 2"),
    ("fairness_position", -4, "from -3 to 2"),
    ("fairness_position", 0.5, "int"),
    ("activation", "none", "'relu'"),
    ("activation", torch.relu, "torch.nn"),
    ("activation", torch.nn.Threshold, "without arguments"),
    ("activation", torch.nn.Module, "take a tensor"),
    ("activation", lambda: None, "torch.nn"),
    ("optimizer", "best", "'adam'"),
    ("optimizer", torch.optim.LBFGS, "without a closure"),
    ("optimizer", NeedsArguments, "must take lr and weight_decay"),
    ("optimizer", torch.optim.SparseAdam, "must take lr and weight_decay"),
    ("lr", 0, "range (0"),
    ("lr", float("inf"), "range (0"),
    ("weight_decay", -1, "range [0"),
    ("fairness_optimizer", 3, "'sgd'"),
    ("fairness_optimizer", torch.optim.LBFGS, "without a closure"),
    ("fairness_lr", -1, "range (0"),
    ("fairness_max_step", 0, "range (0"),
    ("lr_schedule", "linear", "'cosine'"),
    ("max_epochs", 0, "range [1"),
    ("batch_size", 0, "range [1"),
    ("batch_size", "all", "'auto'"),
    ("early_stopping", "yes", "bool"),
    ("validation_fraction", 1.0, "range (0"),
    ("n_iter_no_change", 0, "range [1"),
    ("tol", -1, "range [0"),
    ("class_weight", "equal", "'balanced'"),
    ("class_weight", {0: -1, 1: 1}, "finite weights"),
    ("class_weight", {0: np.nan, 1: 1}, "finite weights"),
    ("class_weight", {0: 0, 1: 0}, "not all 0"),
    ("missing_sensitive", "ignore", "'warn'"),
    ("device", "gpu", '"auto"'),
    ("device", "meta", '"auto"'),
    ("device", 3.5, '"auto"'),
    ("device", "cpu:7", "not there"),
    ("device", "cuda:99", "not there"),
    ("warm_start", "yes", "bool"),
    ("verbose", -1, "range [0"),
    ("random_state", -1, "range [0"),
]


@pytest.mark.parametrize(
    "name, value, allowed",
    BAD_PARAMETERS,
    ids=lambda value: getattr(value, "__name__", str(value)),  # no addresses: they change
)
def test_parameter(biased, name, value, allowed):
    with pytest.raises(ValueError, match=f"(?s){name}.*{re.escape(allowed)}") as error:
        fit(biased, **{name: value})
    shown = value.__name__ if isinstance(value, type) else repr(value)
    assert shown in str(error.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:1"])
def test_device_that_is_not_there(biased, device):
    with pytest.raises(ValueError, match="device='cuda.*is not there: torch sees 0"):
        fit(biased, device=device)


@pytest.mark.parametrize(
    "value, message", [(np.nan, "X contains NaN"), (np.inf, "infinity"), (1e300, "infinity")]
)
@pytest.mark.parametrize("sparse", [False, True])
def test_values_of_x(biased, value, message, sparse):
    X, y, group = biased
    X = X.astype(float)
    X[3, 1] = value
    X = sp.csr_array(X) if sparse else X
    with pytest.raises(ValueError, match=message):
        fit((X, y, group))


@pytest.mark.parametrize("dtype", ["str", "object", "category"])
def test_x_of_words(biased, dtype):
    X, y, group = biased
    frame = pd.DataFrame({"age": 1.0, "job": pd.Series(["clerk"] * len(y), dtype=dtype)})
    with pytest.raises(ValueError, match=r"X must have numeric columns, got \['job'\]; encode"):
        fit((frame, y, group))
    with pytest.raises(ValueError, match="could not convert string to float"):
        fit((np.array([["clerk"]] * len(y)), y, group))


@pytest.mark.parametrize(
    "y, message",
    [
        (lambda y: y[:-1], "inconsistent numbers of samples"),
        (lambda y: np.zeros_like(y), r"y must have two classes or more, got one class only: \[0\]"),
        (lambda y: y + 0.5 * (np.arange(len(y)) % 7), "continuous"),
        (lambda y: np.column_stack([y, y]), "1d array"),
        (lambda y: np.where(y == 1, np.nan, 0.0), "y contains NaN"),
        (lambda y: None, "requires y"),
    ],
)
def test_labels(biased, y, message):
    X, labels, group = biased
    with pytest.raises(ValueError, match=message):
        fit((X, y(labels), group))


@pytest.mark.parametrize(
    "values, message",
    [
        (np.array([None, "a"], object), "y must not have missing values, got 291"),
        (pd.array(["a", None], dtype="string"), "y must not have missing values"),
        (pd.array([1, None], dtype="Int64"), "y must not have missing values"),
        (np.array([1, "a"], object), "y must have labels of one type|Unknown label type"),
    ],
)
def test_labels_with_holes_or_of_several_types(biased, values, message):
    X, y, group = biased
    y = np.resize([0, 1], len(y)) if "291" not in message else y
    with pytest.raises(ValueError, match=message.replace("291", str(np.sum(y == 0)))):
        fit((X, values[y], group))


@pytest.mark.parametrize("classes", [[0, None], ["0", 1], [[0, 1]]])
def test_odd_classes_of_partial_fit(biased, classes):
    X, y, group = biased
    with pytest.raises(ValueError, match="classes|y must|label"):
        FairBiNNClassifier(device="cpu").partial_fit(X, y, classes, sensitive_features=group)


class OneDimensional(FairnessLoss):
    def events(self, y, n_classes):
        return y == 1


@pytest.mark.parametrize(
    "loss, message",
    [
        (FairnessLossOf(weight=0), "'weight' parameter of FairnessLossOf must be.*Got 0"),
        (FairnessLossOf(weight=np.nan), "'weight' parameter of FairnessLossOf"),
        (
            FairnessLossOf(aggregation="sum"),
            "'aggregation' parameter of FairnessLossOf must be.*'mean'",
        ),
        (["demographic_parity", "parity"], "got 'parity'"),
        ([FairnessLossOf(), lambda *args: 0], "constraint, as a list, must hold names"),
        (lambda scores, y, groups: 0.0, "constraint, as a function, must return a scalar"),
        (
            lambda scores, y, groups: scores,
            r"must return a scalar.*a tensor of shape \(60,\)",
        ),
        (lambda scores, y: scores.sum(), "must take scores, y and groups.*raised TypeError"),
        (lambda scores, y, groups: groups.sum(), "depends on the scores"),
    ],
)
def test_losses(biased, loss, message):
    with pytest.raises(ValueError, match=message):
        fit(biased, constraint=loss)


def events_of(function):
    class Odd(FairnessLoss):
        def events(self, y, n_classes):
            return function(y)

    return Odd()


@pytest.mark.parametrize(
    "constraint, message",
    [
        (OneDimensional(), r"constraint must have events.*OneDimensional.events gave \(2,\)"),
        (events_of(lambda y: (y == 1).float()[None]), r"booleans.*gave \(1, 2\), torch.float32"),
        (events_of(lambda y: (y == 1).numpy()[None]), r"booleans.*gave \(1, 2\), bool"),
        (events_of(lambda y: None), "gave None"),
        (
            events_of(lambda y: torch.ones(len(y) // 2, len(y), dtype=torch.bool)),
            "the same number of events for any rows.*1 for 2 rows and 2 for 4",
        ),
    ],
)
def test_constraint_with_odd_events(biased, constraint, message):
    with pytest.raises(ValueError, match=message):
        fit(biased, constraint=constraint)


def test_names_of_columns_in_the_place_of_values(biased):
    X, y, _ = biased
    with pytest.raises(
        ValueError, match=r"got 2 and 600\. For names of columns, pass X\[\[...\]\]"
    ):
        fit((X, y, ["sex", "race"]))


def test_predicting_what_overflows(biased):
    clf = fit(biased)
    with pytest.raises(ValueError, match="X has values so large"):
        clf.predict(np.full((3, 4), 3e38))


def test_partial_fit_refuses_what_a_net_cannot_change(biased):
    X, y, group = biased
    clf = FairBiNNClassifier(device="cpu").partial_fit(X, y, [0, 1], sensitive_features=group)
    for name, value in {
        "activation": "tanh",
        "equalize": "scores",
        "weight_decay": 0.5,
        "hidden_layer_sizes": (3,),
    }.items():
        before = clf.get_params()[name]
        with pytest.raises(ValueError, match=f"{name} cannot change from"):
            clf.set_params(**{name: value}).partial_fit(X, y, sensitive_features=group)
        clf.set_params(**{name: before})
    clf.set_params(eta=3, lr=0.01, batch_size=50).partial_fit(X, y, sensitive_features=group)


def test_rows_of_sensitive_features(biased):
    X, y, group = biased
    with pytest.raises(ValueError, match="same number of rows, got 599 and 600"):
        fit((X, y, group[1:]))


def test_missing_values_among_the_groups(biased):
    X, y, group = biased
    holes = pd.Series(group, name="sex").mask(np.arange(len(y)) % 10 == 0)
    with pytest.raises(ValueError, match="missing values, got 60 in column 'sex'"):
        fit((X, y, holes))


def test_tiny_group_warns_and_trains(biased):
    X, y, group = biased
    group = np.where(np.arange(len(y)) == 0, "c", group)
    with pytest.warns(UserWarning, match=r"1 group\(s\) of fewer than 2 rows: 'c'"):
        clf = fit((X, y, group), eta=10, early_stopping=True, random_state=0)
    assert np.isfinite(clf.decision_function(X)).all()


@pytest.mark.parametrize(
    "params",
    [
        {"lr": 1e30},
        {"optimizer": "sgd", "lr": 1e20},
        {"eta": 1e38, "optimizer": "sgd"},
    ],
    ids=str,
)
def test_divergence_names_the_epoch_and_what_to_lower(biased, params):
    with pytest.raises(ValueError, match=r"diverged in epoch 1.*Lower lr \(now .*eta \(now"):
        fit(biased, **{"random_state": 0, "equalize": "scores", **params})


def test_early_stopping_with_too_few_rows(biased):
    X, y, group = (array[:8] for array in biased)
    with pytest.raises(ValueError, match="early_stopping=True cannot set validation_fraction=0.1"):
        fit((X, y, group), early_stopping=True)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_predicting(biased, method):
    X, y, group = biased
    with pytest.raises(NotFittedError):
        getattr(FairBiNNClassifier(), method)(X)
    clf = fit((pd.DataFrame(X, columns=list("pqrs")), y, group))
    with pytest.raises(ValueError, match="feature names should match"):
        getattr(clf, method)(pd.DataFrame(X, columns=list("pqsr")))
    with (
        pytest.raises(ValueError, match="X has 3 features.*expecting 4"),
        pytest.warns(UserWarning, match="valid feature names"),
    ):
        getattr(clf, method)(X[:, :3])
    with (
        pytest.raises(ValueError, match="X contains NaN"),
        pytest.warns(UserWarning, match="valid feature names"),
    ):
        getattr(clf, method)(np.full((2, 4), np.nan))


def test_warm_start_with_other_layers(biased):
    clf = fit(biased, warm_start=True)
    X, y, group = biased
    with pytest.raises(ValueError, match="warm_start=True needs the layers"):
        clf.set_params(hidden_layer_sizes=(3,)).fit(X, y, sensitive_features=group)


def test_warm_start_with_other_classes(biased):
    clf = fit(biased, warm_start=True)
    X, y, group = biased
    with pytest.raises(ValueError, match=r"y must have the classes \[0, 1\] and no others.*2"):
        clf.fit(X, y + 1, sensitive_features=group)


def test_partial_fit(biased):
    X, y, group = biased
    clf = FairBiNNClassifier(device="cpu")
    with pytest.raises(ValueError, match="early_stopping=False, got True"):
        FairBiNNClassifier(early_stopping=True).partial_fit(X, y, [0, 1], sensitive_features=group)
    with pytest.raises(ValueError, match="classes must be given in the first call"):
        clf.partial_fit(X, y, sensitive_features=group)
    with pytest.raises(ValueError, match="no others, got"):
        clf.partial_fit(X, y, classes=[5, 6], sensitive_features=group)
    with pytest.raises(ValueError, match='class_weight="balanced" needs all rows'):
        clf.set_params(class_weight="balanced").partial_fit(
            X, y, classes=[0, 1], sensitive_features=group
        )
    clf.set_params(class_weight=None).partial_fit(X, y, classes=[0, 1], sensitive_features=group)
    with pytest.raises(ValueError, match=r"must have the classes \[0, 1\] and no others, got \[7"):
        clf.partial_fit(X, y, classes=[7, 8], sensitive_features=group)
    with pytest.raises(ValueError, match="X has 2 features"):
        clf.partial_fit(X[:, :2], y, sensitive_features=group)
