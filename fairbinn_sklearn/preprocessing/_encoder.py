"""Piecewise-linear encoding of numeric features."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._data.labels import plain_labels
from .._data.validation import numeric_features
from .._utils.upstream import Interval, Options, StrOptions, check_feature_names_in, fit_context
from ._bins import encode, learn_bins

# Numbers of bins for "auto".
SAMPLES_PER_BIN = 64
FEWEST_BINS = 8
MOST_BINS, MOST_TAIL_BINS = 64, 128


class PiecewiseLinearEncoder(TransformerMixin, BaseEstimator):
    r"""Encode numeric features as piecewise-linear functions over bins.

    For a feature with bin edges :math:`t_0 < t_1 < \dots < t_B`, the output for bin :math:`b` is
    [1]_

    .. math::

        \min\Bigl(\max\Bigl(\frac{x - t_{b-1}}{t_b - t_{b-1}}, 0\Bigr), 1\Bigr) .

    Bins below the bin of :math:`x` are 1, and bins above it are 0. Every continuous function that
    is linear between the edges is a linear function of the encoding. A network therefore learns
    steep or non-monotonic functions of a feature faster than from the scaled feature.

    Parameters
    ----------
    n_bins : int or "auto", default="auto"
        Maximum number of bins between quantiles of the feature, or of leaves of its decision tree.
        "auto" is one bin per 64 samples, between 8 and 64.

        .. versionchanged:: 0.2 The default is "auto" instead of 64.

    n_tail_bins : int or "auto", default="auto"
        Maximum number of additional bins between quantiles of the samples that are not at a spike.
        Used if `strategy` is "quantile"; 0 adds none. A spike is a value of more than
        ``1 / n_bins`` of the samples, such as 0 among capital gains. Many quantiles fall on a
        spike, so that few are left for the other values. "auto" is one bin per 64 samples, between
        8 and 128.

        .. versionchanged:: 0.2 The default is "auto" instead of 32.

    strategy : {"quantile", "target"}, default="quantile"
        How bin edges are chosen.

        - "quantile": quantiles, spikes, and quantiles of the samples that are not at a spike. `y`
          is ignored.
        - "target": thresholds of a decision tree that predicts `y` from the feature alone. The
          tree is a regressor if `y` is continuous, and a classifier otherwise.

    handle_missing : {"error", "median"}, default="error"
        How `transform` treats NaN in a feature that had no NaN in `fit`: raise an error, or
        replace it by the median of the feature in `fit`. A feature that had NaN in `fit` has a
        missing indicator in both cases.

    dtype : {np.float32, np.float64}, default=None
        Data type of the output. None keeps float32 and converts all other types to float64.

    Attributes
    ----------
    edges_ : list of n_features ndarrays
        Increasing bin edges of each feature, in float64. A constant feature has one edge, and a
        feature without observed values has none; both have no bins.

    medians_ : ndarray of shape (n_features,)
        Medians of the features, the lower of two middle values. NaN for a feature without
        observed values.

    has_missing_ : ndarray of bool, of shape (n_features,)
        Whether a feature had NaN in `fit`.

    n_features_in_ : int
        Number of features seen in `fit`.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of features seen in `fit`. Defined only if all feature names are strings.

    See Also
    --------
    tabular_preprocessor : Combines this encoding with a one-hot encoding of categories.
    sklearn.preprocessing.SplineTransformer : Smooth functions between knots.
    sklearn.preprocessing.KBinsDiscretizer : Step functions between edges.

    Notes
    -----
    Values outside the outermost edges are clipped to them, so the output is within [0, 1]. In [1]_
    the first and the last bin are linear without bounds.

    NaN is encoded as zeros in all bins of the feature and as 1 in its missing indicator, which
    follows the bins.

    With `strategy` "target" the edges depend on the labels. Cross-validate a pipeline that
    contains the encoder, instead of encoding before cross-validation.

    References
    ----------
    .. [1] Gorishniy, Y., Rubachev, I., and Babenko, A. (2022). On Embeddings for Numerical
           Features in Tabular Deep Learning. Advances in Neural Information Processing Systems 35.
           https://arxiv.org/abs/2203.05556.

    Examples
    --------
    >>> import numpy as np
    >>> from fairbinn_sklearn.preprocessing import PiecewiseLinearEncoder
    >>> X = np.array([[0.0], [1.0], [2.0], [4.0], [8.0]])
    >>> encoder = PiecewiseLinearEncoder(n_bins=4).fit(X)
    >>> encoder.edges_
    [array([0., 1., 2., 4., 8.])]
    >>> encoder.transform([[3.0], [5.0], [10.0]])
    array([[1.  , 1.  , 0.5 , 0.  ],
           [1.  , 1.  , 1.  , 0.25],
           [1.  , 1.  , 1.  , 1.  ]])
    """

    _parameter_constraints: dict = {
        "n_bins": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_tail_bins": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        "strategy": [StrOptions({"quantile", "target"})],
        "handle_missing": [StrOptions({"error", "median"})],
        "dtype": [Options(type, {np.float32, np.float64}), None],
    }

    def __init__(
        self,
        n_bins="auto",
        *,
        n_tail_bins="auto",
        strategy="quantile",
        handle_missing="error",
        dtype=None,
    ):
        self.n_bins = n_bins
        self.n_tail_bins = n_tail_bins
        self.strategy = strategy
        self.handle_missing = handle_missing
        self.dtype = dtype

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the bin edges of each feature.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples. NaN is a missing value.

        y : array-like of shape (n_samples,), default=None
            Labels or continuous targets. Ignored if `strategy` is "quantile".

        Returns
        -------
        self : PiecewiseLinearEncoder
            The fitted encoder.

        Raises
        ------
        ValueError
            If X has infinite values, or if `strategy` is "target" and `y` is None, has missing
            values or mixes labels of different types.
        """
        if self.strategy == "quantile":
            X, y = self._validate(X, reset=True), None
        elif y is None:
            raise ValueError(
                "strategy='target' requires y to be passed, but the target y is None. Call "
                "fit(X, y) or set strategy='quantile'."
            )
        else:
            X, y = self._validate(X, plain_labels(y), reset=True)
        self.has_missing_ = np.isnan(X).any(axis=0)
        n_bins, n_tail_bins = (
            int(np.clip(len(X) // SAMPLES_PER_BIN, FEWEST_BINS, most)) if n == "auto" else n
            for n, most in ((self.n_bins, MOST_BINS), (self.n_tail_bins, MOST_TAIL_BINS))
        )
        bins = [learn_bins(feature.astype(np.float64), y, n_bins, n_tail_bins) for feature in X.T]
        self.edges_ = [edges for edges, _ in bins]
        self.medians_ = np.array([median for _, median in bins])
        return self

    def transform(self, X):
        """Encode samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples. NaN is a missing value.

        Returns
        -------
        X_out : ndarray of shape (n_samples, n_features_out)
            The bins of each feature, followed by its missing indicator if it had NaN in `fit`.

        Raises
        ------
        ValueError
            If X has infinite values, or if `handle_missing` is "error" and a feature that had no
            NaN in `fit` has NaN.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        newly_missing = np.isnan(X) & ~self.has_missing_
        if self.handle_missing == "error":
            self._raise_if_any(
                newly_missing, "NaN in features that had none in fit", "Set handle_missing='median'"
            )
        n_bins = [max(len(edges) - 1, 0) for edges in self.edges_]
        stops = np.cumsum(n_bins + self.has_missing_)
        X_out = np.empty((len(X), stops[-1]), dtype=self.dtype or X.dtype)
        for j, block in enumerate(np.split(X_out, stops[:-1], axis=1)):
            feature = np.where(newly_missing[:, j], self.medians_[j], X[:, j].astype(np.float64))
            if n_bins[j]:
                encode(feature, self.edges_[j], block[:, : n_bins[j]])
            if self.has_missing_[j]:
                missing = np.isnan(feature)
                block[missing] = 0
                block[:, -1] = missing
        return X_out

    def get_feature_names_out(self, input_features=None):
        """Return the names of the output features.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input features. None means the names seen in `fit`, or "x0", "x1", ... if
            X had no names.

        Returns
        -------
        feature_names_out : ndarray of str objects
            Names such as "age_bin_0" and "age_bin_1", and "age_missing" if the feature had NaN in
            `fit`.
        """
        check_is_fitted(self)
        names = []
        input_names = check_feature_names_in(self, input_features)
        for name, edges, missing in zip(input_names, self.edges_, self.has_missing_, strict=True):
            names += [f"{name}_bin_{b}" for b in range(len(edges) - 1)]
            if missing:
                names.append(f"{name}_missing")
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = self.strategy == "target"
        tags.transformer_tags.preserves_dtype = [] if self.dtype else ["float64", "float32"]
        return tags

    def _validate(self, X, *y, reset):
        """Return X, or X and y, validated by scikit-learn; allow NaN but not infinity in X."""
        validated = numeric_features(
            self, X, *y, dtype=(np.float64, np.float32), ensure_all_finite=False, reset=reset
        )
        is_infinite = np.isinf(validated[0] if y else validated)
        self._raise_if_any(is_infinite, "infinity", "Replace it by NaN or a finite value")
        return validated

    def _raise_if_any(self, mask, content, advice):
        """Raise a ValueError that names the features in which `mask` has a True value."""
        if mask.any():
            names = check_feature_names_in(self)[mask.any(axis=0)].tolist()
            raise ValueError(f"X must not have {content}, got {mask.sum()} in {names}. {advice}.")
