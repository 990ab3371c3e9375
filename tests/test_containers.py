"""Every entry point refuses samples in another order; the state of the caller has no effect."""

from decimal import Decimal

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import fit, make

from fairbinn_sklearn import FairBiNNClassifierCV, fairness_path
from fairbinn_sklearn.inspection import AuditDisplay, ParetoFrontDisplay, diagnose
from fairbinn_sklearn.metrics import FairnessScorer, fairness_scoring

matplotlib.use("agg")


def use(name, X, y, group):
    """Return what an entry point gives for the arguments."""
    if name == "fit":
        return make().fit(X, y, sensitive_features=group).predict_proba(X)
    if name == "partial_fit":
        return make().partial_fit(X, y, [0, 1], sensitive_features=group).predict_proba(X)
    if name == "path":
        return fairness_path(X, y, group, etas=[0, 3], estimator=make()).figures.to_numpy()
    if name == "cv":
        clf = FairBiNNClassifierCV([0, 3], estimator=make(), cv=2, bound=1)
        return clf.fit(X, y, sensitive_features=group).score(X, y)
    truth = (np.asarray(X)[:, 0] > 1).astype(int)
    return use_fitted(name, make().fit(X, truth, sensitive_features=group), X, y, group)


def use_fitted(name, clf, X, y, group):
    """Return the result of an entry point that takes a fitted classifier."""
    groups = {"sensitive_features": group}
    if name == "score":
        return clf.score(X, y)
    if name == "scorer":
        return FairnessScorer("equalized_odds_difference", **groups)(clf, X, y)
    if name == "diagnose":
        frame = diagnose(clf, X, y, **groups, n_boot=1, random_state=0).to_frame()
        return frame["value"].to_numpy()
    if name == "audit":
        display = AuditDisplay.from_estimator(clf, X, y, **groups, n_boot=1, random_state=0)
        values = display.rates["after"].to_numpy()
    else:
        display = ParetoFrontDisplay.from_estimators([clf], X, y, **groups)
        values = np.concatenate([display.differences, display.scores])
    plt.close(display.figure_)
    return values


INSPECTION = ["audit", "diagnose", "front"]
ENTRY_POINTS = ["fit", "partial_fit", "path", "cv", "score", "scorer", *INSPECTION]


def polars_series(y):
    return pytest.importorskip("polars").Series("y", y)


LABELS = {
    "object": lambda y: y.astype(object),
    "column": lambda y: y[:, None],
    "frame": lambda y: pd.DataFrame({"y": y}),
    "nullable": lambda y: pd.Series(y, dtype="Int64"),
    "polars": polars_series,
}


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@pytest.mark.parametrize("form", LABELS)
@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_labels_of_any_form_mean_the_same(biased, entry_point, form):
    X, y, group = biased
    expected = use(entry_point, X, y, group)
    np.testing.assert_array_equal(use(entry_point, X, LABELS[form](y), group), expected)


@pytest.mark.parametrize("entry_point", [name for name in ENTRY_POINTS if name != "score"])
@pytest.mark.parametrize("order_of", ["X", "y"])
def test_samples_in_another_order_are_an_error(biased, entry_point, order_of):
    X, y, group = biased
    order = np.random.default_rng(0).permutation(len(y))
    X, y = (pd.DataFrame(X).iloc[order], y) if order_of == "X" else (X, pd.Series(y).iloc[order])
    with pytest.raises(ValueError, match=rf"in the order of {order_of}, got the same index") as e:
        use(entry_point, X, y, pd.Series(group))
    assert f"sensitive_features.loc[{order_of}.index]" in str(e.value)


def test_aligned_frames_of_one_order_are_fine(biased):
    X, y, group = biased
    order = np.random.default_rng(0).permutation(len(y))
    X, y, group = pd.DataFrame(X).iloc[order], pd.Series(y).iloc[order], pd.Series(group)
    expected = use("fit", X.to_numpy(), y.to_numpy(), group.to_numpy()[order])
    np.testing.assert_array_equal(use("fit", X, y, group.loc[X.index]), expected)


