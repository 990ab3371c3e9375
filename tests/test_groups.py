"""Sensitive features of any form become the same groups."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from fairbinn_sklearn._groups import encode_groups, group_index, warn_of_small_groups

VALUES = {
    "str": ["b", "a", "b", "c"],
    "int": [2, 1, 2, 3],
    "float": [2.5, 1.5, 2.5, 3.5],
    "bool": [True, False, True, True],
    "mixed": [2, "a", 2, None.__class__],
    "datetime": pd.to_datetime(["2020-02-01", "2020-01-01", "2020-02-01", "2020-03-01"]),
    "category": pd.Categorical(["b", "a", "b", "c"], categories=list("zabc")),
    "nullable": pd.array([2, 1, 2, 3], dtype="Int64"),
    "string": pd.array(["b", "a", "b", "c"], dtype="string"),
    "unicode": ["ü", "日本", "ü", ""],
}


def encode(sensitive_features, known=None):
    return encode_groups(group_index(sensitive_features, 4), known)


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_any_dtype(values):
    codes, names = encode(pd.Series(values))
    assert [names[code] for code in codes] == list(values)
    assert len(names) == len(set(values))


@pytest.mark.parametrize(
    "form",
    [
        list,
        tuple,
        np.array,
        lambda v: np.array(v, dtype=object),
        lambda v: np.array(v)[:, None],
        pd.Series,
        pd.Index,
        lambda v: pd.Series(v, index=[9, 9, 0, -1], name="g"),
        lambda v: pd.DataFrame({"g": v}),
        lambda v: {"g": v},
    ],
)
def test_any_container(form):
    codes, names = encode(form(VALUES["str"]))
    np.testing.assert_array_equal(codes, [1, 0, 1, 2])
    assert list(names) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "form",
    [
        list,
        lambda v: np.array(v, dtype=object),
        lambda v: pd.DataFrame(v, columns=["sex", "age"]),
        lambda v: pd.DataFrame(v, columns=["same", "same"]),
        lambda v: {"sex": [s for s, _ in v], "age": [a for _, a in v]},
    ],
)
def test_several_columns_mean_their_intersection(form):
    codes, names = encode(form([("m", 1), ("f", 1), ("m", 2), ("m", 1)]))
    assert list(names) == [("f", 1), ("m", 1), ("m", 2)]
    np.testing.assert_array_equal(codes, [1, 0, 2, 1])


def test_codes_do_not_depend_on_the_order_of_rows():
    codes, names = encode(["b", "a", "c", "b"])
    other_codes, other_names = encode(["c", "b", "b", "a"])
    assert list(names) == list(other_names)
    np.testing.assert_array_equal(names[codes], ["b", "a", "c", "b"])


def test_names_keep_the_names_of_columns():
    _, names = encode(pd.DataFrame({"sex": list("mfmf"), "age": [1, 1, 2, 2]}))
    assert list(names.names) == ["sex", "age"]


@pytest.mark.parametrize("columns", [1, 2])
def test_known_groups_keep_their_codes_and_new_ones_follow(columns):
    def wide(values):
        return values if columns == 1 else [(value, 0) for value in values]

    _, names = encode(wide(["b", "d", "b", "d"]))
    codes, all_names = encode(wide(["a", "d", "c", "b"]), names)
    first = [name if columns == 1 else name[0] for name in all_names]
    assert first == ["b", "d", "a", "c"]
    np.testing.assert_array_equal(codes, [2, 1, 3, 0])


@pytest.mark.parametrize(
    "bad, message",
    [
        (["a", "b", "a"], "same number of rows, got 3 and 4"),
        (["a", None, "a", "b"], "missing values, got 1 in column 0"),
        (np.array([1, np.nan, np.nan, 2.0]), "missing values, got 2"),
        (pd.DataFrame({"g": pd.array([1, None, 2, 3], dtype="Int64")}), "1 in column 'g'"),
        (np.zeros((4, 0)), "at least one column"),
        (np.zeros((4, 1, 1)), "one or two dimensions, got 3"),
        ("abcd", "not the name of a column, got 'abcd'"),
        (np.array(3), "one or two dimensions, got 0"),
        (sp.csr_array(np.eye(4)), "must be dense"),
        ({"g": ["a", np.nan, "b", "a"]}, "missing values, got 1 in column 'g'"),
        ({"g": "a"}, "not the name of a column, got 'a'"),
        ({"g": list("abab"), "h": list("aba")}, "columns of one length"),
        ({"g": np.zeros((4, 2))}, "columns of one length"),
        (pd.MultiIndex.from_arrays([["x", None, "x", "y"], [1, 2, 1, 2]]), "missing values"),
        (np.ma.masked_equal([0, 1, 1, 0], 0), "masked array"),
        ([["a"], ["b", "c"], ["a"], ["b"]], "values such as strings or numbers"),
        ([{"a": 1}, {}, {}, {}], "values such as strings or numbers"),
    ],
)
def test_bad_sensitive_features(bad, message):
    with pytest.raises(ValueError, match="sensitive_features") as error:
        encode(bad)
    assert message in str(error.value)


def test_other_number_of_columns_than_before():
    _, names = encode(VALUES["str"])
    with pytest.raises(ValueError, match=r"must have 1 column\(s\) as before, got 2"):
        encode([("a", 1)] * 4, names)


@pytest.mark.parametrize(
    "values, message",
    [
        (["a"] * 4, "one group only, 'a'"),
        (["a", "a", "b", "c"], r"2 group\(s\) of fewer than 2 rows: 'b', 'c'"),
    ],
)
def test_warnings_of_small_groups(values, message):
    with pytest.warns(UserWarning, match=message):
        warn_of_small_groups(*encode(values))


def test_no_warning_of_groups_that_suffice():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_small_groups(*encode(["a", "a", "b", "b"]))


def test_other_columns_than_before():
    frame = pd.DataFrame({"sex": list("mfmf"), "age": [1, 1, 2, 2]})
    _, names = encode(frame)
    with pytest.raises(
        ValueError, match=r"columns \['sex', 'age'\] as before, got \['age', 'sex'\]"
    ):
        encode(frame[["age", "sex"]], names)
    codes, _ = encode(frame.to_numpy(), names)  # names are not told
    np.testing.assert_array_equal(codes, encode(frame, names)[0])
