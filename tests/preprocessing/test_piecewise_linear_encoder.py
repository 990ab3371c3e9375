"""Tests of PiecewiseLinearEncoder."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from fairbinn_sklearn.preprocessing import PiecewiseLinearEncoder

ESTIMATORS = [
    PiecewiseLinearEncoder(),
    PiecewiseLinearEncoder(strategy="target"),
    PiecewiseLinearEncoder(handle_missing="median", dtype=np.float32),  # of tabular_preprocessor
]


@pytest.mark.parametrize("routing", [False, True])
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check, routing):
    with sklearn.config_context(enable_metadata_routing=routing):
        check(estimator)


@pytest.fixture(scope="module", name="X")
def features():
    """Return a normal, a skewed and a spiked feature."""
    rng = np.random.default_rng(0)
    normal, skewed = rng.normal(size=500), np.exp(3 * rng.normal(size=500))
    spiked = np.where(rng.random(500) < 0.9, 0, rng.integers(1, 1000, 500))
    return np.column_stack([normal, skewed, spiked])


def as_feature(*values):
    return np.array(values, dtype=float)[:, None]


def encode_slowly(x, edges):
    """Evaluate the formula for one value and bin at a time."""
    bins = list(zip(edges[:-1], edges[1:], strict=True))
    return [[min(max((v - lower) / (upper - lower), 0), 1) for lower, upper in bins] for v in x]


class TestEncoding:
    @pytest.mark.parametrize("strategy", ["quantile", "target"])
    def test_equals_the_formula(self, X, strategy):
        encoder = PiecewiseLinearEncoder(8, n_tail_bins=4, strategy=strategy)
        encoder.fit(X, X[:, 0] > 0)
        X_new = np.concatenate([X, 2 * X, -X])
        expected = [encode_slowly(X_new[:, j], encoder.edges_[j]) for j in range(3)]
        np.testing.assert_allclose(encoder.transform(X_new), np.hstack(expected), atol=1e-12)

    def test_is_monotonic_and_within_0_and_1(self, X):
        encoder = PiecewiseLinearEncoder(16).fit(X)
        X_sorted = np.sort(np.concatenate([X, X * 1e3, -X * 1e300]), axis=0)
        encoded = encoder.transform(X_sorted)
        assert (np.diff(encoded, axis=0) >= 0).all()
        assert encoded.min() == 0 and encoded.max() == 1

    def test_is_exact_at_the_edges(self, X):
        encoder = PiecewiseLinearEncoder(16).fit(X[:, :1])
        (edges,) = encoder.edges_
        np.testing.assert_array_equal(
            encoder.transform(edges[:, None]), np.tri(len(edges), len(edges) - 1, -1)
        )

    @pytest.mark.parametrize("strategy", ["quantile", "target"])
    @pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e300, 1.7e308])
    def test_values_near_the_limits_of_float64(self, scale, strategy):
        encoder = PiecewiseLinearEncoder(2, strategy=strategy)
        X, y = as_feature(-scale, scale, -scale, scale), [0, 1, 0, 1]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            encoded = encoder.fit_transform(X, y)
        assert (encoded[[0, 2]] == 0).all() and (encoded[[1, 3]] == 1).all()
        assert encoded.shape[1] > 0

    @pytest.mark.parametrize("strategy", ["quantile", "target"])
    def test_large_values_that_float32_cannot_separate(self, strategy):
        X = 1.7e9 + np.arange(100.0)[:, None]
        encoder = PiecewiseLinearEncoder(100, strategy=strategy, dtype=np.float32)
        encoded = encoder.fit(X, X[:, 0] % 20 < 10).transform(X)
        assert len(np.unique(encoded, axis=0)) == 100

    @pytest.mark.parametrize(
        ("dtype", "expected"),
        [(np.float32, np.float32), (np.float64, np.float64), (np.int64, np.float64)],
    )
    def test_dtype_of_the_output(self, X, dtype, expected):
        X = X.astype(dtype)
        assert PiecewiseLinearEncoder().fit_transform(X).dtype == expected
        assert PiecewiseLinearEncoder(dtype=np.float32).fit_transform(X).dtype == np.float32

    def test_can_be_pickled_and_cloned(self, X):
        encoder = PiecewiseLinearEncoder(8, strategy="target").fit(X, X[:, 0])
        unpickled = pickle.loads(pickle.dumps(encoder))
        np.testing.assert_array_equal(unpickled.transform(X), encoder.transform(X))
        assert clone(encoder).get_params() == encoder.get_params()


class TestEdges:
    def test_quantiles(self, X):
        encoder = PiecewiseLinearEncoder(10).fit(X)
        for j in (0, 1):
            x, edges = X[:, j], encoder.edges_[j]
            assert np.isin(edges, x).all()
            assert edges[0] == x.min() and edges[-1] == x.max() and len(edges) == 11
            counts = np.histogram(x, edges)[0]
            assert counts.min() >= 49 and counts.max() <= 51

    def test_tail_bins_resolve_the_values_next_to_a_spike(self, X):
        spiked = X[:, 2:]
        (edges,) = PiecewiseLinearEncoder(16, n_tail_bins=0).fit(spiked).edges_
        assert (edges > 0).sum() <= 2
        (edges,) = PiecewiseLinearEncoder(16, n_tail_bins=8).fit(spiked).edges_
        assert (edges > 0).sum() >= 8
        assert edges[:2].tolist() == [0, spiked[spiked > 0].min()]

    def test_several_spikes(self):
        rng = np.random.default_rng(0)
        x = rng.choice([20.0, 40.0, 50.0], 2000)
        x[:200] = rng.uniform(0, 100, 200)
        (edges,) = PiecewiseLinearEncoder(8, n_tail_bins=10).fit(x[:, None]).edges_
        assert np.isin([20.0, 40.0, 50.0], edges).all()
        assert len(edges) >= 11
        assert np.diff(edges).max() < 20

    def test_few_values_are_the_edges(self):
        X = as_feature(3, 1, 2, 2, 8)
        np.testing.assert_array_equal(PiecewiseLinearEncoder().fit(X).edges_[0], [1, 2, 3, 8])

    @pytest.mark.parametrize(
        ("negative", "positive"), [(False, True), ("no", "yes")], ids=["bool", "text"]
    )
    def test_target_of_classes(self, negative, positive):
        X = np.arange(1000.0)[:, None]
        y = np.where((X[:, 0] >= 300) & (X[:, 0] < 700), positive, negative)
        (edges,) = PiecewiseLinearEncoder(3, strategy="target").fit(X, y).edges_
        np.testing.assert_array_equal(edges, [0, 299.5, 699.5, 999])

    def test_continuous_target(self):
        X = np.arange(1000.0)[:, None]
        y = np.where(X[:, 0] < 400, 0.5, -2.5)
        (edges,) = PiecewiseLinearEncoder(2, strategy="target").fit(X, y).edges_
        np.testing.assert_array_equal(edges, [0, 399.5, 999])

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (None, "strategy='target' requires y"),
            (np.array(["yes", 1], dtype=object), "y must have labels of one type"),
            (np.array([None, 1], dtype=object), "y must not have missing values"),
        ],
        ids=["none", "mixed types", "missing values"],
    )
    def test_invalid_target(self, y, message):
        with pytest.raises(ValueError, match=message):
            PiecewiseLinearEncoder(strategy="target").fit([[0.0], [1.0]], y)

    @pytest.mark.parametrize("strategy", ["quantile", "target"])
    def test_constant_feature_has_no_bins(self, strategy):
        X = np.column_stack([np.full(50, 7.0), np.arange(50) % 2 * 3.0])
        encoder = PiecewiseLinearEncoder(strategy=strategy).fit(X, X[:, 1] > 0)
        constant_edges, binary_edges = encoder.edges_
        assert constant_edges.tolist() == [7]
        assert (binary_edges[0], binary_edges[-1]) == (0, 3)
        assert encoder.transform(X)[:2].max(axis=1).tolist() == [0, 1]
        assert all(name.startswith("x1_bin_") for name in encoder.get_feature_names_out())


@pytest.mark.parametrize(
    "params",
    [{"n_bins": 0}, {"n_tail_bins": -1}, {"strategy": "tree"}, {"handle_missing": "zero"}],
    ids=lambda params: next(iter(params)),
)
def test_invalid_parameters(X, params):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter .* Got"):
        PiecewiseLinearEncoder(**params).fit(X)


class TestMissingValues:
    @pytest.mark.parametrize("strategy", ["quantile", "target"])
    def test_seen_in_fit(self, strategy):
        X = as_feature(1, np.nan, 2, 3, np.nan)
        encoder = PiecewiseLinearEncoder(4, strategy=strategy)
        encoded = encoder.fit_transform(X, [0, 1, 1, 0, 1])
        assert encoder.get_feature_names_out()[-1] == "x0_missing"
        np.testing.assert_array_equal(encoded[:, -1], [0, 1, 0, 0, 1])
        assert not encoded[[1, 4], :-1].any()
        np.testing.assert_array_equal(encoder.edges_[0][[0, -1]], [1, 3])

    def test_not_seen_in_fit(self):
        encoder = PiecewiseLinearEncoder(2).fit(as_feature(1, 2, 3, 4, 100))
        with pytest.raises(ValueError, match=r"X must not have NaN in .*, got 1 in \['x0'\]"):
            encoder.transform(as_feature(1, np.nan))
        encoder.set_params(handle_missing="median")
        np.testing.assert_array_equal(
            encoder.transform(as_feature(np.nan)), encoder.transform(as_feature(3))
        )

    def test_no_observed_values(self):
        X = np.column_stack([np.full(4, np.nan), np.arange(4.0)])
        encoder = PiecewiseLinearEncoder(1).fit(X)
        assert encoder.get_feature_names_out().tolist() == ["x0_missing", "x1_bin_0"]
        encoded = encoder.transform([[5.0, 0.0], [np.nan, 3.0]])
        np.testing.assert_array_equal(encoded, [[0, 0], [1, 1]])


def test_infinity():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [-np.inf, 1.0]})
    with pytest.raises(ValueError, match=r"X must not have infinity, got 1 in \['b'\]"):
        PiecewiseLinearEncoder().fit(X)


def test_dataframe():
    X = pd.DataFrame({"age": [1, 2, 3], "pay": pd.array([1, None, 2], dtype="Int64")})
    encoder = PiecewiseLinearEncoder(2).set_output(transform="pandas")
    encoded = encoder.fit_transform(X)
    assert encoded.columns.tolist() == ["age_bin_0", "age_bin_1", "pay_bin_0", "pay_missing"]
    assert encoded.index.equals(X.index)
    np.testing.assert_array_equal(encoded.loc[1], [1, 0, 0, 1])
    assert encoder.feature_names_in_.tolist() == ["age", "pay"]


@pytest.mark.parametrize(
    "n_samples, n_bins, n_tail_bins",
    [(100, 8, 8), (64 * 20, 20, 20), (64 * 100, 64, 100), (64 * 200, 64, 128)],
)
def test_the_number_of_bins_follows_the_number_of_samples(n_samples, n_bins, n_tail_bins):
    values = np.linspace(0, 1, n_samples)
    assert len(PiecewiseLinearEncoder().fit(values[:, None]).edges_[0]) == n_bins + 1
    spike = np.concatenate([np.zeros(n_samples // 2), 1 + values[: n_samples - n_samples // 2]])
    explicit = PiecewiseLinearEncoder(n_bins=n_bins, n_tail_bins=n_tail_bins).fit(spike[:, None])
    (edges,) = PiecewiseLinearEncoder().fit(spike[:, None]).edges_
    assert edges.tolist() == explicit.edges_[0].tolist()
    assert len(edges) > n_tail_bins