@pytest.mark.parametrize("entry_point", ["partial_fit", "scorer", *INSPECTION])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: np.array(["no", "yes"])[y], r"y must have the classes \[0, 1\] and no others"),
        (lambda y: y.astype(str), r"y must have the classes \[0, 1\] .* got \['0', '1'\]"),
        (lambda y: y + 2, r"y must have the classes \[0, 1\] and no others, got \[2, 3\]"),
        (lambda y: y + 0.5, "Unknown label type: continuous"),
        (lambda y: [Decimal(int(value)) for value in y], "y must have labels of one type"),
        (lambda y: np.where(y == 1, 1, np.nan), "y must not have missing values"),
        (lambda y: np.where(y == 1, 1, None), "y must not have missing values, got"),
        (lambda y: np.column_stack([y, y]), "y must have one dimension, got the shape"),
        (lambda y: y[:-1], r"inconsistent numbers of samples: \[600, 599\]"),
        (lambda y: None, "y (must|to) be passed"),
    ],
    ids=["words", "text", "numbers", "floats", "decimals", "NaN", "None", "2d", "short", "no y"],
)
def test_labels_that_do_not_fit_are_the_same_error(fitted, biased, entry_point, change, message):
    X, y, group = biased
    with pytest.raises(ValueError, match=message):
        if entry_point == "partial_fit":
            use(entry_point, X, change(y), group)
        else:
            use_fitted(entry_point, fitted, X, change(y), group)


WEIGHTS = {
    "list": lambda weight: weight.tolist(),
    "series": lambda weight: pd.Series(weight, index=np.arange(len(weight))[::-1]),
    "nullable": lambda weight: pd.Series(weight, dtype="Float64"),
    "object": lambda weight: weight.astype(object),
    "polars": lambda weight: pytest.importorskip("polars").Series(weight),
}


@pytest.mark.parametrize("form", WEIGHTS)
def test_weights_of_any_form_mean_the_same(fitted, biased, form):
    X, y, group = biased
    weight = np.random.default_rng(0).exponential(size=len(y))

    def results(sample_weight):
        options = {"sensitive_features": group, "sample_weight": sample_weight}
        boot = {"n_boot": 1, "random_state": 0}
        audit = AuditDisplay.from_estimator(fitted, X, y, **options, **boot)
        plt.close(audit.figure_)
        report = diagnose(fitted, X, y, **options, **boot)
        clf = make().fit(X, y, **options)
        scorer = FairnessScorer()
        return [
            *audit.rates["after"].to_numpy().ravel(),
            *report.to_frame()["value"],
            *clf.predict_proba(X)[:3].ravel(),
            scorer(fitted, X, y, **options),
        ]

    np.testing.assert_array_equal(results(WEIGHTS[form](weight)), results(weight))


# The state of the caller


@pytest.mark.parametrize(
    "state",
    [
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        torch.inference_mode,
        torch.no_grad,
        lambda: torch.device("meta"),
    ],
    ids=["autocast", "inference mode", "no grad", "default device"],
)
def test_torch_state_of_the_caller_has_no_effect(biased, state):
    X = biased[0]
    expected = fit(biased, eta=5)
    with state():
        clf = fit(biased, eta=5)
        probabilities = clf.predict_proba(X)
    np.testing.assert_array_equal(probabilities, expected.predict_proba(X))
    assert all(not param.is_inference() for param in clf.module_.parameters())


def test_default_dtype_of_the_caller_has_no_effect(biased):
    expected = fit(biased, eta=5).predict_proba(biased[0])
    torch.set_default_dtype(torch.float64)
    try:
        probabilities = fit(biased, eta=5).predict_proba(biased[0])
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(probabilities, expected)


def test_log_probabilities(biased):
    X, y, group = biased
    for labels in (y, np.digitize(X.sum(1), [0, 2])):
        clf = make().fit(X, labels, sensitive_features=group)
        np.testing.assert_allclose(clf.predict_log_proba(X), np.log(clf.predict_proba(X)), 1e-6)


def test_scoring_has_the_selection_rate_of_each_candidate(biased):
    X, y, group = biased
    scorer = fairness_scoring()["selection_rate"]
    clf = fit(biased)
    rate = scorer(clf, X, y, sensitive_features=group)
    assert rate == pytest.approx((clf.predict(X) == 1).mean())
