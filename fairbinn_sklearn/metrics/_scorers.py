"""Scorers of fairlearn's metrics that take the sensitive features of each fold."""

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.metrics import get_scorer

from .._data.groups import COMBINATIONS, GroupEncoder, sensitive_frame
from .._utils.upstream import UNUSED
from ._metrics import METRICS, check_metrics, distinct_samples


class FairnessScorer(BaseEstimator):
    """Score an estimator by a group metric, for scikit-learn's `scoring`.

    Greater is better: differences are negated, as scikit-learn does with losses.

    Parameters
    ----------
    metric : str, default="demographic_parity_difference"
        The metric, by fairlearn's name where it has one:

        - "demographic_parity_difference" and "demographic_parity_ratio", of selection rates;
        - "equalized_odds_difference", the larger of those of true and of false positive rates;
        - "equal_opportunity_difference", of true positive rates;
        - "mean_score_difference", of the means of `predict_proba`;
        - "worst_group_accuracy", the accuracy of the group where it is lowest.

        With more than two classes it is the worst over classes; "equal_opportunity_difference"
        needs two.

    pos_label : label, default=None
        The positive one of two classes. None means the last of the estimator's `classes_`.

    combine : {"intersection", "separate"}, default="intersection"
        How to combine several sensitive features: by the groups of their intersection, as fairlearn
        does, or by the worst value over the features.

    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        Sensitive features of the samples that will be scored, for functions without metadata
        routing, such as :func:`sklearn.inspection.permutation_importance`. Searches and
        cross-validation route the sensitive features of each fold; leave it None there.

    See Also
    --------
    fairness_scoring : Several scorers at once.
    best_under : The choice of the best candidate under a bound.

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
    __metadata_request__score = {"estimator": UNUSED, "sensitive_features": True}

    def __init__(
        self,
        metric="demographic_parity_difference",
        *,
        pos_label=None,
        combine="intersection",
        sensitive_features=None,
    ):
        self.metric = metric
        self.pos_label = pos_label
        self.combine = combine
        self.sensitive_features = sensitive_features

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
            `sensitive_features` and `sample_weight`.

        Returns
        -------
        score : float
            The metric, negated where smaller is better.
        """
        return self.score(estimator, X, y, **groups)

    def score(self, estimator, X, y, *, sensitive_features=None, sample_weight=None):
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

        Returns
        -------
        score : float
            The metric, negated where smaller is better.

        Raises
        ------
        ValueError
            If there are no sensitive features, or a parameter is not valid.
        """
        check_metrics("metric", [self.metric])
        if self.combine not in COMBINATIONS:
            raise ValueError(f"combine must be one of {COMBINATIONS}, got {self.combine!r}.")
        metric = METRICS[self.metric]
        classes = np.asarray(estimator.classes_)
        pos_label = classes[-1] if self.pos_label is None else self.pos_label
        if pos_label not in classes.tolist():
            raise ValueError(
                f"pos_label must be one of the classes {classes.tolist()}, got {pos_label!r}."
            )
        frame = sensitive_frame(self._sensitive_features(sensitive_features), len(y))
        codes = GroupEncoder(self.combine).fit_transform(frame)
        response = np.asarray(getattr(estimator, metric.response_method)(X))
        values = []
        for column in codes.T:
            y_true, answer, groups, weight = distinct_samples(
                np.asarray(y), response, column, sample_weight
            )
            values.append(
                metric.function(
                    y_true,
                    answer,
                    classes,
                    pos_label,
                    sensitive_features=pd.Series(groups),  # fairlearn refuses an array of length 1
                    sample_weight=weight,
                )
            )
        value = metric.worst(values)
        return float(value if metric.greater_is_better else -value)

    def _sensitive_features(self, sensitive_features):
        if sensitive_features is not None:
            return sensitive_features
        if self.sensitive_features is not None:
            return self.sensitive_features
        if get_config()["enable_metadata_routing"]:
            advice = (
                "Pass them to the search as fit(X, y, sensitive_features=...), or to "
                "cross_validate as params={'sensitive_features': ...}."
            )
        else:
            advice = (
                "scikit-learn passes them to scorers with metadata routing only: call "
                "sklearn.set_config(enable_metadata_routing=True) first."
            )
        raise ValueError(
            f"sensitive_features must be passed to the scorer of {self.metric}, got None. {advice} "
            "For functions without metadata routing, set FairnessScorer(..., "
            "sensitive_features=...)."
        )


def fairness_scoring(*metrics, score="accuracy", pos_label=None):
    """Return a dict of scorers of a score and of group metrics, for scikit-learn's `scoring`.

    Parameters
    ----------
    *metrics : str
        Names of metrics, as in `FairnessScorer`; none means "demographic_parity_difference".

    score : str, default="accuracy"
        Name of a scorer of scikit-learn.

    pos_label : label, default=None
        The positive one of two classes, as in `FairnessScorer`.

    Returns
    -------
    scoring : dict of str to scorer
        Scorers by their names.

    Raises
    ------
    ValueError
        If a name is not that of a metric.

    See Also
    --------
    best_under : The choice among the candidates, for `refit`.

    Examples
    --------
    >>> from fairbinn_sklearn.metrics import fairness_scoring
    >>> list(fairness_scoring())
    ['accuracy', 'demographic_parity_difference']
    >>> list(fairness_scoring("equalized_odds_difference", score="roc_auc"))
    ['roc_auc', 'equalized_odds_difference']
    """
    metrics = metrics or ("demographic_parity_difference",)
    check_metrics("metrics", metrics)
    scorers = {metric: FairnessScorer(metric, pos_label=pos_label) for metric in metrics}
    return {score: get_scorer(score), **scorers}
