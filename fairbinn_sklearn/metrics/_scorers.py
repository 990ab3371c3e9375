"""Scorers of group metrics that take the sensitive features of each fold."""

import warnings

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.metrics import get_scorer
from sklearn.utils.validation import check_is_fitted

from .._data.frames import check_order
from .._data.groups import (
    COMBINATIONS,
    UNKNOWN,
    GroupEncoder,
    columns_by_stratum,
    sensitive_frame,
    strata_of,
)
from .._data.labels import (
    label_codes,
    plain_labels,
    plain_weights,
    positive_code,
    trained_pos_label,
)
from .._utils.upstream import UNUSED
from ._metrics import METRICS, check_metrics, count, mean_scores

_REQUEST = {"estimator": UNUSED, "sensitive_features": True, "control_features": True}


class FairnessScorer(BaseEstimator):
    """Score an estimator by a group metric, for scikit-learn's `scoring`.

    Greater is better: differences are negated, as scikit-learn does with losses.

    Parameters
    ----------
    metric : str, default="demographic_parity_difference"
        The metric: "<constraint>_difference" or "<constraint>_ratio" for each named `constraint`,
        "<constraint>_minimum" for the lowest rate of a group if a high rate is good, or another
        name of this list. fairlearn has the same names for demographic parity, equal opportunity
        and equalized odds.

        - "demographic_parity_difference" and "demographic_parity_ratio", of selection rates;
        - "equal_opportunity_difference" and "_ratio", of true positive rates;
        - "false_positive_rate_parity_difference" and "_ratio", of false positive rates;
        - "equalized_odds_difference" and "_ratio", the worse of those of true and of false positive
          rates;
        - "predictive_parity_difference" and "_ratio", of precisions;
        - "false_omission_rate_parity_difference" and "_ratio", of the fractions of positive samples
          among those predicted as negative;
        - "accuracy_parity_difference" and "_ratio", of accuracies;
        - "f1_parity_difference" and "_ratio", of F1 scores;
        - "treatment_equality_difference" and "_ratio", of the shares of false negatives among the
          errors;
        - "mean_score_difference", of the means of `predict_proba`;
        - "score_distribution_difference", the largest difference between selection rates at the
          thresholds 0.1, 0.2, ..., 0.9 of `predict_proba`;
        - "worst_group_accuracy", the accuracy of the group where it is lowest;
        - "selection_rate", the fraction of samples predicted as positive, 0 or 1 for a constant
          model.

        With more than two classes, differences and ratios are the worst over the classes, and
        "selection_rate" is the largest fraction of a class; equal opportunity and false positive
        rate parity need two classes. A rate over no samples is left out. If fewer than two groups
        have a rate, the difference or ratio is NaN, and a warning is raised. Samples of unknown
        groups are left out.

    pos_label : label, default=None
        Positive class of a problem with two classes. None means the `pos_label` of the estimator,
        or the last of its `classes_`.

    combine : {"intersection", "separate"}, default="intersection"
        How to combine several sensitive features: by the groups of their intersection, as fairlearn
        does, or by the worst value over the features.

    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        Sensitive features of the samples that will be scored, for functions without metadata
        routing, such as :func:`sklearn.inspection.permutation_importance`. Searches and
        cross-validation route the sensitive features of each fold; leave it None there.

    control_features : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        Features within whose values (strata) groups are compared, for functions without metadata
        routing. The metric is then the worst value over the strata.

    See Also
    --------
    fairness_scoring : Several scorers at once.
    best_under : Choose the best candidate under a bound.

    Notes
    -----
    scikit-learn passes the sensitive features of a fold to scorers only with
    ``sklearn.set_config(enable_metadata_routing=True)``. The request for them is already set.

    Examples
    --------
    >>> import numpy as np
    >>> import sklearn
    >>> from fairbinn_sklearn import FairBiNNClassifier
    >>> from fairbinn_sklearn.metrics import FairnessScorer
    >>> from sklearn.model_selection import cross_val_score
    >>> rng = np.random.default_rng(0)
    >>> group = rng.choice(["a", "b"], 1000)
    >>> X = rng.normal(size=(1000, 3)) + (group == "a")[:, None]
    >>> y = np.where(X.sum(axis=1) + rng.normal(size=1000) > 1.5, "yes", "no")
    >>> clf = FairBiNNClassifier(eta=0, max_epochs=5, random_state=0)
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     scores = cross_val_score(
    ...         clf, X, y, scoring=FairnessScorer(), params={"sensitive_features": group}, cv=3
    ...     )
    >>> bool((scores < -0.3).all())
    True
    """

    # Metadata routing: what users would otherwise request by set_score_request.
    __metadata_request__score = _REQUEST

    def __init__(
        self,
        metric="demographic_parity_difference",
        *,
        pos_label=None,
        combine="intersection",
        sensitive_features=None,
        control_features=None,
    ):
        self.metric = metric
        self.pos_label = pos_label
        self.combine = combine
        self.sensitive_features = sensitive_features
        self.control_features = control_features

    def __call__(self, estimator, X, y, **groups):
        """Score a fitted estimator; see `score`.

        Parameters
        ----------
        estimator : estimator
            Fitted classifier.

        X : array-like of shape (n_samples, n_features)
            Samples.

        y : array-like of shape (n_samples,)
            Labels.

        **groups : dict
            `sensitive_features`, `sample_weight` and `control_features`.

        Returns
        -------
        score : float
            The metric, negated where smaller is better.
        """
        return self.score(estimator, X, y, **groups)

    def score(
        self,
        estimator,
        X,
        y,
        *,
        sensitive_features=None,
        sample_weight=None,
        control_features=None,
    ):
        """Score a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted classifier, or a pipeline or search that ends in one.

        X : array-like of shape (n_samples, n_features)
            Samples.

        y : array-like of shape (n_samples,)
            Labels.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Sensitive features.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the rates.

        control_features : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
            Features within whose values (strata) groups are compared. The metric is then the worst
            value over the strata. Strata without two groups are left out.

        Returns
        -------
        score : float
            The metric, negated where smaller is better.

        Raises
        ------
        ValueError
            If no sensitive features are passed, or a parameter is not valid.

        TypeError
            If `estimator` is not a classifier.

        Warns
        -----
        UserWarning
            If the metric is NaN, because fewer than two groups have a rate.
        """
        check_metrics("metric", [self.metric])
        if self.combine not in COMBINATIONS:
            raise ValueError(f"combine must be one of {COMBINATIONS}, got {self.combine!r}.")
        metric = METRICS[self.metric]
        check_is_fitted(estimator)
        if not hasattr(estimator, "classes_"):
            raise TypeError(
                "estimator must be a fitted classifier with classes_, got "
                f"{type(estimator).__name__}."
            )
        sensitive_features = self._sensitive_features(sensitive_features)
        control_features = self.control_features if control_features is None else control_features
        check_order(sensitive_features, X=X, y=y)
        check_order(control_features, of="control_features", X=X, y=y)
        pos_label = trained_pos_label(estimator) if self.pos_label is None else self.pos_label
        classes, order = ordered_classes(estimator.classes_, pos_label)
        y_true = order[label_codes(X, y, classes)]
        codes = cells(self.combine, sensitive_features, control_features, len(y_true))
        weight = plain_weights(1.0 if sample_weight is None else sample_weight, y_true)
        response = np.asarray(getattr(estimator, metric.response_method)(X))
        if metric.response_method == "predict":
            response = order[label_codes(X, response, classes, "predictions")]
        else:
            response = response[:, np.argsort(order)]
        values = [
            self._value(metric, y_true, response, column, weight, len(classes))
            for column in columns_of(metric, codes)
        ]
        value = float(metric.worst(values))
        if np.isnan(value):
            warnings.warn(
                f"{self.metric} is NaN: fewer than two groups have samples to take a rate of in "
                f"these {len(y_true)} samples. Stratify the folds by group, as "
                "FairBiNNClassifierCV does.",
                UserWarning,
                stacklevel=2,
            )
        return value if metric.greater_is_better else -value

    def _value(self, metric, y_true, response, groups, weight, n_classes):
        """Return the metric of one partition of the samples, without those of unknown groups."""
        known = (groups != UNKNOWN) & (weight > 0)
        if not known.any():
            return np.nan
        y_true, response, groups, weight = (
            array[known] for array in (y_true, response, groups, weight)
        )
        try:
            if metric.response_method == "predict_proba":
                values = metric.of_scores(response)
                return metric.function(mean_scores(values, groups, weight)[None])
            return metric.function(count(y_true, response, groups, weight, n_classes))
        except ValueError as error:
            raise ValueError(f"metric={self.metric!r} cannot be taken: {error}") from error

    @property
    def _score_func(self):
        """Raise for scikit-learn's threshold tuning, which passes no sensitive features."""
        raise TypeError(
            "FairnessScorer must not be the scoring of TunedThresholdClassifierCV, which passes no "
            "sensitive features. Choose eta by GridSearchCV or FairBiNNClassifierCV, or tune "
            "thresholds by group with fairlearn.postprocessing.ThresholdOptimizer."
        )

    def _sensitive_features(self, sensitive_features):
        if sensitive_features is not None:
            return sensitive_features
        if self.sensitive_features is not None:
            return self.sensitive_features
        raise ValueError(
            f"sensitive_features must be passed to the scorer of {self.metric}, got None. "
            f"{how_to_pass_groups()} For functions without metadata routing, set "
            "FairnessScorer(..., sensitive_features=...)."
        )


