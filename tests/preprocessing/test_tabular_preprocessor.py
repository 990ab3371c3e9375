"""Tests of tabular_preprocessor."""

import datetime
import pickle
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.preprocessing import tabular_preprocessor


@pytest.fixture(scope="module")
def data():
    """Return a DataFrame with columns of several types, and labels."""
    rng = np.random.default_rng(0)
    n_samples = 400
    age = rng.integers(18, 80, n_samples)
    job = rng.choice(["cook", "smith", "clerk"], n_samples)
    X = pd.DataFrame(
        {
            "age": age,
            "gain": np.where(rng.random(n_samples) < 0.9, np.nan, rng.integers(0, 9999, n_samples)),
            "owner": rng.random(n_samples) < 0.5,
            "tenant": pd.array(rng.choice([True, False, None], n_samples), dtype="boolean"),
            "job": np.where(rng.random(n_samples) < 0.1, None, job),
            "area": pd.Categorical(rng.choice(["n", "s"], n_samples)),
            "code": rng.choice([7, 8, 9], n_samples),
        },
        index=np.arange(n_samples) + 1000,
    )
    return X, ((age > 45) ^ (job == "cook")).astype(int)


def test_encoding_depends_on_the_type_of_the_column(data):
    X, _ = data
    preprocessor = tabular_preprocessor(categorical_columns=["code"])
    encoded = preprocessor.set_output(transform="pandas").fit_transform(X)
    names = encoded.columns.tolist()
    assert names[-11:] == [
        *("tenant_bin_0", "tenant_missing"),
        *("job_clerk", "job_cook", "job_smith", "job_<missing>", "area_n", "area_s"),
        *("code_7", "code_8", "code_9"),
    ]
    assert "owner_bin_0" in names and "owner_missing" not in names and "gain_missing" in names
    assert (encoded.dtypes == np.float32).all()
    np.testing.assert_array_equal(encoded["owner_bin_0"], X["owner"])
    np.testing.assert_array_equal(encoded["tenant_missing"], X["tenant"].isna())
    np.testing.assert_array_equal(encoded["job_<missing>"], X["job"].isna())
    np.testing.assert_array_equal(encoded["code_8"], X["code"] == 8)


def test_output_is_a_finite_float32_array(data):
    X, _ = data
    encoded = tabular_preprocessor().fit_transform(X)
    assert isinstance(encoded, np.ndarray) and encoded.dtype == np.float32
    assert np.isfinite(encoded).all() and len(encoded) == len(X)


@pytest.mark.parametrize("dtype", [float, str, "category", "Int64", object])
def test_integer_codes_are_compared_as_text(data, dtype):
    X, _ = data
    preprocessor = tabular_preprocessor(categorical_columns=["code"]).fit(X)
    np.testing.assert_array_equal(
        preprocessor.transform(X.astype({"code": dtype})), preprocessor.transform(X)
    )


@pytest.mark.parametrize(
    ("min_frequency", "expected"),
    [
        (10, [[0, 0, 1], [0, 0, 1], [0, 1, 0]]),
        (1, [[0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]]),
        (None, [[0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]]),
    ],
)
def test_infrequent_and_unseen_categories(min_frequency, expected):
    X = pd.DataFrame({"job": ["a"] * 20 + ["b"] * 20 + ["c", "d"]})
    X_new = pd.DataFrame({"job": ["c", "never seen", "b"]})
    encoded = tabular_preprocessor(min_frequency=min_frequency).fit(X).transform(X_new)
    np.testing.assert_array_equal(encoded, expected)


@pytest.mark.parametrize("dtype", [object, "string", "category"])
def test_warning_of_columns_without_frequent_categories(dtype):
    X = pd.DataFrame({"job": ["a", "b"] * 20, "name": [f"person {i}" for i in range(40)]})
    X = X.astype({"name": dtype})
    with pytest.warns(UserWarning, match=r"the columns \['name'\] .* min_frequency=10"):
        encoded = tabular_preprocessor().fit_transform(X)
    np.testing.assert_array_equal(encoded[:, 2:], np.ones((40, 1)))  # after two jobs
    assert tabular_preprocessor(min_frequency=1).fit_transform(X).shape == (40, 42)  # no warning


