"""Checks of X, and the samples that fit makes of its arguments."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from conftest import fit, make, same_model
from sklearn.pipeline import make_pipeline

from fairbinn_sklearn._data import validation
from fairbinn_sklearn._data.validation import check_data, encode_training_data
from fairbinn_sklearn._training.options import TrainingOptions
from fairbinn_sklearn.exceptions import MissingSensitiveFeaturesWarning
from fairbinn_sklearn.preprocessing import PiecewiseLinearEncoder, tabular_preprocessor


@pytest.mark.parametrize(
    "value, message", [(np.nan, "X contains NaN"), (np.inf, "infinity"), (1e300, "infinity")]
)
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_values_that_are_not_finite_in_float32_raise(biased, value, message, form):
    X, y, group = biased
    X = X.astype(float)
    X[3, 1] = value
    with pytest.raises(ValueError, match=message):
        fit((form(X), y, group))


def test_missing_values_name_the_preprocessor_that_takes_them(biased):
    X, y, group = biased
    frame = pd.DataFrame(X, columns=list("pqrs")).astype("Float64")
    frame.iloc[0, 0] = pd.NA
    message = r"^X must not have missing values.*begin a pipeline with tabular_preprocessor"
    with pytest.raises(ValueError, match=message):
        fit((frame, y, group))
    pipeline = make_pipeline(tabular_preprocessor(), make(max_epochs=1))
    pipeline.fit(frame, y, fairbinnclassifier__sensitive_features=group)
    with pytest.raises(ValueError, match=message):
        pipeline[-1].predict(np.full((2, pipeline[-1].n_features_in_), np.nan))
    with pytest.raises(ValueError, match="^y must not have missing values"):
        fit((X, np.where(y, 1.0, np.nan), group))


@pytest.mark.parametrize("dtype", ["str", "object", "category"])
def test_columns_of_strings_are_named(biased, dtype):
    X, y, group = biased
    frame = pd.DataFrame({"age": 1.0, "job": pd.Series(["clerk"] * len(y), dtype=dtype)})
    with pytest.raises(ValueError, match=r"X must have numeric columns, got \['job'\]. Encode"):
        fit((frame, y, group))
    with pytest.raises(ValueError, match=r"X must have numeric columns, got \[0\]. Encode"):
        fit((np.array([["clerk"]] * len(y)), y, group))


@pytest.mark.parametrize("dtype", ["datetime64[ns]", "timedelta64[ns]"])
def test_columns_of_times_are_named(biased, dtype):
    X, y, group = biased
    frame = pd.DataFrame({"when": np.arange(len(y)).astype(dtype)})
    message = r"X must not have columns of dates, times or time spans, got \['when'\]. Convert"
    with pytest.raises(ValueError, match=message):
        fit((frame, y, group))
    with pytest.raises(ValueError, match=message):
        PiecewiseLinearEncoder().fit(frame)


def test_missing_objects_are_missing_features(biased):
    X, y, group = biased
    X = X.astype(object)
    X[3, 1] = pd.NA
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fit((X, y, group))
    assert PiecewiseLinearEncoder().fit(X).has_missing_.tolist() == [False, True, False, False]


def test_data_frames_pass_their_names_and_match_by_position(biased, fitted):
    X, y, group = biased
    frame = pd.DataFrame(X, columns=list("pqrs"), index=np.arange(len(X))[::-1])
    sex = pd.Series(group, index=np.arange(len(X)) + 1000, name="sex")
    clf = make().fit(frame, pd.Series(y), sensitive_features=sex)
    assert list(clf.feature_names_in_) == list("pqrs")
    assert clf.n_features_in_ == 4
    assert clf.groups_.name == "sex"
    np.testing.assert_array_equal(clf.decision_function(frame), fitted.decision_function(X))


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X,
        lambda X: X.astype(np.float64),
        np.asfortranarray,
        lambda X: X[::2],
    ],
    ids=["float32", "float64", "by columns", "every second sample"],
)
def test_samples_of_floats_to_predict_need_no_checks_of_scikit_learn(
    biased, fitted, monkeypatch, change
):
    X = change(biased[0])
    expected = validation.validate_data(fitted, X, dtype=np.float32, order="C", reset=False)
    monkeypatch.setattr(validation, "validate_data", None)
    checked = check_data(fitted, X, reset=False, input_shape=(4,))
    assert (checked.dtype, checked.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_array_equal(checked, expected)


@pytest.mark.parametrize(
    "X, message",
    [
        (np.zeros((0, 4)), "minimum of 1 is required"),
        (np.zeros((3, 5)), "X has 5 features"),
        (np.zeros(4), "Expected 2D array"),
        (np.full((3, 4), 1e300), "infinity"),
        (np.full((3, 4), np.nan), "must not have missing values"),
    ],
)
def test_samples_that_cannot_be_predicted_raise(fitted, X, message):
    with pytest.raises(ValueError, match=message):
        fitted.predict(X)


@pytest.mark.parametrize(
    "dtype", [np.float64, np.float16, np.int8, bool, object], ids=lambda dtype: dtype.__name__
)
def test_x_of_any_numeric_type_is_float32(dtype):
    X = np.array([[0, 1], [1, 1]]).astype(dtype)
    checked = check_data(make(), X, reset=True)
    assert checked.dtype == np.float32
    assert np.array_equal(checked, [[0, 1], [1, 1]])


def test_samples_of_another_shape_than_the_networks_raise():
    with pytest.raises(ValueError, match=r"samples of shape \(3,\) as in fit, got \(2,\)"):
        check_data(make(), np.zeros((5, 2)), reset=True, input_shape=(3,))


# What fit makes of its arguments


def encode(data, sensitive_features=None, sample_weight=None, **params):
    X, y, _ = data
    known = params.pop("known_groups", None)
    return encode_training_data(
        X,
        y,
        sensitive_features,
        sample_weight,
        options=TrainingOptions.from_estimator(make(**params)),
        class_weight=None,
        device=torch.device("cpu"),
        dtype=torch.float32,
        features={"n_features_in_": 4},
        known_groups=known,
    )


def test_training_data_has_samples_classes_groups_and_features(biased, two_columns):
    X, y, _ = biased
    data = encode(biased, two_columns, combine="separate", sample_weight=np.full(len(y), 3.0))
    assert np.array_equal(data.samples.X, X)
    assert np.array_equal(data.samples.y, y)
    expected = np.column_stack([two_columns["group"] == "b", two_columns["age"] == "young"])
    assert np.array_equal(data.samples.groups, expected)
    assert (data.samples.weight == 1).all()
    assert (data.samples.sample_weight == 1).all()
    assert data.classes.tolist() == [0, 1]
    assert data.n_groups == [2, 2]
    assert data.has_groups
    assert data.features == {"n_features_in_": 4}


def test_known_groups_keep_their_codes_and_their_encoder(biased):
    group = biased[2]
    known = encode(biased, group).group_encoder
    data = encode(biased, np.where(group == "a", "A", "b"), known_groups=known)
    assert list(data.group_encoder.names_) == ["a", "b", "A"]
    assert list(known.names_) == ["a", "b"]
    assert set(data.samples.groups[:, 0].tolist()) == {1, 2}


@pytest.mark.filterwarnings("ignore:sensitive_features has one group")
@pytest.mark.parametrize("groups", [None, "one"])
def test_no_groups_to_equalise(biased, groups):
    one_group = None if groups is None else [groups] * len(biased[1])
    assert not encode(biased, one_group, eta=0).has_groups


@pytest.mark.parametrize(
    "params, message",
    [
        ({}, "sensitive_features is None and eta is 1.0: the network is trained for accuracy"),
        ({"eta": 3}, "eta is 3.0.*or set eta=0"),
        ({"fairness_target": 0.1}, "fairness_target is 0.1.*or set fairness_target=None and eta=0"),
    ],
    ids=str,
)
def test_missing_sensitive_features_warn(biased, params, message):
    with pytest.warns(MissingSensitiveFeaturesWarning, match=message):
        encode(biased, **params)


def test_missing_sensitive_features_raise_by_a_filter_and_eta_of_zero_needs_none(biased):
    X, y, _ = biased
    clf = make(max_epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", MissingSensitiveFeaturesWarning)
        with pytest.raises(MissingSensitiveFeaturesWarning, match="Pass fit"):
            clf.fit(X, y)
        assert not hasattr(clf, "net_")
        plain = make(max_epochs=1, eta=0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingSensitiveFeaturesWarning)
        assert same_model(clf.fit(X, y), plain, X)


@pytest.mark.parametrize("groups", ["sex", ["sex", "race"]])
def test_names_of_columns_instead_of_values_raise(biased, groups):
    X, y, _ = biased
    with pytest.raises(ValueError, match=r"pass X\["):
        fit((X, y, groups))


def test_ages_raise_with_the_line_that_makes_groups_of_them(biased):
    X, y, _ = biased
    age = pd.Series(np.arange(len(y)) % 51, name="age")
    with pytest.raises(ValueError, match=r"51 distinct numbers.*: age = pandas.qcut\(age, 4\)"):
        fit((X, y, age))
    assert len(fit((X, y, pd.qcut(age, 4)), max_epochs=1).groups_) == 4


@pytest.mark.parametrize("constraint", ["demographic_parity", "equal_opportunity"])
@pytest.mark.parametrize("pos_label", [0, 1])
def test_a_group_with_few_samples_in_a_rate_of_the_criterion_warns(biased, constraint, pos_label):
    """Group c has 40 samples, of which 10 have the label 1."""
    X, y, group = biased
    group = group.copy()
    group[np.flatnonzero(y == 1)[:10]] = group[np.flatnonzero(y == 0)[:30]] = "c"
    params = {"constraint": constraint, "pos_label": pos_label, "max_epochs": 1}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        fit((X, y, group), **params)
    messages = [str(w.message) for w in caught if "fewer than 30" in str(w.message)]
    expected = constraint == "equal_opportunity" and pos_label == 1
    assert len(messages) == expected
    assert all("1 group(s)" in m and "in a rate of constraint: 'c'" in m for m in messages)


def test_a_group_named_nan_warns(biased):
    X, y, group = biased
    mixed = np.array([np.nan, *group[1:]])
    mixed[1:40] = mixed[0]
    with pytest.warns(UserWarning, match="sensitive_features has the text 'nan' as a group"):
        fit((X, y, mixed), max_epochs=1)


def test_a_small_group_warns(biased):
    X, y, group = biased
    group = np.where(np.arange(len(y)) == 0, "c", group)
    with pytest.warns(UserWarning, match=r"1 group\(s\) of fewer than 30 samples: 'c'"):
        clf = fit((X, y, group), early_stopping=True)
    assert list(clf.groups_) == ["a", "b", "c"]
