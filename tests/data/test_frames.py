"""Containers of other libraries become pandas objects and arrays with the same values."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from fairbinn_sklearn._data.frames import (
    nan_if_missing,
    non_numeric_columns,
    time_columns,
    to_container,
    to_pandas,
)
from fairbinn_sklearn._data.groups import GroupEncoder, sensitive_frame

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")

DAY = datetime.date(2020, 1, 1)
LARGE = 2**53  # floats cannot hold the next integer


@pytest.mark.parametrize(
    "make",
    [pl.Series, lambda v: pa.chunked_array([v]), pa.array],
    ids=["polars", "chunked", "Arrow"],
)
@pytest.mark.parametrize(
    "values", [[1, 2], [LARGE, None, LARGE + 1], [DAY, None], ["a", None], [True, None]], ids=str
)
def test_columns_of_other_libraries_keep_their_values(make, values):
    column = to_pandas(make(values))
    assert [None if pd.isna(value) else value for value in column] == values


def test_large_integers_stay_different_groups_if_one_is_missing():
    for make in (pl.Series, pa.array, lambda v: pl.DataFrame({"g": v})):
        frame = sensitive_frame(make([LARGE, None, LARGE + 1]), 3)
        assert GroupEncoder().fit_transform(frame)[:, 0].tolist() == [0, -1, 1]


def test_lists_keep_the_types_of_their_values_and_masks_become_missing():
    assert to_container([1, "a", None]).tolist() == [1, "a", None]
    assert to_container(np.ma.array([1, 2], mask=[True, False])).tolist() == [None, 2]


@pytest.mark.parametrize(
    "values", [[1.0, None], [1.0, pd.NA], [1.0, pd.NaT], [Decimal(1), None]], ids=str
)
def test_missing_features_become_nan(values):
    objects = np.array(values, dtype=object)[:, None]
    for X in (objects, objects.tolist(), pd.DataFrame(objects)):
        np.testing.assert_array_equal(np.asarray(nan_if_missing(X), dtype=float), [[1.0], [np.nan]])
    strings = pd.DataFrame({"a": pd.array(["1", None], dtype="string")})
    assert np.isnan(float(nan_if_missing(strings)["a"][1]))


def test_masked_features_become_nan():
    X = np.ma.array([[1, 2]], mask=[[True, False]])
    np.testing.assert_array_equal(nan_if_missing(X), [[np.nan, 2.0]])


def test_time_columns_are_those_of_a_type_of_times():
    day = pd.Timestamp(DAY)
    frame = pd.DataFrame({"t": [day], "span": [day - day], "number": [1.0], "text": ["a"]})
    assert time_columns(frame) == ["t", "span"]
    assert time_columns(pl.DataFrame({"d": [DAY], "n": [1]})) == ["d"]
    assert time_columns(pa.table({"d": [DAY], "n": [1]})) == ["d"]
    assert time_columns(np.zeros((2, 2), dtype="datetime64[s]")) == [0, 1]
    assert time_columns([[1.0]]) == []


def test_non_numeric_columns_of_any_container():
    values = {"a": [1.0, 2.0], "b": ["x", "y"]}
    for make in (pd.DataFrame, pl.DataFrame, pa.table):
        assert non_numeric_columns(make(values)) == ["b"]
    assert non_numeric_columns([[1.0, "x"], [2.0, None]]) == [1]
    assert non_numeric_columns([[1.0, DAY]]) == [1]
    assert non_numeric_columns([[Decimal(1), None]]) == []
    assert non_numeric_columns(["x"]) == []
