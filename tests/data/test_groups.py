"""Sensitive features of any form become the same groups."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from fairlearn.metrics import MetricFrame, selection_rate

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn._data.groups import (
    cut_into_bins,
    encode_groups,
    names_by_column,
    sensitive_frame,
    warn_of_small_groups,
)

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
    codes, names = encode_groups(sensitive_frame(sensitive_features, 4), "intersection", known)
    return codes[:, 0], names


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
        warn(values)


def test_no_warning_of_groups_that_suffice():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn(["a", "a", "b", "b"])


def warn(values):
    codes, names = encode(values)
    warn_of_small_groups(codes[:, None], [names])


def test_groups_without_weight_are_told():
    codes, names = encode(["a", "a", "b", "b"])
    with pytest.warns(UserWarning, match="1 group.s. whose rows all have sample_weight 0, such as"):
        warn_of_small_groups(codes[:, None], [names], np.array([1.0, 2.0, 0.0, 0.0]))


@pytest.mark.parametrize("form", [lambda t: t, lambda t: t.astype(object), lambda t: t - t[0]])
def test_many_times_are_likely_no_groups(form):
    times = pd.Series(pd.date_range("2020-01-01", periods=60))
    with pytest.raises(ValueError, match="60 distinct times in the column 0, more than max_gro"):
        cut_into_bins(pd.DataFrame({0: form(times)}), 4, 50)
    assert cut_into_bins(pd.DataFrame({0: form(times)}), 4, 60)[0][0].nunique() == 60


def test_one_value_in_one_of_two_columns():
    frame = pd.DataFrame({"g": list("aabb"), "s": list("nnnn")})
    codes, names = encode_groups(frame, "separate")
    with pytest.warns(UserWarning, match="one group only in column 's', 'n': .* equalise by it"):
        warn_of_small_groups(codes, names_by_column(names, "separate"))


def test_other_columns_than_before():
    frame = pd.DataFrame({"sex": list("mfmf"), "age": [1, 1, 2, 2]})
    _, names = encode(frame)
    with pytest.raises(
        ValueError, match=r"columns \['sex', 'age'\] as before, got \['age', 'sex'\]"
    ):
        encode(frame[["age", "sex"]], names)
    codes, _ = encode(frame.to_numpy(), names)  # names are not told
    np.testing.assert_array_equal(codes, encode(frame, names)[0])


# Each column on its own


FRAME = pd.DataFrame({"sex": list("mfmf"), "site": ["x", "x", "y", "x"]})


def test_each_column_has_groups_of_its_own():
    codes, names = encode_groups(FRAME, "separate")
    np.testing.assert_array_equal(codes, [[1, 0], [0, 0], [1, 1], [0, 0]])
    assert names.tolist() == [("sex", "f"), ("sex", "m"), ("site", "x"), ("site", "y")]
    assert [one.tolist() for one in names_by_column(names, "separate")] == [["f", "m"], ["x", "y"]]


def test_each_column_takes_new_groups_behind_its_own():
    _, names = encode_groups(FRAME, "separate")
    later = pd.DataFrame({"sex": ["d", "m"], "site": ["x", "a"]})
    codes, names = encode_groups(later, "separate", names)
    np.testing.assert_array_equal(codes, [[2, 0], [1, 2]])
    assert [one.tolist() for one in names_by_column(names, "separate")] == [
        list("fmd"),
        list("xya"),
    ]


def test_one_column_is_the_same_by_either_word():
    for combine in ("separate", "intersection"):
        codes, names = encode_groups(FRAME[["sex"]], combine)
        np.testing.assert_array_equal(codes, [[1], [0], [1], [0]])
        assert names.tolist() == ["f", "m"] and names.nlevels == 1


def test_columns_on_their_own_need_names_that_differ_and_stay():
    with pytest.raises(ValueError, match=r"columns of different names.*\['s', 's'\]"):
        encode_groups(FRAME.set_axis(["s", "s"], axis=1), "separate")
    _, names = encode_groups(FRAME, "separate")
    with pytest.raises(ValueError, match=r"columns \['sex', 'site'\] as before, got \['site'"):
        encode_groups(FRAME[["site", "sex"]], "separate", names)


# Continuous columns


AGES = pd.DataFrame({"age": np.arange(20, 80), "sex": ["f", "m"] * 30})


def test_bins_hold_equally_many_rows_and_any_later_value():
    frame, edges = cut_into_bins(AGES, 4, 50)
    assert list(edges) == ["age"]
    np.testing.assert_array_equal(edges["age"], [-np.inf, 34, 49, 64, np.inf])
    assert frame["age"].astype(str).value_counts().tolist() == [15] * 4
    assert frame["sex"].tolist() == AGES["sex"].tolist()
    later = pd.DataFrame({"age": [-5.5, 34.0, 34.5, 1e9], "sex": list("fmfm")})
    cut, same = cut_into_bins(later, 4, 50, known=edges)
    assert same is edges
    assert [interval.right for interval in cut["age"]] == [34, 34, 49, np.inf]
    codes, names = encode_groups(frame[["age"]], "intersection")
    assert [interval.right for interval in names] == [34, 49, 64, np.inf]
    with pytest.raises(ValueError, match="must be finite where n_bins cuts them.*'age'"):
        cut_into_bins(later.assign(age=-np.inf), 4, 50, known=edges)
    with pytest.raises(ValueError, match=r"column\(s\) \['age'\] as before, got \['sex'\]"):
        cut_into_bins(later[["sex"]], None, 50, known=edges)
    assert list(pd.cut(AGES["age"], edges["age"])) == list(frame["age"])


def test_bins_by_name_of_the_column():
    frame = AGES.assign(years=np.arange(60) % 7)
    cut, edges = cut_into_bins(frame, {"years": 3}, 100)
    assert list(edges) == ["years"] and cut["years"].nunique() == 3
    assert cut["age"].nunique() == 60


def test_words_among_numbers_stay_groups():
    ages = AGES["age"].astype(object).where(AGES.index % 6 > 0, "unknown")
    with pytest.raises(ValueError, match="50 distinct values in the numeric column 'age', more"):
        cut_into_bins(pd.DataFrame({"age": ages}), None, 20)
    frame, edges = cut_into_bins(pd.DataFrame({"age": ages}), {"age": 2}, 20)
    codes, names = encode_groups(frame, "intersection")
    assert len(edges["age"]) == 3 and len(names) == 3 and "unknown" in list(names)
    assert np.bincount(codes[:, 0]).tolist().count(10) == 1
    later = pd.DataFrame({"age": [30, "unknown", 99]}, dtype=object)
    assert cut_into_bins(later, {"age": 2}, 20, known=edges)[0]["age"].tolist()[1] == "unknown"


def test_few_values_and_words_are_not_cut():
    frame, edges = cut_into_bins(AGES.assign(age=AGES["age"] % 4), 4, 50)
    assert edges == {} and sorted(frame["age"].unique()) == [0, 1, 2, 3]
    as_words = AGES.assign(age=AGES["age"].astype(str))
    frame, edges = cut_into_bins(as_words, 4, 5)
    assert edges == {} and frame["age"].nunique() == 60
    as_categories = AGES.assign(age=AGES["age"].astype("category"))
    assert cut_into_bins(as_categories, None, 5)[0]["age"].nunique() == 60


def test_a_spike_makes_fewer_bins():
    spike = pd.DataFrame({"gain": [0.0] * 50 + list(range(1, 11))})
    frame, edges = cut_into_bins(spike, 4, 5)
    np.testing.assert_array_equal(edges["gain"], [-np.inf, 0, np.inf])
    assert frame["gain"].astype(str).value_counts().tolist() == [50, 10]
    frame, edges = cut_into_bins(-spike, 4, 5)  # the spike at the top
    assert frame["gain"].astype(str).value_counts().tolist() == [50, 10]


def test_a_weight_of_two_is_a_row_given_twice_for_the_edges():
    weight = np.arange(60) % 3
    repeated = AGES.loc[np.repeat(np.arange(60), weight)].reset_index(drop=True)
    _, edges = cut_into_bins(AGES, 4, 50, weight=weight.astype(float))
    np.testing.assert_array_equal(edges["age"], cut_into_bins(repeated, 4, 50)[1]["age"])


def test_rows_without_weight_do_not_move_bins():
    ages = pd.DataFrame({"age": [20, 30, 40, 50, 1000, 2000, "unknown"]})
    weight = np.array([1.0, 1, 1, 1, 0, 0, 1])
    _, edges = cut_into_bins(ages, 2, 50, weight=weight)
    _, expected = cut_into_bins(ages[weight > 0], 2, 50)
    np.testing.assert_array_equal(edges["age"], expected["age"])
    assert cut_into_bins(ages, 4, 50, weight=weight)[1] == {}  # four ages that count
    words_alone = np.array([0.0] * 6 + [1])
    _, edges = cut_into_bins(ages, 2, 50, weight=words_alone)
    np.testing.assert_array_equal(edges["age"], [-np.inf, 40, np.inf])


@pytest.mark.parametrize(
    "frame, n_bins, message",
    [
        (AGES, None, "60 distinct values in the numeric column 'age', more than max_groups=50"),
        (AGES.astype(object), None, "60 distinct values in the numeric column 'age'"),
        (AGES.convert_dtypes(), None, "60 distinct values in the numeric column 'age'"),
        (AGES, {"wage": 3}, r"n_bins names the columns \['wage'\]"),
        (AGES, {"sex": 3}, r"n_bins can cut numeric columns only, got \['sex'\]"),
        (AGES, {"age": 1}, r"n_bins must be an integer from 2.*\{'age': 1\}"),
        (AGES, {"age": "many"}, "n_bins must be an integer from 2"),
        (AGES.assign(age=[np.inf, *range(59)]), 3, "must be finite where n_bins cuts them"),
        (pd.concat([AGES, AGES], axis=1), 3, r"different names, got \['age'\] repeatedly"),
    ],
)
def test_bins_that_cannot_be(frame, n_bins, message):
    with pytest.raises(ValueError, match=message):
        cut_into_bins(frame, n_bins, 50)


# By way of the estimator


def fit(biased, sensitive_features, **params):
    X, y, _ = biased
    clf = FairBiNNClassifier(max_epochs=2, device="cpu", random_state=0, eta=5, **params)
    return clf.fit(X, y, sensitive_features=sensitive_features)


def test_continuous_column_among_others(biased):
    X, y, group = biased
    columns = pd.DataFrame({"group": group, "first": X[:, 0]})
    with pytest.raises(ValueError, match="600 distinct values in the numeric column 'first'"):
        fit(biased, columns)
    clf = fit(biased, columns, n_bins=3)
    assert len(clf.groups_) == 6 and list(clf.bin_edges_) == ["first"]
    clf = fit(biased, columns, n_bins={"first": 3}, combine="separate")
    assert len(clf.groups_) == 5
    columns["first"] = X[:, 0].round().clip(-1, 3)
    with pytest.raises(ValueError, match="5 distinct values in the numeric column 'first'"):
        fit(biased, columns, max_groups=4)
    assert fit(biased, columns, combine="separate").groups_.shape == (7,)
    assert fit(biased, group).bin_edges_ == {}


def test_parts_share_the_bins_of_the_first(biased):
    X, y, group = biased
    clf = FairBiNNClassifier(n_bins=3, device="cpu", random_state=0)
    clf.partial_fit(X[:300], y[:300], [0, 1], sensitive_features=X[:300, 0])
    edges = clf.bin_edges_[0].copy()
    clf.partial_fit(X[300:], y[300:], sensitive_features=100 + X[300:, 0])
    np.testing.assert_array_equal(clf.bin_edges_[0], edges)
    assert len(clf.groups_) == 3
    few = FairBiNNClassifier(n_bins=4, device="cpu", random_state=0)
    few.partial_fit(X[:300], y[:300], [0, 1], sensitive_features=np.arange(300) % 3)
    few.partial_fit(X[300:], y[300:], sensitive_features=np.arange(300) % 200)
    assert len(few.groups_) == 3  # the values of the first part are the edges


@pytest.mark.parametrize("combine", ["intersection", "separate"])
def test_parts_bring_new_groups_of_several_columns(biased, combine):
    X, y, group = biased
    clf = FairBiNNClassifier(combine=combine, device="cpu", random_state=0)
    for shift in range(3):
        columns = pd.DataFrame({"g": group, "part": (np.arange(600) % 2 + shift).astype(str)})
        clf.partial_fit(X, y, [0, 1], sensitive_features=columns)
    assert len(clf.groups_) == (8 if combine == "intersection" else 6)
    assert clf.net_.criterion_.counts.shape == (1, len(clf.groups_))
    assert np.isfinite(clf.decision_function(X)).all()
    with pytest.raises(ValueError, match="combine cannot change"):
        clf.set_params(
            combine="separate" if combine == "intersection" else "intersection"
        ).partial_fit(X, y, sensitive_features=columns)


def test_groups_that_fit_did_not_see_change_no_prediction(biased):
    """Predictions ask for no group, so an audit may bring others than training had."""
    X, y, group = biased
    clf = fit(biased, group)
    audit = MetricFrame(
        metrics=selection_rate,
        y_true=y,
        y_pred=clf.predict(X),
        sensitive_features=np.where(np.arange(600) % 3, group, "unseen"),
    )
    assert list(audit.by_group.index) == ["a", "b", "unseen"]
    assert clf.score(X, y) == pytest.approx((clf.predict(X) == y).mean())


@pytest.fixture(scope="module")
def group_of_forty():
    """10,000 rows, 40 of them of a group that X tells apart; and 5,000 fresh rows of each group."""

    def draw(codes, seed):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(len(codes), 4)).astype(np.float32)
        X[:, 0] += codes
        X[:, 1] = codes == 2
        return X, (X[:, [0, 2, 3]].sum(1) + rng.normal(size=len(codes)) > 0.7).astype(int), codes

    return draw(np.repeat([0, 1, 2], [5960, 4000, 40]), 0), draw(np.repeat([0, 1, 2], 5000), 1)


def rates_on_fresh_rows(data, **params):
    """Selection rates of the groups for each of 3 seeds: (3, 3)."""
    (X, y, group), (X_fresh, _, group_fresh) = data
    rates = []
    for seed in range(3):
        clf = FairBiNNClassifier(random_state=seed, max_epochs=10, device="cpu", **params)
        decisions = clf.fit(X, y, sensitive_features=group).predict(X_fresh)
        rates.append([decisions[group_fresh == g].mean() for g in range(3)])
    return np.array(rates)


def test_a_group_of_forty_in_ten_thousand_comes_to_the_rate_of_the_others(group_of_forty):
    plain, fair, batches = (
        rates_on_fresh_rows(group_of_forty, **params)
        for params in ({"eta": 0}, {"eta": 10}, {"eta": 10, "rate_window": 0})
    )
    gaps = [np.ptp(rates, axis=1) for rates in (plain, fair)]
    assert gaps[0].min() > 0.4 and gaps[1].max() < 0.2
    # Rates of single batches, most of which hold one row of it or none, leave it to chance.
    assert fair.std(0)[2] < 0.6 * batches.std(0)[2]
