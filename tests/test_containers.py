"""Every entry point refuses samples in another order; the state of the caller has no effect."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import fit, make

from fairbinn_sklearn import FairBiNNClassifierCV, fairness_path
from fairbinn_sklearn.metrics import FairnessScorer, fairness_scoring


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
    clf = make().fit(X, np.asarray(y), sensitive_features=group)
    return FairnessScorer("equalized_odds_difference", sensitive_features=group)(clf, X, y)


@pytest.mark.parametrize("entry_point", ["fit", "partial_fit", "path", "cv", "scorer"])
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


@pytest.mark.parametrize("labels", [["no", "yes"], [2, 3]])
def test_labels_of_another_type_than_classes_are_an_error(fitted, biased, labels):
    X, y, group = biased
    with pytest.raises(ValueError, match=r"y must have the classes \[0, 1\] and no others"):
        FairnessScorer(sensitive_features=group)(fitted, X, np.array(labels)[y])


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
