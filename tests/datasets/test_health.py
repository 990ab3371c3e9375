"""The loader of the Heritage Health data, on made-up files of the same format."""

import gzip
import importlib.util
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from fairbinn_sklearn.datasets import load_health

AGES = ["0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80+"]
AGE_COLUMNS = [f"age_{code}5" for code in range(9)]
SCRIPT = Path(__file__).parents[2] / "examples" / "benchmarks" / "health_features.py"


@pytest.fixture(scope="module")
def selected(health_table):
    """Rows of the file that the loader must select."""
    known = (health_table["age_MISS"] == 0) & (health_table["sexMISS"] == 0)
    rows = health_table[known & (health_table["YEAR_t"] == "Y3")]
    assert 100 < len(rows) < len(health_table) - 100
    return rows


@pytest.fixture
def save(tmp_path):
    """Function that writes a table and returns the path of the file."""

    def save(table, name="health.csv"):
        table.to_csv(tmp_path / name, index=False)
        return tmp_path / name

    return save


def test_selected_samples_and_features(health, selected):
    assert health.data.shape == (len(selected), 123)
    assert health.feature_names[-2:] == ["age", "sex"]
    assert health.data.iloc[:, :-2].equals(selected[health.feature_names[:-2]])
    ages = [AGES[AGE_COLUMNS.index(name)] for name in selected[AGE_COLUMNS].idxmax(axis="columns")]
    assert set(ages) == set(AGES)
    assert health.data["age"].tolist() == ages
    assert health.data["age"].dtype == pd.CategoricalDtype(AGES, ordered=True)
    assert health.data["sex"].tolist() == np.where(selected["sexMALE"], "Male", "Female").tolist()
    assert health.data["sex"].dtype == pd.CategoricalDtype(["Female", "Male"])


def test_target_and_default_sensitive_features(health, selected):
    pd.testing.assert_series_equal(health.target, selected["Charlson>0"])
    assert health.target_names == ["Charlson=0", "Charlson>0"]
    assert health.sensitive_features.equals(health.data[["age"]])


def test_other_columns_and_their_order_are_ignored(health, health_table, save):
    used = ["YEAR_t", *AGE_COLUMNS, "sexMALE", "sexFEMALE", "CharlsonIndexI_max"]
    table = health_table[[*health.feature_names[-3::-1], *used]].assign(other="text")
    dataset = load_health(save(table))
    assert dataset.frame.equals(health.frame)
    assert dataset.split.equals(health.split)


@pytest.mark.parametrize("name", ["health.csv.gz", "health.csv.zip", "health.csv.xz"])
def test_compressed_file(health, health_table, save, name):
    path = str(save(health_table, name))
    dataset = load_health(path)
    assert dataset.filename == path
    assert dataset.frame.equals(health.frame)


def test_row_names_without_header(health, health_table, tmp_path):
    # R writes such files.
    path = tmp_path / "health.csv"
    path.write_text(health_table.set_axis(range(9, 409)).to_csv().removeprefix(","))
    assert load_health(path).frame.equals(health.frame)


def test_default_split_is_the_split_of_the_released_code(health):
    train, test = train_test_split(health.data.index, test_size=0.2, random_state=42)
    assert set(health.data.index[health.split == "train"]) == set(train)
    assert set(health.data.index[health.split == "test"]) == set(test)


def test_split_only_depends_on_random_state(health, health_path):
    np.random.seed(7)
    state = np.random.get_state()[1].copy()
    assert load_health(health_path).split.equals(health.split)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    other = load_health(health_path, random_state=np.int64(0))
    assert other.frame.equals(health.frame)
    assert not other.split.equals(health.split)


@pytest.mark.parametrize("value", [None, -1, 2**32, 1.0, np.random.RandomState(0)])
def test_wrong_random_state(health_path, value):
    with pytest.raises(
        ValueError, match=r"'random_state' .* an int in the range \[0, 4294967295\]"
    ):
        load_health(health_path, random_state=value)


