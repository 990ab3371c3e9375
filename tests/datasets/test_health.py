"""Tests of the loader of the Heritage Health data, on made-up files of the same form."""

import importlib.util
import inspect
import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import load_health

NUMERIC = [
    "ClaimsTruncated", "no_Claims", "no_Providers", "no_Vendors", "no_PCPs", "no_PlaceSvcs",
    "no_Specialities", "no_PrimaryConditionGroups", "no_ProcedureGroups", "PayDelay_max",
    "PayDelay_min", "PayDelay_ave", "PayDelay_stdev", "LOS_max", "LOS_min", "LOS_ave", "LOS_stdev",
    "LOS_TOT_UNKNOWN", "LOS_TOT_SUPRESSED", "LOS_TOT_KNOWN", "dsfs_max", "dsfs_min", "dsfs_range",
    "dsfs_ave", "dsfs_stdev",
    *[f"pcg{i}" for i in range(1, 47)], *[f"sp{i}" for i in range(1, 14)],
    *[f"pg{i}" for i in range(1, 19)], *[f"ps{i}" for i in range(1, 10)],
    "drugCount_max", "drugCount_min", "drugCount_ave", "drugcount_months", "labCount_max",
    "labCount_min", "labCount_ave", "labcount_months", "labNull", "drugNull",
]  # fmt: skip
FEATURES = [*NUMERIC, "age", "sex"]
FLOATS = ["PayDelay_stdev", "LOS_stdev", "dsfs_stdev", "drugCount_ave", "labCount_ave"]
AGES = ["0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80+"]
AGE_FLAGS = [f"age_{i}5" for i in range(9)]
OPTIONS = list(itertools.product(["train", "test", "all"], [False, True], [False, True]))
FEATURES_SCRIPT = Path(__file__).parents[2] / "examples" / "benchmarks" / "health_features.py"


def make_table(n_rows=400, seed=0):
    """Made-up rows in the form of the file; no number in them is anybody's."""
    rng = np.random.default_rng(seed)
    age, sex = rng.integers(-1, 9, n_rows), rng.integers(-1, 2, n_rows)  # -1: unknown
    charlson = 2 * rng.binomial(3, 0.1 + 0.05 * (age + 1))
    numbers = {name: rng.poisson(3, n_rows) for name in NUMERIC}
    numbers |= {name: rng.normal(size=n_rows).round(3) for name in FLOATS}
    return pd.DataFrame(
        {
            "MemberID_t": rng.permutation(n_rows) + 1,
            "YEAR_t": rng.choice(["Y1", "Y2", "Y3"], n_rows, p=[0.1, 0.1, 0.8]),
            "ClaimsTruncated": numbers.pop("ClaimsTruncated"),
            "DaysInHospital": rng.poisson(1, n_rows),
            "trainset": rng.integers(2, size=n_rows),
            **{flag: (age == code).astype(int) for code, flag in enumerate(AGE_FLAGS)},
            "age_MISS": (age == -1).astype(int),
            "sexMALE": (sex == 0).astype(int),
            "sexFEMALE": (sex == 1).astype(int),
            "sexMISS": (sex == -1).astype(int),
            "CharlsonIndexI_max": charlson,
            **{f"CharlsonIndexI_{name}": charlson for name in ("min", "ave", "range", "stdev")},
            **numbers,
            "Charlson>0": (charlson > 0).astype(int),
        }
    )


def kept(table):
    """Rows of `table` that the task is about."""
    return table[(table.YEAR_t == "Y3") & (table.age_MISS == 0) & (table.sexMISS == 0)]


@pytest.fixture(scope="module")
def table():
    return make_table()


