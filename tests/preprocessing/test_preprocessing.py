"""The piecewise-linear encoding, and the preprocessor of tables built on it."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.preprocessing import PiecewiseLinearEncoder, tabular_preprocessor


@parametrize_with_checks([PiecewiseLinearEncoder(), PiecewiseLinearEncoder(strategy="target")])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def column(*values):
    return np.array(values, dtype=float)[:, None]


def naive(x, edges):
    """The formula, one value and bin at a time."""
    bins = list(zip(edges[:-1], edges[1:], strict=True))
    return [[min(max((v - low) / (high - low), 0), 1) for low, high in bins] for v in x]


@pytest.fixture(scope="module")
def numbers():
    rng = np.random.default_rng(0)
    normal, uneven = rng.normal(size=500), np.exp(3 * rng.normal(size=500))
    spiked = np.where(rng.random(500) < 0.9, 0, rng.integers(1, 1000, 500))
    return np.column_stack([normal, uneven, spiked])


class TestEncoding:
    @pytest.mark.parametrize("strategy", ["quantile", "target"])
    def test_equals_the_formula(self, numbers, strategy):
        encoder = PiecewiseLinearEncoder(8, n_tail_bins=4, strategy=strategy)
        encoder.fit(numbers, numbers[:, 0] > 0)
        X = np.concatenate([numbers, 2 * numbers, -numbers])
        expected = [naive(X[:, j], encoder.edges_[j]) for j in range(3)]
        np.testing.assert_allclose(encoder.transform(X), np.hstack(expected), atol=1e-12)

    def test_is_bounded_and_never_falls(self, numbers):
        encoder = PiecewiseLinearEncoder(16).fit(numbers)
        X = np.sort(np.concatenate([numbers, numbers * 1e3, -numbers * 1e300]), axis=0)
        encoded = encoder.transform(X)
        assert (np.diff(encoded, axis=0) >= 0).all()
        assert encoded.min() == 0 and encoded.max() == 1

    def test_is_exact_at_the_edges(self, numbers):
        encoder = PiecewiseLinearEncoder(16).fit(numbers[:, :1])
        (edges,) = encoder.edges_
        np.testing.assert_array_equal(
            encoder.transform(edges[:, None]), np.tri(len(edges), len(edges) - 1, -1)
        )

    @pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e300, 1.7e308])
    def test_holds_at_any_scale(self, scale):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for strategy in ("quantile", "target"):
                encoder = PiecewiseLinearEncoder(2, strategy=strategy)
                encoded = encoder.fit_transform(column(-scale, scale, -scale, scale), [0, 1, 0, 1])
                assert np.isin(encoded[[0, 2]], 0).all() and np.isin(encoded[[1, 3]], 1).all()

    def test_tells_apart_close_values_of_large_ones(self):
        X = 1.7e9 + np.arange(100.0)[:, None]
        for strategy in ("quantile", "target"):
            encoder = PiecewiseLinearEncoder(100, strategy=strategy, dtype=np.float32)
            assert len(np.unique(encoder.fit(X, X[:, 0] % 20 < 10).transform(X), axis=0)) == 100

    def test_types_of_the_output(self, numbers):
        for given in (np.float32, np.float64, np.int64):
            X = numbers.astype(given)
            encoded = PiecewiseLinearEncoder().fit_transform(X)
            assert encoded.dtype == (np.float32 if given is np.float32 else np.float64)
            assert PiecewiseLinearEncoder(dtype=np.float32).fit_transform(X).dtype == np.float32

    def test_pickles_and_clones(self, numbers):
        encoder = PiecewiseLinearEncoder(8, strategy="target").fit(numbers, numbers[:, 0])
        again = pickle.loads(pickle.dumps(encoder))
        np.testing.assert_array_equal(again.transform(numbers), encoder.transform(numbers))
        assert clone(encoder).get_params() == encoder.get_params()


class TestEdges:
    def test_are_quantiles_that_occur(self, numbers):
        encoder = PiecewiseLinearEncoder(10).fit(numbers)
        for j in (0, 1):
            x, edges = numbers[:, j], encoder.edges_[j]
            assert np.isin(edges, x).all()
            assert edges[0] == x.min() and edges[-1] == x.max() and len(edges) == 11
            counts = np.histogram(x, edges)[0]
            assert counts.min() >= 49 and counts.max() <= 51

    def test_resolve_what_lies_beside_a_spike(self, numbers):
        spiked = numbers[:, 2:]
        tail = np.unique(spiked[spiked > 0])
        plain = PiecewiseLinearEncoder(16, n_tail_bins=0).fit(spiked)
        finer = PiecewiseLinearEncoder(16, n_tail_bins=8).fit(spiked)
        assert (plain.edges_[0] > 0).sum() <= 2
        assert (finer.edges_[0] > 0).sum() >= 8
        # The spike has an edge, and so has the value next to it.
        assert finer.edges_[0][0] == 0 and finer.edges_[0][1] == tail[0]

    def test_spikes_may_be_many_and_anywhere(self):
        rng = np.random.default_rng(0)
        x = rng.choice([20.0, 40.0, 50.0], 2000)
        x[:200] = rng.uniform(0, 100, 200)
        (edges,) = PiecewiseLinearEncoder(8, n_tail_bins=10).fit(x[:, None]).edges_
        assert np.isin([20.0, 40.0, 50.0], edges).all()
        assert len(edges) >= 11
        assert np.diff(edges).max() < 20

    def test_are_the_values_where_these_are_few(self):
        X = column(3, 1, 2, 2, 8)
        np.testing.assert_array_equal(PiecewiseLinearEncoder().fit(X).edges_[0], [1, 2, 3, 8])

    @pytest.mark.parametrize("words", [False, True])
    def test_by_target_are_where_labels_change(self, words):
        X = np.arange(1000.0)[:, None]
        y = (X[:, 0] >= 300) & (X[:, 0] < 700)
        y = np.where(y, "yes", "no") if words else y
        (edges,) = PiecewiseLinearEncoder(3, strategy="target").fit(X, y).edges_
        np.testing.assert_array_equal(edges, [0, 299.5, 699.5, 999])

    def test_by_target_serve_regression(self):
        X = np.arange(1000.0)[:, None]
        y = np.where(X[:, 0] < 400, 0.5, -2.5)
        (edges,) = PiecewiseLinearEncoder(2, strategy="target").fit(X, y).edges_
        np.testing.assert_array_equal(edges, [0, 399.5, 999])

    def test_by_target_need_a_target(self, numbers):
        with pytest.raises(ValueError, match="strategy='target' requires y"):
            PiecewiseLinearEncoder(strategy="target").fit(numbers)
        for odd, message in (("yes", "y must have labels of one type"), (None, "y must not have")):
            y = np.array([odd, 1] * (len(numbers) // 2), dtype=object)
            with pytest.raises(ValueError, match=message):
                PiecewiseLinearEncoder(strategy="target").fit(numbers, y)

    def test_of_constant_and_two_valued_columns(self):
        X = np.column_stack([np.full(50, 7.0), np.arange(50) % 2 * 3.0])
        for strategy in ("quantile", "target"):
            encoder = PiecewiseLinearEncoder(strategy=strategy).fit(X, X[:, 1] > 0)
            assert encoder.edges_[0].tolist() == [7] and encoder.edges_[1][[0, -1]].tolist() == [
                0,
                3,
            ]
            assert encoder.transform(X)[:2].max(axis=1).tolist() == [0, 1]
            assert not any(name.startswith("x0") for name in encoder.get_feature_names_out())

    @pytest.mark.parametrize(
        "params",
        [{"n_bins": 0}, {"n_tail_bins": -1}, {"strategy": "tree"}, {"handle_missing": "zero"}],
    )
    def test_bad_parameters_are_named(self, numbers, params):
        with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter .* Got"):
            PiecewiseLinearEncoder(**params).fit(numbers)


class TestMissing:
    @pytest.mark.parametrize("strategy", ["quantile", "target"])
    def test_is_zeros_and_an_indicator(self, strategy):
        X = column(1, np.nan, 2, 3, np.nan)
        encoder = PiecewiseLinearEncoder(4, strategy=strategy)
        encoded = encoder.fit_transform(X, [0, 1, 1, 0, 1])
        assert encoder.get_feature_names_out()[-1] == "x0_missing"
        np.testing.assert_array_equal(encoded[:, -1], [0, 1, 0, 0, 1])
        assert not encoded[[1, 4], :-1].any()
        np.testing.assert_array_equal(encoder.edges_[0][[0, -1]], [1, 3])

    def test_unseen_is_refused_or_read_as_the_median(self):
        X = column(1, 2, 3, 4, 100)
        encoder = PiecewiseLinearEncoder(2).fit(X)
        with pytest.raises(ValueError, match=r"NaN in columns that had none.*got 1 .*\['x0'\]"):
            encoder.transform(column(1, np.nan))
        encoder.set_params(handle_missing="median")
        np.testing.assert_array_equal(
            encoder.transform(column(np.nan)), encoder.transform(column(3))
        )

    def test_column_without_a_number(self):
        X = np.column_stack([np.full(4, np.nan), np.arange(4.0)])
        encoder = PiecewiseLinearEncoder(1).fit(X)
        assert encoder.get_feature_names_out().tolist() == ["x0_missing", "x1_bin_0"]
        encoded = encoder.transform([[5.0, 0.0], [np.nan, 3.0]])
        np.testing.assert_array_equal(encoded, [[0, 0], [1, 1]])

    def test_infinity_is_refused(self):
        X = pd.DataFrame({"a": [1.0, 2.0], "b": [-np.inf, 1.0]})
        with pytest.raises(ValueError, match=r"X must not have infinity, got 1 of it in \['b'\]"):
            PiecewiseLinearEncoder().fit(X)


class TestFrames:
    def test_names(self):
        X = pd.DataFrame({"age": [1, 2, 3], "pay": pd.array([1, None, 2], dtype="Int64")})
        encoder = PiecewiseLinearEncoder(2).set_output(transform="pandas")
        encoded = encoder.fit_transform(X)
        assert encoded.columns.tolist() == ["age_bin_0", "age_bin_1", "pay_bin_0", "pay_missing"]
        assert encoded.index.equals(X.index)
        np.testing.assert_array_equal(encoded.loc[1], [1, 0, 0, 1])
        assert encoder.feature_names_in_.tolist() == ["age", "pay"]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    n = 400
    age = rng.integers(18, 80, n)
    job = rng.choice(["cook", "smith", "clerk"], n)
    frame = pd.DataFrame(
        {
            "age": age,
            "gain": np.where(rng.random(n) < 0.9, np.nan, rng.integers(0, 9999, n)),
            "own": rng.random(n) < 0.5,
            "rents": pd.array(rng.choice([True, False, None], n), dtype="boolean"),
            "job": np.where(rng.random(n) < 0.1, None, job),
            "area": pd.Categorical(rng.choice(["n", "s"], n)),
            "code": rng.choice([7, 8, 9], n),
        },
        index=np.arange(n) + 1000,
    )
    return frame, ((age > 45) ^ (job == "cook")).astype(int)


class TestTabularPreprocessor:
    def test_encodes_each_column_by_its_type(self, table):
        X, _ = table
        preprocessor = tabular_preprocessor(categorical_columns=["code"])
        encoded = preprocessor.set_output(transform="pandas").fit_transform(X)
        names = encoded.columns.tolist()
        assert names[-11:] == [
            *("rents_bin_0", "rents_missing"),
            *("job_clerk", "job_cook", "job_smith", "job_nan", "area_n", "area_s"),
            *("code_7", "code_8", "code_9"),
        ]
        assert "own_bin_0" in names and "own_missing" not in names and "gain_missing" in names
        assert (encoded.dtypes == np.float32).all()
        np.testing.assert_array_equal(encoded["own_bin_0"], X["own"])
        np.testing.assert_array_equal(encoded["rents_missing"], X["rents"].isna())
        np.testing.assert_array_equal(encoded["job_nan"], X["job"].isna())
        np.testing.assert_array_equal(encoded["code_8"], X["code"] == 8)

    def test_keeps_all_rows_and_columns_numeric(self, table):
        X, _ = table
        encoded = tabular_preprocessor().fit_transform(X)
        assert isinstance(encoded, np.ndarray) and encoded.dtype == np.float32
        assert np.isfinite(encoded).all() and len(encoded) == len(X)

    def test_codes_are_the_same_in_other_types(self, table):
        X, _ = table
        preprocessor = tabular_preprocessor(categorical_columns=["code"]).fit(X)
        expected = preprocessor.transform(X)
        for dtype in (float, str, "category", "Int64", object):
            same = preprocessor.transform(X.astype({"code": dtype}))
            np.testing.assert_array_equal(same, expected)

    def test_unseen_and_rare_categories(self):
        X = pd.DataFrame({"job": ["a"] * 20 + ["b"] * 20 + ["c", "d"]})
        new = pd.DataFrame({"job": ["c", "never seen", "b"]})
        encoded = tabular_preprocessor().fit(X).transform(new)
        np.testing.assert_array_equal(encoded, [[0, 0, 1], [0, 0, 1], [0, 1, 0]])
        encoded = tabular_preprocessor(min_frequency=1).fit(X).transform(new)
        np.testing.assert_array_equal(encoded, [[0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]])

    def test_number_missing_for_the_first_time(self, table):
        X, _ = table
        preprocessor = tabular_preprocessor().fit(X)
        new = X.astype({"age": float})[:1].assign(age=np.nan)
        median = X[:1].assign(age=np.sort(X["age"])[len(X) // 2 - 1])
        np.testing.assert_array_equal(preprocessor.transform(new), preprocessor.transform(median))

    @pytest.mark.parametrize(
        "times",
        [
            pd.date_range("2020", periods=3),
            pd.date_range("2020", periods=3, tz="UTC"),
            pd.to_timedelta([1, 2, 3], unit="D"),
        ],
        ids=["dates", "dates of a zone", "spans"],
    )
    def test_times_are_refused(self, times):
        X = pd.DataFrame({"a": [1, 2, 3], "when": times})
        with pytest.raises(ValueError, match=r"dates or time spans, got \['when'\]"):
            tabular_preprocessor().fit(X)

    def test_other_bad_input_is_refused(self, table):
        X, _ = table
        with pytest.raises(TypeError, match="X must be a pandas DataFrame.*got ndarray"):
            tabular_preprocessor().fit(X.to_numpy())
        with pytest.raises(TypeError, match="categorical_columns .* got 'code'"):
            tabular_preprocessor(categorical_columns="code")
        with pytest.raises(ValueError, match=r"categorical_columns .* got \['zip'\]"):
            tabular_preprocessor(categorical_columns=["zip"]).fit(X)
        with pytest.raises(TypeError, match="got others in column 'lists': unhashable type"):
            tabular_preprocessor().fit(X.assign(lists=[[1]] * len(X)))

    def test_only_numbers_or_only_categories(self, table):
        X, _ = table
        assert tabular_preprocessor().fit_transform(X[["age"]]).shape[1] > 1
        assert tabular_preprocessor().fit_transform(X[["area"]]).shape[1] == 2

    def test_columns_may_be_numbered_and_come_in_another_order(self, table):
        X, _ = table
        preprocessor = tabular_preprocessor(categorical_columns=["code"]).fit(X)
        expected = preprocessor.transform(X)
        np.testing.assert_array_equal(preprocessor.transform(X[X.columns[::-1]]), expected)
        numbered = X.set_axis(range(6, -1, -1), axis=1)
        again = tabular_preprocessor(categorical_columns=[0])
        np.testing.assert_array_equal(again.fit_transform(numbered), expected)

    def test_pickles_clones_and_is_searched(self, table):
        X, y = table
        model = make_pipeline(tabular_preprocessor(), LogisticRegression())
        grid = GridSearchCV(
            model,
            {
                "columntransformer__numeric__strategy": ["quantile", "target"],
                "columntransformer__categorical__min_frequency": [1, 20],
            },
            cv=3,
            error_score="raise",
        ).fit(X, y)
        again = pickle.loads(pickle.dumps(clone(model).set_params(**grid.best_params_).fit(X, y)))
        np.testing.assert_array_equal(again.predict(X), grid.predict(X))

    def test_net_learns_steps_that_it_misses_when_scaled(self):
        rng = np.random.default_rng(0)
        X = pd.DataFrame({"gain": np.where(rng.random(2000) < 0.8, 0, rng.exponential(1e4, 2000))})
        y = (X["gain"] // 3000 % 2).astype(int)
        clf = FairBiNNClassifier(eta=0, max_epochs=20, device="cpu", random_state=0)
        plain = clone(clf).fit(X / X.max(), y).score(X / X.max(), y)
        encoded = make_pipeline(tabular_preprocessor(), clf).fit(X, y).score(X, y)
        assert plain < 0.93 < 0.96 < encoded

    def test_groups_reach_the_net_behind_it(self, table):
        X, y = table
        clf = FairBiNNClassifier(eta=1, max_epochs=1, device="cpu", random_state=0)
        with sklearn.config_context(enable_metadata_routing=True):
            model = make_pipeline(tabular_preprocessor(), clf)
            model.fit(X, y, sensitive_features=X["area"])
        assert len(model[-1].groups_) == 2
        assert set(model.predict(X)) <= {0, 1}