def how_to_pass_groups():
    """Return the advice to pass sensitive features to the scorers of a search."""
    if get_config()["enable_metadata_routing"]:
        return (
            "Pass them to the search as fit(X, y, sensitive_features=...), or to cross_validate as "
            "params={'sensitive_features': ...}."
        )
    return (
        "scikit-learn passes them to scorers only if metadata routing is enabled: call "
        "sklearn.set_config(enable_metadata_routing=True) first."
    )


class ScorerWithoutGroups(BaseEstimator):
    """Scorer of scikit-learn that takes sensitive features and ignores them.

    A search passes the metadata of all its scorers to the scorer that `refit` names.
    """

    __metadata_request__score = _REQUEST

    def __init__(self, name):
        self.name = name

    def __call__(self, estimator, X, y, **metadata):
        """Score a fitted estimator; see `score`."""
        return self.score(estimator, X, y, **metadata)

    def score(
        self,
        estimator,
        X,
        y,
        *,
        sensitive_features=None,
        sample_weight=None,
        control_features=None,
    ):
        """Return the score of scikit-learn's scorer."""
        y = plain_labels(y)
        weight = {} if sample_weight is None else {"sample_weight": plain_weights(sample_weight, y)}
        return get_scorer(self.name)(estimator, X, y, **weight)


