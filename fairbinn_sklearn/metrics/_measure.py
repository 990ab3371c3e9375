"""Metrics of several fitted classifiers; each classifier predicts once."""

import copy

import numpy as np
import pandas as pd
from sklearn.metrics import get_scorer
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state

from .._data.frames import check_order
from .._data.groups import UNKNOWN
from .._data.labels import label_codes, plain_labels, plain_weights, trained_pos_label
from ..losses import CONSTRAINTS
from ._bootstrap import resampled_totals
from ._metrics import METRICS, count
from ._scorers import FairnessScorer, cells, columns_of, ordered_classes

DEFAULT_METRICS = (
    "demographic_parity_difference",
    "equalized_odds_difference",
    "mean_score_difference",
)


def trained_metric(clf, *, difference=False):
    """Return the name of the metric that matches the training criterion.

    It is "<constraint>_<measure>", or always "<constraint>_difference" if `difference`, for a
    criterion with a name. For lists, custom criteria, moments and functions it is
    "demographic_parity_difference".
    """
    constraint = clf.constraint
    names = {cls: name for name, cls in CONSTRAINTS.items()}
    name = constraint if isinstance(constraint, str) else names.get(type(constraint))
    kind = "difference" if difference else getattr(constraint, "measure", "difference")
    metric = f"{name}_{kind}"
    return metric if metric in METRICS else DEFAULT_METRICS[0]


def default_metrics(clf):
    """Return the names of the default metrics of a path or a cross-validation."""
    trained = [trained_metric(clf, difference=difference) for difference in (True, False)]
    return list(dict.fromkeys([*DEFAULT_METRICS, *trained]))


def measure(
    estimators,
    X,
    y,
    sensitive_features,
    *,
    sample_weight=None,
    control_features=None,
    metrics=None,
    score="accuracy",
    pos_label=None,
    n_boot=None,
    random_state=None,
):
    """Return a table of metrics, one row per classifier; see `FairnessPath.evaluate`.

    Pipelines must share the steps before the classifier, so that X is transformed once. With
    `n_boot`, also return the metrics on resamples, as a dict of arrays (n_classifiers, n_boot).
    """
    if sensitive_features is not None:
        check_order(sensitive_features, X=X, y=y)
        check_order(control_features, of="control_features", X=X, y=y)
    classifiers = estimators
    if isinstance(estimators[0], Pipeline):
        X = estimators[0][:-1].transform(X)
        classifiers = [pipeline[-1] for pipeline in estimators]
    if metrics is None:
        metrics = default_metrics(classifiers[0]) if sensitive_features is not None else ()
    scorers = {score: get_scorer(score)}
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in dict.fromkeys([*names, *(["selection_rate"] if names else [])]):
        scorers[name] = FairnessScorer(
            name,
            pos_label=pos_label,
            combine=classifiers[0].combine,
            sensitive_features=sensitive_features,
            control_features=control_features,
        )
    y = plain_labels(y)
    weight = {} if sample_weight is None else {"sample_weight": plain_weights(sample_weight, y)}
    table, resamples = [], []
    for clf in classifiers:
        cached = copy.copy(clf)  # so that all scorers share one prediction
        cached.decision_function = _constant(clf.decision_function(X))
        table.append({name: sign(name) * f(cached, X, y, **weight) for name, f in scorers.items()})
        if n_boot is not None:
            resamples.append(_resampled(cached, X, y, scorers, sample_weight, n_boot, random_state))
    if n_boot is None:
        return pd.DataFrame(table)
    columns = {name: np.stack([values[name] for values in resamples]) for name in resamples[0]}
    return pd.DataFrame(table), columns


def _resampled(clf, X, y, scorers, sample_weight, n_boot, random_state):
    """Return accuracy and the metrics of predictions on resamples (n_boot,), by name."""
    names = [name for name in scorers if name in METRICS]
    if not names:
        return {}
    scorer = scorers[names[0]]
    pos_label = trained_pos_label(clf) if scorer.pos_label is None else scorer.pos_label
    classes, order = ordered_classes(clf.classes_, pos_label)
    truth = order[label_codes(X, y, classes)]
    predictions = order[label_codes(X, clf.predict(X), classes)]
    groups = cells(scorer.combine, scorer.sensitive_features, scorer.control_features, len(truth))
    weight = plain_weights(1.0 if sample_weight is None else sample_weight, truth)
    counted = weight > 0
    samples = np.column_stack([truth, predictions, groups])[counted]
    distinct, cell_of = np.unique(samples, axis=0, return_inverse=True)
    random_state = check_random_state(random_state)
    totals = resampled_totals(cell_of.ravel(), weight[counted], n_boot, random_state)[1:]
    truth, predictions, codes = distinct[:, 0], distinct[:, 1], distinct[:, 2:]
    values = {}
    if "accuracy" in scorers:
        values["accuracy"] = totals[:, truth == predictions].sum(axis=1) / totals.sum(axis=1)
    for name in names:
        metric = METRICS[name]
        if metric.response_method != "predict":
            continue
        by_column = []
        for column in columns_of(metric, codes):
            known = column != UNKNOWN
            if not known.any():
                continue
            cell = truth[known], predictions[known], column[known]
            by_column.append(
                [metric.function(count(*cell, total[known], len(classes))) for total in totals]
            )
        values[name] = metric.worst(np.array(by_column))
    return values


def _constant(logits):
    """Return a function that returns fixed logits, under the name that scorers look for."""

    def decision_function(X):
        return logits

    return decision_function


def sign(name):
    """Return the factor that makes a negated difference positive."""
    return -1.0 if name in METRICS and not METRICS[name].greater_is_better else 1.0
