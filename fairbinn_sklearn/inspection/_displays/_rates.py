"""Rates of a decision by group, their differences, and intervals of both."""

import numpy as np
import pandas as pd
from fairlearn.metrics import (
    MetricFrame,
    count,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d

from ..._data.groups import sensitive_frame
from .._resampling import percentiles, resample, spread

RATES = {
    "selection_rate": selection_rate,
    "true_positive_rate": true_positive_rate,
    "false_positive_rate": false_positive_rate,
}


def audit(estimators, X, y, sensitive_features, pos_label, n_boot, confidence_level, random_state):
    """Rates, intervals and differences of each estimator, the sizes of the groups, the label."""
    truth = column_or_1d(y)
    positive = _positive(estimators["clf"], truth, pos_label)
    decided = {name: np.asarray(estimator.predict(X)) for name, estimator in estimators.items()}
    for name, decisions in decided.items():
        if decisions.shape != truth.shape:
            raise ValueError(
                f"X and y must have the same number of rows, got {len(truth)} labels and "
                f"decisions of {name} of shape {decisions.shape}."
            )
    groups = sensitive_frame(sensitive_features, len(truth)).astype(str).rename(columns=str)
    truth = (truth == positive).astype(int)
    random_state = check_random_state(random_state)
    rates, intervals, differences = [], [], []
    for decisions in decided.values():
        decisions = (decisions == positive).astype(int)
        frame = _frame(truth, decisions, groups)
        found = frame[list(RATES)]
        drawn = resample(_cells(truth, decisions, groups), n_boot, random_state)
        ends, ends_of_difference = _ends(_rates_of(drawn), confidence_level)
        rates.append(found)
        intervals.append(
            pd.DataFrame(
                np.moveaxis(ends, 0, -1).reshape(len(found), -1),
                index=found.index,
                columns=pd.MultiIndex.from_product([RATES, ["low", "high"]]),
            )
        )
        differences.append(
            pd.DataFrame(
                {
                    "difference": spread(found.to_numpy(), axis=0),
                    "low": ends_of_difference[0],
                    "high": ends_of_difference[1],
                },
                index=list(RATES),
            )
        )
    return rates, intervals, differences, frame["count"].astype(int), positive


def _positive(clf, truth, pos_label):
    """Label that is counted, one of the classes of the classifier."""
    check_is_fitted(clf)
    if not hasattr(clf, "classes_"):
        raise TypeError(f"clf must be a fitted classifier with classes_, got {type(clf).__name__}.")
    classes = np.asarray(clf.classes_).tolist()
    if strange := sorted(set(truth.tolist()).difference(classes), key=str):
        raise ValueError(f"y must hold labels of clf.classes_, {classes}, got {strange[:5]} too.")
    positive = classes[-1] if pos_label is None else pos_label
    if positive not in classes:
        raise ValueError(f"pos_label must be one of the classes {classes}, got {positive!r}.")
    return positive


def _frame(truth, decisions, groups):
    """Rates and numbers of rows by group, without combinations that no row has."""
    frame = MetricFrame(
        metrics={**RATES, "count": count, "positives": lambda truth, _: int(np.sum(truth))},
        y_true=truth,
        y_pred=decisions,
        sensitive_features=groups,
    )
    table = frame.by_group.dropna(how="all").astype(float)
    # A rate over no rows is not known.
    rows = table["count"], table["positives"], table["count"] - table["positives"]
    known = {rate: table[rate].where(n > 0) for rate, n in zip(RATES, rows, strict=True)}
    return table.assign(**known)


def _cells(truth, decisions, groups):
    """Numbers of rows of each group, truth and decision, (G, 2, 2); groups as MetricFrame's."""
    codes = groups.groupby(list(groups), sort=True).ngroup().to_numpy()
    shape = codes.max() + 1, 2, 2
    cells = np.ravel_multi_index([codes, truth, decisions], shape)
    return np.bincount(cells, minlength=np.prod(shape)).reshape(shape)


def _rates_of(drawn):
    """Rates (n_boot, G, 3) from numbers of rows (n_boot, G, 2, 2); NaN over no rows."""
    selected = drawn[..., 1]
    of_rates = [  # rows that the decision picks, and all rows
        (selected.sum(-1), drawn.sum((-2, -1))),
        (selected[..., 1], drawn[..., 1, :].sum(-1)),
        (selected[..., 0], drawn[..., 0, :].sum(-1)),
    ]
    return np.stack([np.where(n > 0, k / np.maximum(n, 1), np.nan) for k, n in of_rates], -1)


def _ends(rates, confidence_level):
    """Intervals of the rates (2, G, 3) and of their differences (2, 3)."""
    return (
        percentiles(rates, confidence_level),
        percentiles(spread(rates, axis=1), confidence_level),
    )
