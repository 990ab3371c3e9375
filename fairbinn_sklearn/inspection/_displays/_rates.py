"""Rates of a decision by group, their standard errors, and sizes of the groups."""

import numpy as np
import pandas as pd
from fairlearn.metrics import (
    MetricFrame,
    count,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from sklearn.utils.validation import check_is_fitted, column_or_1d

from ..._groups import sensitive_frame

RATES = {
    "selection_rate": selection_rate,
    "true_positive_rate": true_positive_rate,
    "false_positive_rate": false_positive_rate,
}


def audit(estimators, X, y, sensitive_features, pos_label):
    """Rates and standard errors of each estimator, the sizes of the groups, and the label."""
    truth = column_or_1d(y)
    classes, positive = _labels(estimators["clf"], truth, pos_label)
    groups = sensitive_frame(sensitive_features, len(truth)).astype(str).rename(columns=str)
    frames = [
        _frame(name, estimator, X, truth, positive, groups)
        for name, estimator in estimators.items()
    ]
    sizes = frames[0]["count"].astype(int)
    rates = [frame[list(RATES)] for frame in frames]
    rows = _rows(frames[0])
    errors = [np.sqrt(rate * (1 - rate) / rows) for rate in rates]
    return rates, errors, sizes, positive


def _labels(clf, truth, pos_label):
    """Classes of the classifier and the positive one."""
    check_is_fitted(clf)
    if not hasattr(clf, "classes_"):
        raise TypeError(f"clf must be a fitted classifier with classes_, got {type(clf).__name__}.")
    classes = np.asarray(clf.classes_).tolist()
    if strange := sorted(set(truth.tolist()).difference(classes), key=str):
        raise ValueError(f"y must hold labels of clf.classes_, {classes}, got {strange[:5]} too.")
    positive = classes[-1] if pos_label is None else pos_label
    if positive not in classes:
        raise ValueError(f"pos_label must be one of the classes {classes}, got {positive!r}.")
    return classes, positive


def _frame(name, estimator, X, truth, positive, groups):
    """Rates and numbers of rows by group, without combinations that no row has."""
    decisions = np.asarray(estimator.predict(X))
    if decisions.shape != truth.shape:
        raise ValueError(
            f"X and y must have the same number of rows, got {len(truth)} labels and decisions "
            f"of {name} of shape {decisions.shape}."
        )
    frame = MetricFrame(
        metrics={**RATES, "count": count, "positives": lambda truth, _: int(np.sum(truth))},
        y_true=(truth == positive).astype(int),
        y_pred=(decisions == positive).astype(int),
        sensitive_features=groups,
    )
    table = frame.by_group.dropna(how="all").astype(float)
    # A rate over no rows is not known.
    return table.assign(**{rate: table[rate].where(_rows(table)[rate] > 0) for rate in RATES})


def _rows(frame):
    """Number of rows behind each rate."""
    rows = frame["count"], frame["positives"], frame["count"] - frame["positives"]
    return pd.DataFrame(dict(zip(RATES, rows, strict=True)), index=frame.index)
