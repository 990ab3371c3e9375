"""Figures of fitted classifiers on rows, each classifier asked once."""

import copy

import pandas as pd
from sklearn.metrics import get_scorer

from .._data.labels import plain_labels
from . import FairnessScorer
from ._figures import FIGURES

METRICS = ("demographic_parity_difference", "equalized_odds_difference", "mean_score_difference")


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
    """Table of the figures of classifiers, a row each; see `FairnessPath.evaluate`."""
    if metrics is None:
        metrics = METRICS if sensitive_features is not None else ()
    measures = {score: get_scorer(score)}
    for name in [metrics] if isinstance(metrics, str) else metrics:
        measures[name] = FairnessScorer(
            name, pos_label=pos_label, sensitive_features=sensitive_features
        )
    y = plain_labels(y)
    weight = {} if sample_weight is None else {"sample_weight": sample_weight}
    figures = []
    for one in estimators:
        answered = copy.copy(one)  # each figure asks anew, and the net needs to answer once
        answered.decision_function = _answering(one.decision_function(X))
        figures.append(
            {name: sign(name) * f(answered, X, y, **weight) for name, f in measures.items()}
        )
    return pd.DataFrame(figures)


def _answering(answer):
    """Function that gives one answer, with the name that scorers look for."""

    def decision_function(X):
        return answer

    return decision_function


def sign(name):
    """Factor that makes a difference positive again."""
    return -1.0 if name in FIGURES and not FIGURES[name][2] else 1.0