@pytest.mark.parametrize("value", [None, 3, b"health.csv"])
def test_path_of_wrong_type(value):
    with pytest.raises(TypeError, match=f"'path' parameter of load_health.*Got {value!r}"):
        load_health(value)


@pytest.mark.parametrize("name", ["missing.csv", "", "https://localhost/health.csv"])
def test_path_without_file(tmp_path, name):
    path = name if "://" in name else tmp_path / name
    with pytest.raises(FileNotFoundError, match=rf"got '{re.escape(str(path))}': no such file"):
        load_health(path)


def assert_refused(path, problem):
    expected = f"`path` must be a file of the Heritage Health Prize data, got '{path}': {problem}"
    with pytest.raises(ValueError, match=re.escape(expected)):
        load_health(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("health.csv", b""),
        ("health.csv", b"YEAR_t\n\xff\xfe\x00"),
        ("health.csv", b"YEAR_t,age_05\nY3,1\nY3,1,2,3\n"),
        ("health.csv.zip", b"YEAR_t\nY3\n"),
        ("health.csv.gz", b"YEAR_t\nY3\n"),
        ("health.csv.xz", b"YEAR_t\nY3\n"),
        ("health.csv.gz", gzip.compress(b"YEAR_t\nY3\n")[:-4]),
    ],
    ids=["empty", "not text", "ragged", "not zip", "not gzip", "not xz", "truncated"],
)
def test_unreadable_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert_refused(tmp_path / name, "pandas cannot read it (")


def test_missing_columns(health_table, save):
    path = save(health_table.drop(columns=["YEAR_t", "pcg7"]))
    assert_refused(path, "2 columns are missing: YEAR_t, pcg7.")
    path = save(pd.DataFrame({"income": [1, 2]}))
    assert_refused(path, "134 columns are missing: YEAR_t, age_05, ")


def test_no_samples(health_table, selected, save):
    problem = "it has fewer than 2 samples of year Y3 with known age and sex"
    for table in (
        health_table[:0],
        health_table.assign(YEAR_t="Y1"),
        health_table.assign(**dict.fromkeys(AGE_COLUMNS, 0)),
        selected[:1],
    ):
        assert_refused(save(table), problem)


@pytest.mark.parametrize(
    ("columns", "value", "problem"),
    [
        (["no_Claims"], "many", "the column 'no_Claims' must contain finite numbers"),
        (["no_Claims"], np.nan, "the column 'no_Claims' must contain finite numbers"),
        (["CharlsonIndexI_max"], np.inf, "the column 'CharlsonIndexI_max' must contain finite"),
        (["sexMALE"], 2, "the columns ['sexFEMALE', 'sexMALE'] must contain 0 and, at most once"),
        (["sexMALE"], "yes", "the columns ['sexFEMALE', 'sexMALE'] must contain 0"),
        (["sexMALE"], np.nan, "the columns ['sexFEMALE', 'sexMALE'] must contain 0"),
        (["age_05", "age_85"], 1, "the columns ['age_05', "),
    ],
)
def test_invalid_values(health_table, selected, save, columns, value, problem):
    table = health_table.astype(dict.fromkeys(columns, object))
    table.loc[selected.index[3], columns] = value
    assert_refused(save(table), problem)


def test_features_of_the_benchmarks(health_path, health):
    if not SCRIPT.exists():
        pytest.skip("the examples are not part of this installation")
    spec = importlib.util.spec_from_file_location("health_features", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    X_train, y_train, age_train, X_test, y_test, age_test = module.health_features(health_path)
    train = (health.split == "train").to_numpy()
    assert np.array_equal(y_train, health.target[train])
    assert np.array_equal(y_test, health.target[~train])
    assert np.array_equal(age_train, health.data["age"][train])
    assert np.array_equal(age_test, health.data["age"][~train])
    # Scaled with the moments of the training samples only.
    np.testing.assert_allclose(X_train.mean(axis=0), 0, atol=1e-5)
    age = health.data["age"].cat.codes
    expected = (age[~train] - age[train].mean()) / age[train].std(ddof=0)
    np.testing.assert_allclose(X_test[:, -2], expected, atol=1e-5)
