"""Metrics of several fitted classifiers; each classifier predicts once."""

import copy

import pandas as pd
from sklearn.metrics import get_scorer
from sklearn.pipeline import Pipeline

from .._data.frames import check_order
from .._data.labels import plain_labels, plain_weights
from ._metrics import METRICS
from ._scorers import FairnessScorer

DEFAULT_METRICS = (
    "demographic_parity_difference",
    "equalized_odds_difference",
    "mean_score_difference",
)


def measure(
    estimators,
    X,
    y,
    sensitive_features,
    *,
    sample_weight=None,
    metrics=None,
    score="accuracy",
    pos_label=None,
):
    """Return a table of metrics, one row per classifier; see `FairnessPath.evaluate`.

    Pipelines must share the steps before the classifier, so that X is transformed once.
    """
    if sensitive_features is not None:
        check_order(sensitive_features, X=X, y=y)
    classifiers = estimators
    if isinstance(estimators[0], Pipeline):
        X = estimators[0][:-1].transform(X)
        classifiers = [pipeline[-1] for pipeline in estimators]
    if metrics is None:
        metrics = DEFAULT_METRICS if sensitive_features is not None else ()
    scorers = {score: get_scorer(score)}
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in dict.fromkeys([*names, *(["selection_rate"] if names else [])]):
        scorers[name] = FairnessScorer(
            name,
            pos_label=pos_label,
            combine=classifiers[0].combine,
            sensitive_features=sensitive_features,
        )
    y = plain_labels(y)
    weight = {} if sample_weight is None else {"sample_weight": plain_weights(sample_weight, y)}
    table = []
    for clf in classifiers:
        cached = copy.copy(clf)  # so that all scorers share one prediction
        cached.decision_function = _constant(clf.decision_function(X))
        table.append({name: sign(name) * f(cached, X, y, **weight) for name, f in scorers.items()})
    return pd.DataFrame(table)


def _constant(logits):
    """Return a function that returns fixed logits, under the name that scorers look for."""

    def decision_function(X):
        return logits

    return decision_function


def sign(name):
    """Return the factor that makes a negated difference positive."""
    return -1.0 if name in METRICS and not METRICS[name].greater_is_better else 1.0
