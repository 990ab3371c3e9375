"""Group metrics for any number of classes, by fairlearn's metrics on one class at a time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    demographic_parity_ratio,
    equal_opportunity_difference,
    equalized_odds_difference,
    mean_prediction,
)
from sklearn.metrics import accuracy_score

from .._utils.upstream import check_sample_weight


@dataclass(frozen=True)
class Metric:
    """A group metric: its function, the response method it needs, and its direction.

    `function` takes the labels, the response, the classes, the positive class, and the keywords
    `sensitive_features` and `sample_weight`.
    """

    function: Callable
    response_method: str = "predict"
    greater_is_better: bool = False

    @property
    def worst(self):
        """Return the function that selects the worst of several values."""
        return min if self.greater_is_better else max


def over_classes(metric, worst):
    """Return the worst value over classes; with two classes, that of the positive class."""

    def value(y_true, y_pred, classes, pos_label, **groups):
        selected = [pos_label] if len(classes) == 2 else classes
        return worst([metric(y_true == c, y_pred == c, **groups) for c in selected])

    return value


def two_classes_only(metric):
    """Return the value of the positive class; raise if there are more than two classes."""

    def value(y_true, y_pred, classes, pos_label, **groups):
        if len(classes) != 2:
            raise ValueError(
                f"{metric.__name__} needs two classes, got {len(classes)}. "
                "equalized_odds_difference takes any number."
            )
        return metric(y_true == pos_label, y_pred == pos_label, **groups)

    return value


def equalized_odds(y_true, y_pred, classes, pos_label, *, sensitive_features, sample_weight):
    """Return the largest difference of the rates of any class, for the samples of any label."""
    if len(classes) == 2:
        return equalized_odds_difference(
            y_true == pos_label,
            y_pred == pos_label,
            sensitive_features=sensitive_features,
            sample_weight=sample_weight,
        )
    by_class = over_classes(demographic_parity_difference, max)
    return max(
        by_class(
            y_true[selected],
            y_pred[selected],
            classes,
            pos_label,
            sensitive_features=sensitive_features[selected],
            sample_weight=sample_weight[selected],
        )
        for selected in (y_true == label for label in classes)
        if selected.any()
    )


def worst_group_accuracy(y_true, y_pred, classes, pos_label, **groups):
    """Return the accuracy of the group where it is lowest."""
    return _frame(accuracy_score, y_true, y_pred, **groups).group_min()


def mean_score_difference(y_true, scores, classes, pos_label, **groups):
    """Return the largest difference of mean scores; with two classes, of the positive class."""
    selected = np.isin(classes, [pos_label]) if len(classes) == 2 else np.ones(len(classes), bool)
    return max(
        _frame(mean_prediction, np.zeros(len(y_true)), column, **groups).difference()
        for column in scores[:, selected].T
    )


def distinct_samples(y_true, response, groups, sample_weight=None):
    """Return distinct samples and their total weights, which have the same rates in less time.

    Scores, of shape (n_samples, n_classes), are replaced by their means in each group, and labels
    are then ignored. Samples without weight are left out.

    Parameters
    ----------
    y_true : ndarray of shape (n_samples,)
        Labels.

    response : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Predictions or scores.

    groups : ndarray of shape (n_samples,)
        Group codes.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.

    Returns
    -------
    y_true, response, groups, sample_weight : ndarrays
        Distinct samples.
    """
    weight = check_sample_weight(sample_weight, y_true, dtype=float, ensure_non_negative=True)
    counted = weight > 0
    y_true, response, groups, weight = (
        array[counted] for array in (y_true, response, groups, weight)
    )
    scores = response if response.ndim == 2 else None
    codes = groups
    if scores is None:
        parts = [groups, *(np.unique(a, return_inverse=True)[1] for a in (y_true, response))]
        codes = np.ravel_multi_index(parts, [part.max() + 1 for part in parts])
    _, first, codes = np.unique(codes, return_index=True, return_inverse=True)
    total = np.bincount(codes, weight)
    if scores is None:
        response = response[first]
    else:
        sums = [np.bincount(codes, weight * column) for column in scores.T]
        response = np.column_stack(sums) / total[:, None]
    return y_true[first], response, groups[first], total


def _frame(metric, y_true, y_pred, sensitive_features, sample_weight):
    return MetricFrame(
        metrics=metric,
        y_true=y_true,
        y_pred=y_pred,
        sensitive_features=sensitive_features,
        sample_params={"sample_weight": sample_weight},
    )


METRICS = {
    "demographic_parity_difference": Metric(over_classes(demographic_parity_difference, max)),
    "demographic_parity_ratio": Metric(
        over_classes(demographic_parity_ratio, min), greater_is_better=True
    ),
    "equalized_odds_difference": Metric(equalized_odds),
    "equal_opportunity_difference": Metric(two_classes_only(equal_opportunity_difference)),
    "mean_score_difference": Metric(mean_score_difference, response_method="predict_proba"),
    "worst_group_accuracy": Metric(worst_group_accuracy, greater_is_better=True),
}

DIFFERENCES = sorted(name for name in METRICS if name.endswith("_difference"))


def check_metrics(parameter, names, allowed=METRICS):
    """Raise if a name is not that of a metric; suggest the metric of a criterion's name."""
    for name in names:
        if name not in allowed:
            meant = f"{name}_difference"
            raise ValueError(
                f"{parameter} must be one of {sorted(allowed)}, got {name!r}."
                + (f" Did you mean {meant!r}?" if meant in allowed else "")
            )