def test_missing_number_in_a_column_without_missing_numbers_in_fit(data):
    X, _ = data
    preprocessor = tabular_preprocessor().fit(X)
    missing = X.astype({"age": float})[:1].assign(age=np.nan)
    median = X[:1].assign(age=np.sort(X["age"])[len(X) // 2 - 1])
    np.testing.assert_array_equal(preprocessor.transform(missing), preprocessor.transform(median))


DATE = datetime.datetime(2020, 1, 1)
TIMES = {
    "datetime64": pd.date_range("2020", periods=2),
    "datetime64 with time zone": pd.date_range("2020", periods=2, tz="UTC"),
    "timedelta64": pd.to_timedelta([1, 2], unit="D"),
    "period": pd.period_range("2020", periods=2, freq="M"),
    "category": pd.Categorical(pd.date_range("2020", periods=2)),
    "objects of date": pd.Series([DATE.date(), None], dtype=object),
    "objects of datetime": pd.Series([DATE, None], dtype=object),
    "objects of time": pd.Series([DATE.time(), None], dtype=object),
    "objects of timedelta": pd.Series([datetime.timedelta(1), None], dtype=object),
}


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_columns_of_times(times):
    X = pd.DataFrame({"a": [1, 2], "when": times})
    with pytest.raises(ValueError, match=r"dates, times or time spans, got \['when'\]"):
        tabular_preprocessor().fit(X)


class TestInvalidInput:
    def test_categorical_columns(self, data):
        with pytest.raises(TypeError, match=r"categorical_columns must .* got 'code'. Use \['code"):
            tabular_preprocessor(categorical_columns="code")
        with pytest.raises(ValueError, match=r"categorical_columns must be .* got \['zip'\]"):
            tabular_preprocessor(categorical_columns=["zip"]).fit(data[0])

    @pytest.mark.parametrize("columns", [["age"], ["area"]], ids=["numeric", "categorical"])
    def test_array_in_fit(self, data, columns):
        with pytest.raises(TypeError, match="X must be a pandas DataFrame, got numpy.ndarray"):
            tabular_preprocessor().fit(data[0][columns].to_numpy())

    def test_array_in_transform(self, data):
        X = data[0][["age", "area"]]
        preprocessor = tabular_preprocessor().fit(X)
        with (
            pytest.warns(UserWarning, match="X does not have valid feature names"),
            pytest.raises(TypeError, match="X must be a pandas DataFrame, got numpy.ndarray"),
        ):
            preprocessor.transform(X.to_numpy())

    def test_unhashable_values(self, data):
        X = data[0].assign(lists=[[1]] * len(data[0]))
        with pytest.raises(TypeError, match="hashable values, got .* in column 'lists'"):
            tabular_preprocessor().fit(X)


def test_columns_of_one_kind_only(data):
    X, _ = data
    numeric = tabular_preprocessor().fit(X[["age"]])
    assert all(name.startswith("age_bin_") for name in numeric.get_feature_names_out())
    categorical = tabular_preprocessor().fit(X[["area"]])
    assert categorical.get_feature_names_out().tolist() == ["area_n", "area_s"]


def test_order_of_columns_in_transform(data):
    X, _ = data
    preprocessor = tabular_preprocessor().fit(X)
    np.testing.assert_array_equal(
        preprocessor.transform(X[X.columns[::-1]]), preprocessor.transform(X)
    )


def test_integer_column_names_are_not_positions(data):
    X, _ = data
    expected = tabular_preprocessor(categorical_columns=["code"]).fit_transform(X)
    X = X.set_axis(range(6, -1, -1), axis=1)
    encoded = tabular_preprocessor(categorical_columns=[0]).fit_transform(X)
    np.testing.assert_array_equal(encoded, expected)


def test_grid_search_clone_and_pickle(data):
    X, y = data
    clf = make_pipeline(tabular_preprocessor(), LogisticRegression())
    grid = GridSearchCV(
        clf,
        {
            "columntransformer__numeric__strategy": ["quantile", "target"],
            "columntransformer__categorical__min_frequency": [1, 20],
        },
        cv=3,
        error_score="raise",
    ).fit(X, y)
    clf = clone(clf).set_params(**grid.best_params_).fit(X, y)
    unpickled = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(unpickled.predict(X), grid.predict(X))


@pytest.mark.slow
def test_network_learns_a_step_function_that_it_misses_on_scaled_features():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"gain": np.where(rng.random(2000) < 0.8, 0, rng.exponential(1e4, 2000))})
    y = (X["gain"] // 3000 % 2).astype(int)
    clf = FairBiNNClassifier(eta=0, max_epochs=20, device="cpu", random_state=0)
    scaled = clone(clf).fit(X / X.max(), y).score(X / X.max(), y)
    encoded = make_pipeline(tabular_preprocessor(), clf).fit(X, y).score(X, y)
    assert scaled < 0.93 < 0.96 < encoded


def test_sensitive_features_are_routed_to_the_classifier(data):
    X, y = data
    clf = FairBiNNClassifier(eta=1, max_epochs=1, device="cpu", random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(tabular_preprocessor(), clf)
        pipeline.fit(X, y, sensitive_features=X["area"])
    assert pipeline[-1].groups_.tolist() == ["n", "s"]
    assert set(pipeline.predict(X)) <= {0, 1}


@pytest.mark.parametrize(
    "make",
    [
        lambda values: pd.Series([Decimal(value) for value in values], dtype=object),
        lambda values: pd.Series([None, *values[1:]], dtype=object),
        lambda values: pd.Series([pd.NaT, *values[1:]], dtype=object),
        lambda values: pd.Series(values, dtype=float).convert_dtypes(),
    ],
    ids=["decimals", "objects with None", "objects with NaT", "nullable"],
)
def test_numbers_of_any_type_are_encoded_as_numbers(make):
    X = pd.DataFrame({"pay": make(list(range(200)))})
    names = tabular_preprocessor().fit(X).get_feature_names_out()
    assert names[0] == "pay_bin_0" and len(names) >= 8


def test_a_category_called_nan_is_not_a_missing_value():
    X = pd.DataFrame({"job": ["x", "nan", None, "x"] * 20})
    encoder = tabular_preprocessor(min_frequency=1).set_output(transform="pandas")
    encoded = encoder.fit_transform(X)
    assert encoded.columns.tolist() == ["job_nan", "job_x", "job_<missing>"]
    assert encoded.sum().tolist() == [20, 40, 20]
