"""Scorers that hand the sensitive features of each fold to fairlearn's metrics."""

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.metrics import get_scorer
from sklearn.utils.metadata_routing import UNUSED

from .._data.groups import sensitive_frame
from ._figures import FIGURES, tally


class FairnessScorer(BaseEstimator):
    """Score an estimator by the parity of its decisions, for scikit-learn's `scoring`.

    Greater is better: differences are negated, as scikit-learn does with losses.

    Parameters
    ----------
    metric : str, default="demographic_parity_difference"
        The figure, by fairlearn's name where it has one:

        - "demographic_parity_difference" and "demographic_parity_ratio", of selection rates;
        - "equalized_odds_difference", the larger of those of true and of false positive rates;
        - "equal_opportunity_difference", of true positive rates;
        - "mean_score_difference", of the means of `predict_proba`;
        - "worst_group_accuracy", the accuracy of the group where it is lowest.

        With more than two classes it is the worst over classes; "equal_opportunity_difference"
        needs two.

    pos_label : label, default=None
        The positive one of two classes. None means the last of the estimator's `classes_`.

    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        Groups of the rows that will be scored, for functions that hand no metadata on, such as
        :func:`sklearn.inspection.permutation_importance`. Searches and cross-validation hand the
        groups of each fold by metadata routing; leave it None there.

    See Also
    --------
    fairness_scoring : Several scorers at once.
    best_under : The choice of the best candidate under a bound.

    Notes
    -----
    scikit-learn gives scorers the sensitive features of a fold only with
    ``sklearn.set_config(enable_metadata_routing=True)``. The request for them is set already.
    Several sensitive columns are scored by their intersection, as fairlearn does.

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

    # scikit-learn's metadata routing: what users would else ask for by set_score_request.
    __metadata_request__score = {"estimator": UNUSED, "sensitive_features": True}

    def __init__(
        self,
        metric="demographic_parity_difference",
        *,
        pos_label=None,
        sensitive_features=None,
    ):
        self.metric = metric
        self.pos_label = pos_label
        self.sensitive_features = sensitive_features

    def __call__(self, estimator, X, y, **groups):
        """Score a fitted estimator; see `score`.

        Parameters
        ----------
        estimator : estimator
            Fitted classifier.

        X : array-like of shape (n_samples, n_features)
            Rows.

        y : array-like of shape (n_samples,)
            Labels.

        **groups : dict
            `sensitive_features` and `sample_weight`.

        Returns
        -------
        score : float
            The figure, negated where smaller is better.
        """
        return self.score(estimator, X, y, **groups)

    def score(self, estimator, X, y, *, sensitive_features=None, sample_weight=None):
        """Score a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted classifier, or a pipeline or search that ends in one.

        X : array-like of shape (n_samples, n_features)
            Rows.

        y : array-like of shape (n_samples,)
            Labels.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Groups of the rows.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the rates.

        Returns
        -------
        score : float
            The figure, negated where smaller is better.

        Raises
        ------
        ValueError
            If there are no sensitive features, or a parameter is not valid.
        """
        if self.metric not in FIGURES:
            raise ValueError(f"metric must be one of {sorted(FIGURES)}, got {self.metric!r}.")
        figure, response, greater_is_better = FIGURES[self.metric]
        classes = np.asarray(estimator.classes_)
        positive = classes[-1] if self.pos_label is None else self.pos_label
        if positive not in classes.tolist():
            raise ValueError(
                f"pos_label must be one of the classes {classes.tolist()}, got {positive!r}."
            )
        groups = self._groups(sensitive_features, len(y))
        answers = np.asarray(getattr(estimator, response)(X))
        truth, answers, groups, weight = tally(np.asarray(y), answers, groups, sample_weight)
        value = figure(
            truth, answers, classes, positive, sensitive_features=groups, sample_weight=weight
        )
        return float(value if greater_is_better else -value)

    def _groups(self, sensitive_features, n_rows):
        """Sensitive features of the rows, as fairlearn takes them: words, in named columns."""
        given = self.sensitive_features if sensitive_features is None else sensitive_features
        if given is None:
            routing = get_config()["enable_metadata_routing"]
            raise ValueError(
                f"sensitive_features is None in the scorer of {self.metric}. "
                + (
                    "Pass them to the search or to cross_validate, as in fit(X, y, "
                    "sensitive_features=...) or params={'sensitive_features': ...}."
                    if routing
                    else "scikit-learn hands them to scorers with metadata routing only: call "
                    "sklearn.set_config(enable_metadata_routing=True) first."
                )
                + " Where a function hands no metadata on, set them beforehand: "
                "FairnessScorer(..., sensitive_features=...)."
            )
        return sensitive_frame(given, n_rows).astype(str).rename(columns=str)


def fairness_scoring(*metrics, score="accuracy", pos_label=None):
    """Build the dict of a score and of figures of parity, for scikit-learn's `scoring`.

    Parameters
    ----------
    *metrics : str
        Names of figures, as in `FairnessScorer`; none means "demographic_parity_difference".

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
        If a name is not known.

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
    if strange := [metric for metric in metrics if metric not in FIGURES]:
        raise ValueError(f"metrics must be of {sorted(FIGURES)}, got {strange}.")
    scorers = {metric: FairnessScorer(metric, pos_label=pos_label) for metric in metrics}
    return {score: get_scorer(score), **scorers}