@pytest.fixture(scope="module")
def path(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("health") / "health.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def health(path):
    """Whole data set, for the tests that only read it."""
    return load_health(path)


@pytest.fixture
def save(tmp_path):
    """Return a function that writes a table and returns the path of the file."""

    def save(table, name="health.csv"):
        table.to_csv(tmp_path / name, index=False)
        return tmp_path / name

    return save


# Which rows, which columns


def test_columns_and_dtypes(health):
    assert list(health.data.columns) == health.feature_names == FEATURES
    assert len(FEATURES) == 123
    assert {health.data[name].dtype.name for name in FLOATS} == {"float64"}
    others = set(NUMERIC) - set(FLOATS)
    assert {health.data[name].dtype.name for name in others} == {"int64"}
    assert list(health.data["age"].cat.categories) == AGES
    assert health.data["age"].cat.ordered
    assert list(health.data["sex"].cat.categories) == ["Female", "Male"]
    assert not health.data["sex"].cat.ordered


def test_rows_are_those_of_year_3_with_age_and_sex_known(health, table):
    expected = kept(table)
    assert 100 < len(expected) < len(table) - 100
    pd.testing.assert_frame_equal(health.data[NUMERIC], expected[NUMERIC])
    ages = [AGES[AGE_FLAGS.index(flag)] for flag in expected[AGE_FLAGS].idxmax(axis=1)]
    assert health.data["age"].tolist() == ages
    assert set(ages) == set(AGES)
    assert health.data["sex"].tolist() == np.where(expected.sexMALE, "Male", "Female").tolist()


def test_target_is_whether_the_charlson_index_is_above_0(health, table):
    expected = kept(table)["Charlson>0"]
    pd.testing.assert_series_equal(health.target, expected)
    assert set(expected) == {0, 1}
    assert health.target.dtype == np.int64


def test_what_gives_the_target_away_is_not_used(health, table, save):
    alike = table.drop(
        columns=[
            *("MemberID_t", "trainset", "DaysInHospital", "age_MISS", "sexMISS", "Charlson>0"),
            *(f"CharlsonIndexI_{name}" for name in ("min", "ave", "range", "stdev")),
        ]
    ).assign(other="text")
    found = load_health(save(alike[alike.columns[::-1]]))  # nor does the order of columns matter
    pd.testing.assert_frame_equal(found.frame, health.frame)
    pd.testing.assert_series_equal(found.split, health.split)


@pytest.mark.parametrize("name", ["health.csv.gz", "health.csv.zip", "health.csv.xz"])
def test_compressed_file(health, table, save, name):
    pd.testing.assert_frame_equal(load_health(save(table, name)).frame, health.frame)


def test_path_as_str(health, path):
    found = load_health(str(path))
    assert found.filename == health.filename == str(path)
    pd.testing.assert_frame_equal(found.frame, health.frame)


# The split


def test_split_is_one_fifth_of_the_rows(health):
    n_test = -(-len(health.data) // 5)
    assert health.split.value_counts().to_dict() == {
        "test": n_test,
        "train": len(health.data) - n_test,
    }


def test_split_by_default_is_that_of_the_released_code(health):
    train, test = train_test_split(health.data.index, test_size=0.2, random_state=42)
    assert set(health.data.index[health.split == "train"]) == set(train)
    assert set(health.data.index[health.split == "test"]) == set(test)


def test_sizes_of_the_paper():
    train, test = train_test_split(np.arange(55_924), test_size=0.2, random_state=42)
    assert (len(train), len(test)) == (44_739, 11_185)


def test_split_depends_on_random_state_only(health, path):
    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    again = load_health(path)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    pd.testing.assert_series_equal(again.split, health.split)
    other = load_health(path, random_state=np.int64(0))
    pd.testing.assert_frame_equal(other.frame, health.frame)
    assert not other.split.equals(health.split)


# The form of the result


@pytest.mark.parametrize(("subset", "as_frame", "as_tuple"), OPTIONS)
def test_every_combination_of_options(health, path, subset, as_frame, as_tuple):
    result = load_health(path, subset=subset, as_frame=as_frame, return_X_y=as_tuple)
    rows = np.isin(health.split, ["train", "test"] if subset == "all" else [subset])
    data, target = health.data[rows], health.target[rows]
    found = result if as_tuple else (result.data, result.target)
    assert type(found) is tuple
    if as_frame:
        pd.testing.assert_frame_equal(found[0], data)
        pd.testing.assert_series_equal(found[1], target)
    else:
        codes = data.assign(age=data["age"].cat.codes, sex=data["sex"].cat.codes)
        assert found[0].dtype == np.float64
        np.testing.assert_array_equal(found[0], codes.to_numpy())
        assert found[1].dtype == np.int64
        np.testing.assert_array_equal(found[1], target)
    if as_tuple:
        return
    assert type(result.split) is (pd.Series if as_frame else np.ndarray)
    assert result.split.tolist() == health.split[rows].tolist()
    if as_frame:
        pd.testing.assert_frame_equal(result.sensitive_features, data[["age"]])
        pd.testing.assert_frame_equal(result.frame, health.frame[rows])
        pd.testing.assert_index_equal(result.split.index, data.index)
    else:
        assert result.sensitive_features.dtype == object
        assert result.sensitive_features.tolist() == [[age] for age in data["age"]]
        assert result.frame is None


def test_contents_of_the_bunch(health):
    assert isinstance(health, Bunch)
    assert set(health) == {
        "data", "target", "sensitive_features", "split", "frame", "feature_names",
        "target_names", "sensitive_feature_names", "DESCR", "filename",
    }  # fmt: skip
    assert health.target_names == ["Charlson=0", "Charlson>0"]
    assert health.target.name == "Charlson>0"
    assert list(health.frame.columns) == [*FEATURES, "Charlson>0"]
    assert "do not come with this package" in " ".join(health.DESCR.split())


@pytest.mark.parametrize("as_frame", [True, False])
@pytest.mark.parametrize(
    ("names", "expected"),
    [("sex", ["sex"]), (["age"], ["age"]), (("sex", "age"), ["sex", "age"])],
)
def test_sensitive_features_in_the_order_asked_for(health, path, names, expected, as_frame):
    found = load_health(path, sensitive_features=names, as_frame=as_frame)
    assert found.sensitive_feature_names == expected
    values = np.asarray(found.sensitive_features, dtype=object)
    np.testing.assert_array_equal(values, health.data[expected].to_numpy(object))
    assert list(found.feature_names) == FEATURES


def test_parameters_but_path_are_keyword_only():
    path, *others = inspect.signature(load_health).parameters.values()
    assert (path.name, path.default) == ("path", inspect.Parameter.empty)
    assert {p.name: p.default for p in others} == {
        "subset": "all", "sensitive_features": ("age",), "as_frame": True, "return_X_y": False,
        "random_state": 42,
    }  # fmt: skip
    assert {p.kind for p in others} == {inspect.Parameter.KEYWORD_ONLY}


def test_change_to_a_frame_does_not_reach_others(path):
    found = load_health(path)
    found.data.loc[:, "no_Claims"] = -1
    found.target.iloc[:] = 7
    found.sensitive_features.loc[:, "age"] = "80+"
    assert (found.frame["no_Claims"] >= 0).all()
    assert set(found.frame["Charlson>0"]) == {0, 1}
    assert set(found.data["age"]) == set(AGES)


def test_arrays_can_be_changed_and_share_nothing(path):
    found = load_health(path, as_frame=False)
    found.data[:] = -1
    found.target[:] = 7
    found.split[:] = "train"
    assert set(found.sensitive_features[:, 0]) == set(AGES)
    found.sensitive_features[:] = "80+"


def test_classifier_takes_the_result_as_it_is(health):
    clf = FairBiNNClassifier(hidden_layer_sizes=(8,), max_epochs=2, random_state=0)
    X = health.data[NUMERIC].to_numpy(np.float32)
    clf.fit(X, health.target, sensitive_features=health.sensitive_features)
    assert set(clf.groups_) <= set(AGES)


# Errors of parameters


@pytest.mark.parametrize("value", [None, 3, b"health.csv"])
def test_path_of_wrong_type(value):
    with pytest.raises(TypeError, match=f"path must be a str or path-like.*got {value!r} of type"):
        load_health(value)


def test_path_that_names_no_file(tmp_path):
    missing = tmp_path / "no.csv"
    with pytest.raises(FileNotFoundError, match=rf"path must .*{re.escape(str(missing))}.*exist"):
        load_health(missing)
    with pytest.raises(FileNotFoundError, match=r"path must name a file.*which is no file"):
        load_health(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"path must name a file.*https:/"):
        load_health("https://localhost/health.csv")


@pytest.mark.parametrize(
    ("parameter", "value", "error", "message"),
    [
        ("subset", "valid", ValueError, "must be one of ['train', 'test', 'all'], got 'valid'"),
        ("subset", None, TypeError, "must be a str, one of ['train', 'test', 'all'], got None"),
        ("as_frame", 1, TypeError, "must be True or False, got 1 of type int"),
        ("return_X_y", "no", TypeError, "must be True or False, got 'no' of type str"),
        ("random_state", None, TypeError, "must be an int from 0 to 4294967295, got None"),
        ("random_state", True, TypeError, "must be an int from 0 to 4294967295, got True"),
        ("random_state", -1, ValueError, "must be an int from 0 to 4294967295, got -1"),
        ("random_state", 2**32, ValueError, "an int from 0 to 4294967295, got 4294967296"),
        ("sensitive_features", "race", ValueError, "of ['age', 'sex'], got 'race'"),
        ("sensitive_features", ["age", "no_Claims"], ValueError, "got ['age', 'no_Claims']"),
        ("sensitive_features", [], ValueError, "a non-empty list or tuple, of ['age', 'sex'], got"),
        ("sensitive_features", ["age", "age"], ValueError, "must name each column once, got ['age"),
        ("sensitive_features", None, TypeError, "of ['age', 'sex'], got None of type NoneType"),
        ("sensitive_features", ["age", 3], TypeError, "got 3 of type int in it"),
    ],
)
def test_wrong_parameter(path, parameter, value, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        load_health(path, **{parameter: value})
    assert str(caught.value).startswith(f"{parameter} must ")


# Errors of the file


def assert_refused(path, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_health(path)
    assert str(caught.value).startswith("path must name a file of the Heritage Health Prize data")
    assert f"got '{path}'" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("health.csv", b""),
        ("health.csv", b"YEAR_t\n\xff\xfe\x00"),
        ("health.csv", b"YEAR_t,age_05\nY3,1\nY3,1,2,3\n"),
        ("health.csv.zip", b"YEAR_t\nY3\n"),
        ("health.csv.gz", b"YEAR_t\nY3\n"),
        ("health.csv.xz", b"YEAR_t\nY3\n"),
    ],
    ids=["empty", "not text", "ragged", "no zip", "no gzip", "no xz"],
)
def test_file_that_is_no_table(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert_refused(tmp_path / name, "which pandas cannot read: ")


def test_file_cut_short(table, save):
    path = save(table, "health.csv.gz")
    path.write_bytes(path.read_bytes()[:-100])
    assert_refused(path, "which pandas cannot read: ")


def test_file_without_some_columns(table, save):
    path = save(table.drop(columns=["YEAR_t", "pcg7"]))
    assert_refused(path, "with all 134 columns that are used")
    assert_refused(path, "without 2 of them: 'YEAR_t', 'pcg7'.")


def test_file_of_another_table(save):
    path = save(pd.DataFrame({"income": [1, 2]}))
    assert_refused(path, "without 134 of them: 'YEAR_t', 'age_05', ")
    assert_refused(path, "'age_65' and others.")


def test_row_names_without_a_name_of_their_own(health, table, tmp_path):
    """R writes files of this form; their first column has no header."""
    text = table.set_axis(range(9, 9 + len(table))).to_csv()
    path = tmp_path / "health.csv"
    path.write_text(text.removeprefix(","))
    pd.testing.assert_frame_equal(load_health(path).frame, health.frame)


def test_file_without_rows(table, save):
    assert_refused(save(table[:0]), "with 0.")


@pytest.mark.parametrize("change", [{"YEAR_t": "Y1"}, dict.fromkeys(AGE_FLAGS, 0)])
def test_no_row_left(table, save, change):
    path = save(table.assign(**change))
    assert_refused(path, "at least two rows of YEAR_t 'Y3' with age and sex known")
    assert_refused(path, "with 0.")


@pytest.mark.parametrize("value", ["many", "", np.inf])
@pytest.mark.parametrize("column", ["no_Claims", "CharlsonIndexI_max"])
def test_value_that_is_no_finite_number(table, save, column, value):
    changed = table.astype({column: object})
    changed.loc[kept(table).index[3], column] = value
    assert_refused(save(changed), f"with other values in {column!r}.")


@pytest.mark.parametrize("value", [2, "yes", np.nan])
def test_flag_that_is_neither_0_nor_1(table, save, value):
    changed = table.astype({"sexMALE": object})
    changed.loc[kept(table).index[3], "sexMALE"] = value
    assert_refused(save(changed), "0 in ['sexFEMALE', 'sexMALE'] but for 1 in one of them at most")


def test_two_ages_in_one_row(table, save):
    row = kept(table).index[3]
    changed = table.copy()
    changed.loc[row, ["age_05", "age_85"]] = 1
    assert_refused(save(changed), "but for 1 in one of them at most")


# The features of the benchmarks


def test_health_features(path, health):
    if not FEATURES_SCRIPT.exists():
        pytest.skip("the examples are not part of this installation")
    spec = importlib.util.spec_from_file_location("health_features", FEATURES_SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    X_train, y_train, age_train, X_test, y_test, age_test = module.health_features(path)
    train = (health.split == "train").to_numpy()
    np.testing.assert_array_equal(y_train, health.target[train])
    np.testing.assert_array_equal(y_test, health.target[~train])
    assert age_train.tolist() == health.data["age"][train].tolist()
    assert age_test.tolist() == health.data["age"][~train].tolist()
    assert X_train.shape == (train.sum(), 123)
    assert X_train.dtype == X_test.dtype == np.float32
    # Fitted on the training rows only: their moments are 0 and 1, those of the test rows are not.
    np.testing.assert_allclose(X_train.mean(axis=0), 0, atol=1e-5)
    varies = X_train.std(axis=0) > 0
    np.testing.assert_allclose(X_train[:, varies].std(axis=0), 1, atol=1e-5)
    assert np.abs(X_test.mean(axis=0)).max() > 1e-3
    age = health.data["age"].cat.codes
    expected = (age[~train] - age[train].mean()) / age[train].std(ddof=0)
    np.testing.assert_allclose(X_test[:, -2], expected, atol=1e-5)
