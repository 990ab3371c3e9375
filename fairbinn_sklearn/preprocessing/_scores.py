"""Scores of another classifier as features."""

import numpy as np
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
    is_classifier,
)
from sklearn.model_selection import cross_val_predict
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from .._data.labels import plain_labels

PROBA_CLIP = 1e-6  # probabilities are clipped to [PROBA_CLIP, 1 - PROBA_CLIP]


class CrossFittedScores(
    ClassNamePrefixFeaturesOutMixin, MetaEstimatorMixin, TransformerMixin, BaseEstimator
):
    """Replace features by the log-odds that another classifier predicts from them.

    `fit_transform`, which pipelines call, is cross-fitted like scikit-learn's StackingClassifier:
    each sample is scored by a copy of the classifier that was fitted without it. Scores of samples
    that a classifier was trained on are more accurate than scores of new samples, and the network
    would rely on them too much. `transform` uses the classifier that was fitted on all samples.
    Therefore ``fit(X, y).transform(X)`` differs from ``fit_transform(X, y)``.

    Parameters
    ----------
    estimator : classifier
        Classifier with `predict_proba`, trained without fairness constraints, such as
        :class:`~sklearn.ensemble.HistGradientBoostingClassifier`.

    cv : int, splitter or iterable, default=None
        Folds of `fit_transform`; see :func:`sklearn.model_selection.cross_val_predict`. None
        means 5 stratified folds.

    Attributes
    ----------
    estimator_ : classifier
        Classifier fitted on all samples.

    classes_ : ndarray of shape (n_classes,)
        Class labels.

    n_features_in_ : int
        Number of features seen in `fit`. Defined only if `estimator_` defines it.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of features seen in `fit`. Defined only if `estimator_` defines it.

    See Also
    --------
    tabular_preprocessor : Features of a table, to be used together with the scores.
    sklearn.ensemble.StackingClassifier : The same idea, but without routing of sensitive features.

    Notes
    -----
    The scores differ between groups. The network that follows makes the trade-off, so audit its
    predictions. Sample weights reach the classifier by metadata routing, if it requests them.

    Examples
    --------
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> from sklearn.pipeline import make_pipeline, make_union
    >>> from fairbinn_sklearn import FairBiNNClassifier
    >>> from fairbinn_sklearn.datasets import load_german
    >>> from fairbinn_sklearn.preprocessing import CrossFittedScores, tabular_preprocessor
    >>> german = load_german(sensitive_features="age")
    >>> boosting = HistGradientBoostingClassifier(max_iter=20, categorical_features="from_dtype")
    >>> features = make_union(tabular_preprocessor(), CrossFittedScores(boosting))
    >>> clf = make_pipeline(features, FairBiNNClassifier(max_epochs=5, random_state=0))
    >>> over_25 = german.data["age"] > 25
    >>> clf = clf.fit(german.data, german.target, fairbinnclassifier__sensitive_features=over_25)
    >>> clf.predict(german.data).shape
    (1000,)
    """

    def __init__(self, estimator, *, cv=None):
        self.estimator = estimator
        self.cv = cv

    def fit(self, X, y, **params):
        """Fit the classifier on all samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Class labels.
        **params : dict
            Parameters for `fit` of the classifier, such as `sample_weight`. With metadata routing,
            those that it requested.

        Returns
        -------
        self : CrossFittedScores
            The fitted transformer.

        Raises
        ------
        TypeError
            If `estimator` is not a classifier with `predict_proba`.
        """
        self._check_estimator()
        y = plain_labels(y)
        self.estimator_ = clone(self.estimator).fit(X, y, **self._fit_params("fit", params))
        self.classes_ = self.estimator_.classes_
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)  # Drop the attribute of an earlier fit.
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def fit_transform(self, X, y, **params):
        """Fit the classifier, and score each sample by a copy that was fitted without it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Class labels.
        **params : dict
            As in `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples, 1) or (n_samples, n_classes)
            Log-odds of the second of two classes, or of each of more classes.

        Raises
        ------
        TypeError
            If `estimator` is not a classifier with `predict_proba`.
        """
        self._check_estimator()
        fit_params, y = self._fit_params("fit_transform", params), plain_labels(y)
        proba = cross_val_predict(
            self.estimator, X, y, cv=self.cv, method="predict_proba", params=fit_params
        )
        self.fit(X, y, **fit_params)
        return _log_odds(proba)

    def transform(self, X):
        """Score samples by the classifier that was fitted on all samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples, 1) or (n_samples, n_classes)
            Log-odds of the second of two classes, or of each of more classes.
        """
        check_is_fitted(self)
        return _log_odds(self.estimator_.predict_proba(X))

    def get_metadata_routing(self):
        """Return the routing of metadata to `fit` of the classifier.

        Returns
        -------
        routing : MetadataRouter
            The routing.
        """
        mapping = MethodMapping()
        for caller in ("fit", "fit_transform"):
            mapping = mapping.add(caller=caller, callee="fit")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def _fit_params(self, caller, params):
        """Return the parameters for `fit` of the classifier."""
        if not get_config()["enable_metadata_routing"]:
            return params
        return process_routing(self, caller, **params).estimator.fit

    def _check_estimator(self):
        if not hasattr(self.estimator, "predict_proba") or not is_classifier(self.estimator):
            raise TypeError(
                f"estimator must be a classifier with predict_proba, got {self.estimator!r}. "
                "Wrap a classifier without predict_proba in CalibratedClassifierCV."
            )

    @property
    def _n_features_out(self):
        return 1 if len(self.classes_) == 2 else len(self.classes_)

    def __sklearn_tags__(self):
        """Return the tags; those of the input are the tags of the classifier."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if hasattr(self.estimator, "__sklearn_tags__"):
            input_tags = self.estimator.__sklearn_tags__().input_tags
            tags.input_tags.allow_nan = input_tags.allow_nan
            tags.input_tags.sparse = input_tags.sparse
        return tags


def _log_odds(proba):
    """Return the log-odds of the second of two classes, or of each of more classes."""
    proba = np.clip(proba[:, 1:] if proba.shape[1] == 2 else proba, PROBA_CLIP, 1 - PROBA_CLIP)
    return np.log(proba) - np.log1p(-proba)
