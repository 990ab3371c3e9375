"""Samples of unknown groups count in the accuracy loss and in no rate."""

import numpy as np
import pandas as pd
import pytest
from conftest import difference, fit, make, make_data
from fairlearn.metrics import demographic_parity_difference

from fairbinn_sklearn import FairBiNNClassifierCV, fairness_path
from fairbinn_sklearn._data.groups import UNKNOWN, GroupEncoder, sensitive_frame
from fairbinn_sklearn.metrics import FairnessScorer

FORMS = {
    "list": ["b", None, "a"],
    "object array": np.array(["b", np.nan, "a"], dtype=object),
    "floats": np.array([2.0, np.nan, 1.0]),
    "masked array": np.ma.MaskedArray(["b", "?", "a"], mask=[0, 1, 0]),
    "string": pd.Series(["b", pd.NA, "a"], dtype="string"),
    "nullable": pd.Series([2, pd.NA, 1], dtype="Int64"),
    "times": pd.to_datetime(["2020-02-01", None, "2020-01-01"]),
    "categories": pd.Categorical(["b", None, "a"]),
    "frame": pd.DataFrame({"sex": ["b", None, "a"]}),
    "dict": {"sex": ["b", float("nan"), "a"]},
}


@pytest.mark.parametrize("form", FORMS)
def test_missing_values_of_any_form_are_unknown(form):
    frame = sensitive_frame(FORMS[form], 3)
    encoder = GroupEncoder().fit(frame)
    assert encoder.transform(frame).ravel().tolist() == [1, UNKNOWN, 0]
    assert encoder.n_groups == [2]


@pytest.mark.parametrize("form", ["DataFrame", "Series"])
def test_polars(form):
    polars = pytest.importorskip("polars")
    values = polars.Series("sex", ["b", None, "a"])
    frame = sensitive_frame(values if form == "Series" else polars.DataFrame([values]), 3)
    assert list(frame) == ["sex"]
    assert GroupEncoder().fit_transform(frame).ravel().tolist() == [1, UNKNOWN, 0]


def test_several_features():
    frame = pd.DataFrame({"sex": ["m", "f", None, "m"], "age": ["old", None, "old", "young"]})
    together = GroupEncoder().fit(frame)
    assert together.transform(frame).ravel().tolist() == [0, UNKNOWN, UNKNOWN, 1]
    separate = GroupEncoder("separate").fit_transform(frame)
    assert separate.tolist() == [[1, 0], [0, UNKNOWN], [UNKNOWN, 0], [1, 1]]


def test_a_feature_without_a_known_value_is_an_error(biased):
    X, y, _ = biased
    with pytest.raises(ValueError, match="must have known values, got only missing ones"):
        make().fit(X, y, sensitive_features=np.full(len(y), None))


def with_unknown(group, share, seed=0):
    unknown = np.random.default_rng(seed).random(len(group)) < share
    return np.where(unknown, None, group)


def test_unknown_at_random_changes_the_result_by_noise_only(large):
    X, y, group = large
    partly = fit((X, y, with_unknown(group, 0.3)), eta=10, max_epochs=10)
    known = fit(large, eta=10, max_epochs=10)
    assert partly.n_unknown_ in range(800, 1000)
    assert partly.groups_.tolist() == ["a", "b"]
    assert known.n_unknown_ == 0
    assert difference(partly, large) == pytest.approx(difference(known, large), abs=0.04)
    assert partly.score(X, y) == pytest.approx(known.score(X, y), abs=0.02)


@pytest.mark.slow
def test_keeping_samples_of_unknown_groups_beats_dropping_them(large):
    X, y, group = large
    test = make_data(3000, seed=1)
    sparse = with_unknown(group, 0.95)
    is_known = np.array([value is not None for value in sparse])
    kept = make(eta=1, max_epochs=10).fit(X, y, sensitive_features=sparse)
    dropped = fit((X[is_known], y[is_known], group[is_known]), eta=1, max_epochs=10)
    assert kept.score(*test[:2]) > dropped.score(*test[:2]) + 0.01


def test_partial_fit_takes_parts_of_which_no_group_is_known(biased):
    X, y, group = biased
    clf = make(eta=10).partial_fit(X, y, [0, 1], sensitive_features=with_unknown(group, 0.5))
    before = clf.net_.criterion_.rates(0).clone()
    clf.partial_fit(X, y, sensitive_features=np.full(len(y), None))
    assert clf.n_unknown_ == len(y)
    np.testing.assert_allclose(clf.net_.criterion_.rates(0), before, rtol=1e-5)


def test_metrics_leave_unknown_groups_out_and_accuracy_does_not(biased):
    X, y, group = biased
    partly = with_unknown(group, 0.4)
    is_known = np.array([value is not None for value in partly])
    path = fairness_path(X, y, partly, etas=[0, 10], estimator=make())
    predictions = path[0].predict(X)
    expected = demographic_parity_difference(
        y[is_known], predictions[is_known], sensitive_features=group[is_known]
    )
    row = path.to_frame().iloc[0]
    assert row["demographic_parity_difference"] == pytest.approx(expected)
    assert row["accuracy"] == pytest.approx((predictions == y).mean())
    score = FairnessScorer(sensitive_features=partly)(path[0], X, y)
    assert score == pytest.approx(-expected)
    search = FairBiNNClassifierCV([0, 10], estimator=make(), cv=2, bound=1)
    search.fit(X, y, sensitive_features=partly)
    assert (search.cv_results_["mean_test_demographic_parity_difference"] < 0).all()