def cells(combine, sensitive_features, control_features, n_samples):
    """Return group codes of the samples, with one column for each partition and stratum."""
    frame = sensitive_frame(sensitive_features, n_samples)
    codes = GroupEncoder(combine).fit_transform(frame)
    if control_features is None:
        return codes
    return columns_by_stratum(codes, strata_of(control_features, n_samples)[0])


def columns_of(metric, codes):
    """Return the columns of codes in which a metric is taken.

    The selection rate does not depend on groups: it is that of all samples of known groups.
    """
    if metric is METRICS["selection_rate"]:
        return [np.where((codes != UNKNOWN).any(axis=1), 0, UNKNOWN)]
    return list(codes.T)


def ordered_classes(classes, pos_label):
    """Return the classes, and new codes in which the positive class of two is the second."""
    classes = np.asarray(classes)
    order = np.arange(len(classes))
    return classes, order if positive_code(pos_label, classes) == 1 else order[::-1]


def fairness_scoring(*metrics, score="accuracy", pos_label=None):
    """Return a dict of scorers for scikit-learn's `scoring`: a score and group metrics.

    Parameters
    ----------
    *metrics : str
        Names of metrics, as in `FairnessScorer`. Without names the metric is
        "demographic_parity_difference".

    score : str, default="accuracy"
        Name of a scorer of scikit-learn.

    pos_label : label, default=None
        Positive class of a problem with two classes, as in `FairnessScorer`.

    Returns
    -------
    scoring : dict of str to scorer
        Scorers by name. "selection_rate" is always included, because `best_under` uses it to
        recognise models that predict one class only.

    Raises
    ------
    ValueError
        If a name is not the name of a metric.

    See Also
    --------
    best_under : Choose among the candidates, for `refit`.

    Examples
    --------
    >>> from fairbinn_sklearn.metrics import fairness_scoring
    >>> list(fairness_scoring())
    ['accuracy', 'demographic_parity_difference', 'selection_rate']
    >>> list(fairness_scoring("equalized_odds_difference", score="roc_auc"))
    ['roc_auc', 'equalized_odds_difference', 'selection_rate']
    """
    metrics = metrics or ("demographic_parity_difference",)
    check_metrics("metrics", metrics)
    get_scorer(score)  # raises if there is no such scorer
    names = dict.fromkeys([*metrics, "selection_rate"])
    scorers = {metric: FairnessScorer(metric, pos_label=pos_label) for metric in names}
    return {score: ScorerWithoutGroups(score), **scorers}
