"""Scores of another classifier as columns."""

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
    is_classifier,
)
from sklearn.model_selection import cross_val_predict
from sklearn.utils.validation import check_is_fitted

SURE = 1e-6  # probabilities are kept so far from 0 and 1


class CrossFittedScores(
    ClassNamePrefixFeaturesOutMixin, MetaEstimatorMixin, TransformerMixin, BaseEstimator
):
    """Log-odds that another classifier gives to each row, as columns.

    In `fit_transform`, which pipelines call, each row is scored by a copy of the classifier that
    was fitted on other rows, as scikit-learn's StackingClassifier does: scores of rows that a
    classifier has seen promise more than those of new rows keep. `transform` scores by the
    classifier that was fitted on all rows. So ``fit(X, y).transform(X)`` is not
    ``fit_transform(X, y)``.

    Parameters
    ----------
    estimator : classifier
        Classifier with `predict_proba`, trained without any regard to fairness, such as
        :class:`~sklearn.ensemble.HistGradientBoostingClassifier`.

    cv : int, splitter or iterable, default=None
        Folds of `fit_transform`; see :func:`sklearn.model_selection.cross_val_predict`. None
        means 5, stratified.

    Attributes
    ----------
    estimator_ : classifier
        The classifier, fitted on all rows.

    classes_ : ndarray of shape (n_classes,)
        Labels.

    n_features_in_ : int
        Columns of X, if `estimator_` tells them.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns of X, if `estimator_` tells them.

    See Also
    --------
    tabular_preprocessor : Columns of a table, to be joined with the scores.
    sklearn.ensemble.StackingClassifier : Does the same, but passes no sensitive features on.

    Notes
    -----
    The scores differ between groups; it is for the net behind to trade that off, and its decisions
    are what to audit. Sample weights are not passed on to the classifier.

    Examples
    --------
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> from sklearn.pipeline import make_pipeline, make_union
    >>> from fairbinn_sklearn import FairBiNNClassifier
    >>> from fairbinn_sklearn.datasets import load_german
    >>> from fairbinn_sklearn.preprocessing import CrossFittedScores, tabular_preprocessor
    >>> german = load_german(sensitive_features="age")
    >>> boosting = HistGradientBoostingClassifier(max_iter=20, categorical_features="from_dtype")
    >>> columns = make_union(tabular_preprocessor(), CrossFittedScores(boosting))
    >>> clf = make_pipeline(columns, FairBiNNClassifier(max_epochs=5, random_state=0))
    >>> old = german.data["age"] > 25
    >>> clf = clf.fit(german.data, german.target, fairbinnclassifier__sensitive_features=old)
    >>> clf.predict(german.data).shape
    (1000,)
    """

    def __init__(self, estimator, *, cv=None):
        self.estimator = estimator
        self.cv = cv

    def fit(self, X, y):
        """Fit the classifier on all rows.

        Parameters
        ----------
        X : array-like of shape (N, n_features)
            Columns.
        y : array-like of shape (N,)
            Labels.

        Returns
        -------
        self : CrossFittedScores
            The fitted transformer.

        Raises
        ------
        TypeError
            If `estimator` is not a classifier with `predict_proba`.
        """
        self._check()
        return self._take(clone(self.estimator).fit(X, y))

    def fit_transform(self, X, y):
        """Fit the classifier on all rows; score each row by one fitted on others.

        Parameters
        ----------
        X : array-like of shape (N, n_features)
            Columns.
        y : array-like of shape (N,)
            Labels.

        Returns
        -------
        scores : ndarray of shape (N, 1) or (N, n_classes)
            Log-odds of the second class, or of each class if there are more than two.

        Raises
        ------
        TypeError
            If `estimator` is not a classifier with `predict_proba`.
        """
        self._check()
        shares = cross_val_predict(self.estimator, X, y, cv=self.cv, method="predict_proba")
        self._take(clone(self.estimator).fit(X, y))
        return _log_odds(shares)

    def transform(self, X):
        """Score rows by the classifier that was fitted on all rows.

        Parameters
        ----------
        X : array-like of shape (N, n_features)
            Columns.

        Returns
        -------
        scores : ndarray of shape (N, 1) or (N, n_classes)
            Log-odds of the second class, or of each class if there are more than two.
        """
        check_is_fitted(self)
        return _log_odds(self.estimator_.predict_proba(X))

    def _check(self):
        if not hasattr(self.estimator, "predict_proba") or not is_classifier(self.estimator):
            raise TypeError(
                f"estimator must be a classifier with predict_proba, got {self.estimator!r}."
            )

    def _take(self, fitted):
        self.estimator_ = fitted
        self.classes_ = fitted.classes_
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)  # those of an earlier fit
            if hasattr(fitted, name):
                setattr(self, name, getattr(fitted, name))
        return self

    @property
    def _n_features_out(self):
        return 1 if len(self.classes_) == 2 else len(self.classes_)

    def __sklearn_tags__(self):
        """Tags of the classifier behind, as far as they are about the input."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if hasattr(self.estimator, "__sklearn_tags__"):
            inner = self.estimator.__sklearn_tags__().input_tags
            tags.input_tags.allow_nan = inner.allow_nan
            tags.input_tags.sparse = inner.sparse
        return tags


def _log_odds(shares):
    """Log-odds of the last of two columns, or of each of more."""
    shares = np.clip(shares[:, 1:] if shares.shape[1] == 2 else shares, SURE, 1 - SURE)
    return np.log(shares) - np.log1p(-shares)
