"""The piecewise-linear encoding of numeric columns."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from .._data.labels import distinct_labels, plain_labels
from ._bins import encode, learn


class PiecewiseLinearEncoder(TransformerMixin, BaseEstimator):
    r"""Encode numeric columns by how far their values have come through each of some bins.

    With the edges :math:`t_0 < t_1 < \dots < t_B` of a column, bin :math:`b` gives [1]_

    .. math::

        \min\Bigl(\max\Bigl(\frac{x - t_{b-1}}{t_b - t_{b-1}}, 0\Bigr), 1\Bigr) .

    The bins below that of :math:`x` are 1, those above it 0. A linear function of the encoding is
    any continuous function that is linear between the edges, so nets learn steep and wavy
    functions of a column sooner than from the scaled column.

    Parameters
    ----------
    n_bins : int, default=64
        Bins at most whose edges are quantiles of the column, or leaves of its tree.

    n_tail_bins : int, default=32
        Further bins at most whose edges are quantiles of the rows away from spikes, for
        `strategy` "quantile". A spike is a value with more than ``1 / n_bins`` of the rows, such
        as 0 among capital gains: it swallows quantiles, and leaves few to the values beside it.
        0 means none.

    strategy : {"quantile", "target"}, default="quantile"
        Where edges go.

        - "quantile": quantiles, spikes, and quantiles away from the spikes. `y` is not looked at.
        - "target": thresholds of a decision tree that predicts `y` from the column alone; a
          classifier, or a regressor where `y` is continuous.

    handle_missing : {"error", "median"}, default="error"
        What to do in `transform` with NaN in a column that had none in `fit`: raise an error, or
        read it as the median of the column in `fit`. A column that had NaN in `fit` has an
        indicator of it, whatever this is.

    dtype : {np.float32, np.float64}, default=None
        Type of the output. None keeps float32, and makes float64 of all else.

    Attributes
    ----------
    edges_ : list of n_features ndarrays
        Edges of each column, increasing, in float64. A constant column has one edge and a column
        without any number none; neither has a bin.

    medians_ : ndarray of shape (n_features,)
        Medians of the columns, the lower of two middle values; NaN where a column has no number.

    has_missing_ : ndarray of bool, of shape (n_features,)
        Whether a column had NaN in `fit`.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns seen in `fit`, if all are strings.

    See Also
    --------
    tabular_preprocessor : This encoding for numbers and a one-hot one for the rest.
    sklearn.preprocessing.SplineTransformer : Smooth functions between knots.
    sklearn.preprocessing.KBinsDiscretizer : Steps between edges.

    Notes
    -----
    Beyond its outermost edges a column counts as at them, so the output is within [0, 1] for any
    number. In [1]_ the first and the last bin go on linearly, without bounds.

    NaN is encoded as zeros, and as 1 in the indicator of the column, which comes behind its bins.

    Edges by "target" have seen the labels: put the encoder into the pipeline that is
    cross-validated, never in front of it.

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
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "n_tail_bins": [Interval(Integral, 0, None, closed="left")],
        "strategy": [StrOptions({"quantile", "target"})],
        "handle_missing": [StrOptions({"error", "median"})],
        "dtype": [Options(type, {np.float32, np.float64}), None],
    }

    def __init__(
        self,
        n_bins=64,
        *,
        n_tail_bins=32,
        strategy="quantile",
        handle_missing="error",
        dtype=None,
    ):
        self.n_bins = n_bins
        self.n_tail_bins = n_tail_bins
        self.strategy = strategy
        self.handle_missing = handle_missing
        self.dtype = dtype

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find the edges of each column.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN is a missing value.

        y : array-like of shape (n_samples,), default=None
            Labels, or numbers, to place edges by. Looked at with `strategy` "target" only.

        Returns
        -------
        self : PiecewiseLinearEncoder
            The fitted encoder.

        Raises
        ------
        ValueError
            If X has infinite values, or `strategy` is "target" and `y` is None or has missing
            values or labels of several types.
        """
        if self.strategy == "quantile":
            X, y = self._check(X, reset=True), None
        elif y is None:
            raise ValueError(
                "strategy='target' requires y to be passed, but the target y is None. Pass "
                "fit(X, y), or set strategy='quantile'."
            )
        else:
            X, y = self._check(X, y, reset=True)
            y = plain_labels(y)
            if y.dtype == object:
                distinct_labels("y", y)
        self.has_missing_ = np.isnan(X).any(axis=0)
        learned = [
            learn(column.astype(np.float64), y, self.n_bins, self.n_tail_bins) for column in X.T
        ]
        self.edges_ = [edges for edges, _ in learned]
        self.medians_ = np.array([median for _, median in learned])
        return self

    def transform(self, X):
        """Encode rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN is a missing value.

        Returns
        -------
        X_out : ndarray of shape (n_samples, n_features_out)
            For each column in turn its bins, then its indicator of NaN if it had any in `fit`.

        Raises
        ------
        ValueError
            If X has infinite values, or NaN that `handle_missing` does not allow.
        """
        check_is_fitted(self)
        X = self._check(X, reset=False)
        unseen = np.isnan(X) & ~self.has_missing_
        if self.handle_missing == "error":
            self._refuse(unseen, "NaN in columns that had none in fit", "handle_missing='median'")
        n_bins = [max(len(edges) - 1, 0) for edges in self.edges_]
        ends = np.cumsum(n_bins + self.has_missing_)
        X_out = np.empty((len(X), ends[-1]), dtype=self.dtype or X.dtype)
        for j, block in enumerate(np.split(X_out, ends[:-1], axis=1)):
            column = np.where(unseen[:, j], self.medians_[j], X[:, j].astype(np.float64))
            if n_bins[j]:
                encode(column, self.edges_[j], block[:, : n_bins[j]])
            if self.has_missing_[j]:
                missing = np.isnan(column)
                block[missing] = 0
                block[:, -1] = missing
        return X_out

    def get_feature_names_out(self, input_features=None):
        """Name the columns of the output.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X. None means those seen in `fit`, or "x0", "x1", ...

        Returns
        -------
        feature_names_out : ndarray of str objects
            "age_bin_0", "age_bin_1", ..., and "age_missing" if there was NaN in `fit`.
        """
        check_is_fitted(self)
        names = []
        columns = _check_feature_names_in(self, input_features)
        for name, edges, missing in zip(columns, self.edges_, self.has_missing_, strict=True):
            names += [f"{name}_bin_{b}" for b in range(len(edges) - 1)]
            names += [f"{name}_missing"] * int(missing)
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = self.strategy == "target"
        tags.transformer_tags.preserves_dtype = [] if self.dtype else ["float64", "float32"]
        return tags

    def _check(self, X, *y, reset):
        """X, and y if it is given, as scikit-learn checks them; NaN is fine, infinity is not."""
        checked = validate_data(
            self, X, *y, dtype=(np.float64, np.float32), ensure_all_finite=False, reset=reset
        )
        self._refuse(np.isinf(checked[0] if y else checked), "infinity", "a finite value for it")
        return checked

    def _refuse(self, found, what, instead):
        """Raise an error with the names of the columns, if anything was found."""
        if found.any():
            names = _check_feature_names_in(self)[found.any(axis=0)].tolist()
            raise ValueError(
                f"X must not have {what}, got {int(found.sum())} of it in {names}; set {instead}."
            )
