"""GroupEncoder: sensitive features of any form become the same groups."""

import re
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import fit, make
from fairlearn.metrics import MetricFrame, selection_rate

from fairbinn_sklearn._data.groups import (
    GroupEncoder,
    sensitive_frame,
    warn_of_missing_as_text,
    warn_of_small_groups,
)


def encode(sensitive_features, combine="intersection"):
    """Return the codes of samples and the encoder that learned their groups."""
    columns = sensitive_features
    n_samples = len(next(iter(columns.values())) if isinstance(columns, dict) else columns)
    frame = sensitive_frame(columns, n_samples)
    encoder = GroupEncoder(combine)
    return encoder.fit_transform(frame), encoder


def names_of_samples(codes, encoder):
    """Return the name of the group of each sample."""
    return [encoder.names_[code] for code in codes[:, 0]]


VALUES = {
    "str": ["b", "a", "b", "c"],
    "int": [2, 1, 2, 3],
    "float": [2.5, 1.5, 2.5, 3.5],
    "bool": [True, False, True, True],
    "decimal": [Decimal("2.5"), Decimal("1.5"), Decimal("2.5"), Decimal("3")],
    "several types": [2, "a", 2, int],
    "datetime": pd.to_datetime(["2020-02-01", "2020-01-01", "2020-02-01", "2020-03-01"]),
    "interval": pd.cut([5, 1, 5, 9], [0, 3, 6, 10]),
    "tuple": pd.Series([("b", 1), ("a", 1), ("b", 1), ("b", 2)]),
    "category": pd.Categorical(["b", "a", "b", "c"], categories=list("zabc")),
    "nullable": pd.array([2, 1, 2, 3], dtype="Int64"),
    "string": pd.array(["b", "a", "b", "c"], dtype="string"),
    "unicode": ["ü", "日本", "ü", ""],
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_values_of_any_type_are_groups(values):
    codes, encoder = encode(pd.Series(values))
    assert names_of_samples(codes, encoder) == list(values)
    assert encoder.n_groups == [len(set(values))]


@pytest.mark.parametrize(
    "container",
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
@pytest.mark.parametrize("combine", ["intersection", "separate"])
def test_any_container_has_the_same_groups(container, combine):
    codes, encoder = encode(container(VALUES["str"]), combine)
    assert codes.tolist() == [[1], [0], [1], [2]]
    assert encoder.names_.tolist() == ["a", "b", "c"] and encoder.names_.nlevels == 1


def test_equal_values_are_one_group_and_their_text_is_another():
    codes, encoder = encode([1, 1.0, True, np.float32(1), "1", "1.0"])
    assert codes[:, 0].tolist() == [0, 0, 0, 0, 1, 2]
    assert encoder.n_groups == [3]


def test_codes_do_not_depend_on_the_order_of_the_samples():
    codes, encoder = encode(["b", "a", "c", "b"])
    assert encoder.names_.tolist() == encode(["c", "b", "b", "a"])[1].names_.tolist()
    assert names_of_samples(codes, encoder) == ["b", "a", "c", "b"]


@pytest.mark.parametrize(
    ("ordered", "names"), [(True, ["low", "mid", "high"]), (False, ["high", "low", "mid"])]
)
def test_ordered_categories_keep_their_order(ordered, names):
    categories = ["none", "low", "mid", "high"]
    values = pd.Categorical(["high", "low", "mid", "low"], categories, ordered=ordered)
    codes, encoder = encode(values)
    assert encoder.names_.tolist() == names
    assert names_of_samples(codes, encoder) == list(values)


# Several columns


@pytest.mark.parametrize(
    "container",
    [
        list,
        lambda v: np.array(v, dtype=object),
        lambda v: pd.DataFrame(v, columns=["sex", "age"]),
        lambda v: pd.DataFrame(v, columns=["same", "same"]),
        lambda v: pd.DataFrame(v, columns=[0, ("age", 1)]),
        lambda v: {"sex": [s for s, _ in v], "age": [a for _, a in v]},
    ],
)
def test_intersection_has_the_combinations_that_occur(container):
    codes, encoder = encode(container([("m", 1), ("f", 1), ("m", 2), ("m", 1)]))
    assert encoder.names_.tolist() == [("f", 1), ("m", 1), ("m", 2)]
    assert codes[:, 0].tolist() == [1, 0, 2, 1]


FRAME = pd.DataFrame({"sex": list("mfmf"), "site": ["x", "x", "y", "x"]})


def test_separate_has_the_groups_of_each_column():
    codes, encoder = encode(FRAME, "separate")
    assert codes.tolist() == [[1, 0], [0, 0], [1, 1], [0, 0]]
    assert encoder.names_.tolist() == [("sex", "f"), ("sex", "m"), ("site", "x"), ("site", "y")]
    assert encoder.names_.names == ["column", "group"]
    assert [names.tolist() for names in encoder.names_by_partition] == [["f", "m"], ["x", "y"]]
    assert [names.name for names in encoder.names_by_partition] == ["sex", "site"]
    assert encode(FRAME)[1].names_.names == ["sex", "site"]


def test_separate_needs_columns_of_different_names():
    with pytest.raises(ValueError, match=r"columns of different names .*\['s', 's'\]"):
        encode(FRAME.set_axis(["s", "s"], axis=1), "separate")


@pytest.mark.parametrize("combine", ["intersection", "separate"])
def test_columns_must_be_those_of_fit(combine):
    _, encoder = encode(FRAME, combine)
    for method in (encoder.partial_fit, encoder.transform):
        with pytest.raises(ValueError, match=r"the columns \['sex', 'site'\] as before, got"):
            method(FRAME[["site", "sex"]])
        with pytest.raises(ValueError, match=r"must have 2 column\(s\) as before, got 1"):
            method(FRAME[["sex"]])


def test_columns_without_names_are_matched_by_position():
    codes, encoder = encode(FRAME)
    np.testing.assert_array_equal(encoder.transform(sensitive_frame(FRAME.to_numpy(), 4)), codes)


# More samples


@pytest.mark.parametrize("n_columns", [1, 2])
def test_partial_fit_appends_new_groups(n_columns):
    def frame(values):
        return pd.DataFrame({"g": values, "h": 0}).iloc[:, :n_columns]

    encoder = GroupEncoder().partial_fit(frame(["b", "d", "b", "d"]))
    more = frame(["a", "d", "c", "b"])
    extended = encoder.extended(more)
    assert extended.names_.get_level_values(0).tolist() == ["b", "d", "a", "c"]
    assert extended.transform(more)[:, 0].tolist() == [2, 1, 3, 0]
    assert encoder.names_.get_level_values(0).tolist() == ["b", "d"]
    assert encoder.partial_fit(more).names_.equals(extended.names_)


def test_partial_fit_appends_new_groups_of_each_column():
    _, encoder = encode(FRAME, "separate")
    more = pd.DataFrame({"sex": ["d", "m"], "site": ["x", "a"]})
    assert encoder.partial_fit(more).transform(more).tolist() == [[2, 0], [1, 2]]
    assert [names.tolist() for names in encoder.names_by_partition] == [list("fmd"), list("xya")]


@pytest.mark.parametrize("combine", ["intersection", "separate"])
@pytest.mark.parametrize("more", [("q", "x"), ("f", "y")], ids=["value", "combination"])
def test_transform_refuses_groups_that_were_not_learned(combine, more):
    _, encoder = encode(FRAME, combine)
    more = pd.DataFrame([more], columns=FRAME.columns)
    if combine == "separate" and more["sex"][0] == "f":
        assert encoder.transform(more).tolist() == [[0, 1]]
    else:
        with pytest.raises(ValueError, match="must have groups that were learned by fit"):
            encoder.transform(more)


@pytest.mark.parametrize("combine", ["intersection", "separate"])
@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_plain_state_has_the_same_groups(values, combine):
    frame = pd.DataFrame({"g": values, "h": [0, 1, 0, 0]})
    codes, encoder = encode(frame, combine)
    again = GroupEncoder.from_plain(encoder.to_plain())
    pd.testing.assert_index_equal(again.names_, encoder.names_)
    np.testing.assert_array_equal(again.transform(frame), codes)


# Errors and warnings


@pytest.mark.parametrize(
    "bad, message",
    [
        (["a", "b", "a"], "same number of samples, got 3 and 4"),
        (["sex", "age"], r"got 2 and 4. To name columns, pass X[[...]] instead"),
        ({"g": [None] * 4}, "known values, got only missing ones in the column 'g'"),
        (np.zeros((4, 0)), "at least one column"),
        (np.zeros((4, 1, 1)), "one or two dimensions, got 3"),
        (np.array(3), "one or two dimensions, got 0"),
        ("abcd", "not the name of a column, got 'abcd'"),
        ({"g": "a"}, "not the name of a column, got 'a'"),
        ({"g": list("abab"), "h": list("aba")}, "columns of one length"),
        ({"g": np.zeros((4, 2))}, "columns of one length"),
        (sp.csr_array(np.eye(4)), "must be dense"),
        ([["a"], ["b", "c"], ["a"], ["b"]], "values such as strings or numbers"),
        ([{"a": 1}, {}, {}, {}], "values such as strings or numbers"),
    ],
)
def test_invalid_sensitive_features(bad, message):
    with pytest.raises(ValueError, match=f"^sensitive_features.*{re.escape(message)}"):
        GroupEncoder().fit(sensitive_frame(bad, 4))


NUMBERS = np.arange(51) / 4
TIMES = pd.Series(pd.date_range("2020-01-01", periods=51))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (NUMBERS, "numbers"),
        (NUMBERS.astype(object), "numbers"),
        (pd.array(NUMBERS), "numbers"),
        ([Decimal(int(4 * number)) for number in NUMBERS], "numbers"),
        ([*NUMBERS.tolist(), "unknown"], "numbers"),
        (TIMES, "times"),
        (TIMES.astype(object), "times"),
        (TIMES.dt.date, "times"),
        (TIMES - TIMES[0], "times"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
@pytest.mark.parametrize("combine", ["intersection", "separate"])
def test_more_than_50_numbers_or_times_are_an_error(values, kind, combine):
    frame = pd.DataFrame({"age": values})
    with pytest.raises(ValueError, match=f"got 51 distinct {kind} in the column 'age'"):
        encode(frame, combine)
    assert encode(frame[1:], combine)[1].n_groups == [len(frame) - 1]


def test_the_error_of_many_numbers_says_how_to_make_groups():
    age = pd.Series(range(60), name="age")
    with pytest.raises(ValueError, match="Make groups of them before fit") as error:
        encode(age)
    names = {"age": age, "pandas": pd}
    exec(str(error.value).rpartition(": ")[2], names)
    _, encoder = encode(names["age"])
    assert [group.right for group in encoder.names_] == [14.75, 29.5, 44.25, 59]


def test_numbers_of_all_parts_count():
    encoder = GroupEncoder().fit(pd.DataFrame({"sex": list("mf"), 0: [0, 1]}))
    with pytest.raises(ValueError, match="got 51 distinct numbers in the column 0.*values = pan"):
        encoder.partial_fit(pd.DataFrame({"sex": "f", 0: range(2, 51)}))
    assert encoder.n_groups == [2]


@pytest.mark.parametrize("dtype", [str, "category"])
def test_strings_and_categories_may_have_more_than_50_values(dtype):
    assert encode(pd.Series(range(60)).astype(dtype))[1].n_groups == [60]


@pytest.mark.parametrize(
    ("values", "weight", "message"),
    [
        (["a"] * 4, None, "one group only, 'a': there is nothing to equalise, and the network"),
        (["a"] * 30 + ["b", "c"], None, r"2 group\(s\) of fewer than 30 samples: 'b', 'c'"),
        (
            ["a", "a", "b", "b"],
            np.array([1.0, 2, 0, 0]),
            r"1 group\(s\) whose samples all have sample_weight 0, such as 'b'",
        ),
        (
            pd.DataFrame({"g": list("ab") * 30, "s": "n"}),
            None,
            "one group only in column 's', 'n': there is nothing to equalise by it",
        ),
    ],
)
def test_warnings_of_small_groups(values, weight, message):
    codes, encoder = encode(values, "separate")
    with pytest.warns(UserWarning, match=message) as caught:
        warn_of_small_groups(codes, encoder, weight)
    assert len(caught) == 1


def test_groups_with_few_samples_of_an_event_warn():
    codes, encoder = encode(["a"] * 60 + ["b"] * 60)
    label = np.arange(120) % 2 == 0
    label[:2] = False
    with pytest.warns(UserWarning, match=r"1 group\(s\) of fewer than 30 samples in a rate.*: 'a'"):
        warn_of_small_groups(codes, encoder, in_event=np.stack([label, ~label]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_small_groups(codes, encoder, in_event=~label[None])


@pytest.mark.parametrize("text", ["nan", "NaN", "<NA>", "NaT"])
def test_the_text_of_a_missing_value_warns(text):
    with pytest.warns(UserWarning, match=f"sensitive_features has the text '{text}' as a group"):
        warn_of_missing_as_text(encode([text, "f"])[1])


def test_missing_values_and_other_names_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_missing_as_text(encode([np.nan, "f", "None", "nano"])[1])


def test_no_warning_of_30_samples_in_each_group():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_small_groups(*encode(["a", "b"] * 30), np.ones(60))


# The estimator


@pytest.mark.parametrize("combine", ["intersection", "separate"])
def test_partial_fit_of_the_classifier_appends_groups(biased, combine):
    X, y, group = biased
    clf = make(combine=combine)
    n_groups = []
    for shift in range(3):
        columns = pd.DataFrame({"g": group, "part": (np.arange(600) % 2 + shift).astype(str)})
        clf.partial_fit(X, y, [0, 1], sensitive_features=columns)
        n_groups.append(len(clf.groups_))
    assert n_groups == ([4, 6, 8] if combine == "intersection" else [4, 5, 6])
    assert clf.net_.criterion_.counts.shape == (1, n_groups[-1])
    other = {"intersection": "separate", "separate": "intersection"}[combine]
    with pytest.raises(ValueError, match="combine must stay the same"):
        clf.set_params(combine=other).partial_fit(X, y, sensitive_features=columns)


def test_predictions_can_be_audited_by_groups_that_fit_did_not_see(biased, fitted):
    X, y, group = biased
    audit = MetricFrame(
        metrics=selection_rate,
        y_true=y,
        y_pred=fitted.predict(X),
        sensitive_features=np.where(np.arange(600) % 3, group, "unseen"),
    )
    assert list(audit.by_group.index) == ["a", "b", "unseen"]


@pytest.mark.slow
def test_a_group_of_40_of_10000_samples_reaches_the_rate_of_the_others():
    """With running rates. Those of single batches leave the rate of the small group to chance."""

    def draw(codes, seed):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(len(codes), 4)).astype(np.float32)
        X[:, 0] += codes
        X[:, 1] = codes == 2
        return X, (X[:, [0, 2, 3]].sum(1) + rng.normal(size=len(codes)) > 0.7).astype(int), codes

    train = draw(np.repeat([0, 1, 2], [5960, 4000, 40]), 0)
    X, _, group = draw(np.repeat([0, 1, 2], 5000), 1)
    settings = {"none": {"eta": 0}, "running": {"eta": 10}, "batch": {"eta": 10, "rate_window": 0}}
    rates = {name: [] for name in settings}
    for name, params in settings.items():
        for seed in range(3):
            predictions = fit(train, random_state=seed, max_epochs=10, **params).predict(X)
            rates[name].append([predictions[group == g].mean() for g in range(3)])
    rates = {name: np.array(values) for name, values in rates.items()}
    assert np.ptp(rates["none"], axis=1).min() > 0.4
    assert np.ptp(rates["running"], axis=1).max() < 0.2
    assert rates["running"].std(0)[2] < 0.6 * rates["batch"].std(0)[2]
