"""Figures of parity for any number of classes, by fairlearn's metrics on one class at a time."""

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
from sklearn.utils.validation import _check_sample_weight


def over_classes(metric, worst):
    """Worst value over classes; of two classes, the value of the positive one."""

    def figure(truth, decisions, classes, positive, **groups):
        looked_at = [positive] if len(classes) == 2 else classes
        return worst([metric(truth == c, decisions == c, **groups) for c in looked_at])

    return figure


def two_classes_only(metric):
    """Value of the positive class of two."""

    def figure(truth, decisions, classes, positive, **groups):
        if len(classes) != 2:
            raise ValueError(
                f"{metric.__name__} looks at one class of two, got {len(classes)} classes."
            )
        return metric(truth == positive, decisions == positive, **groups)

    return figure


def equalized_odds(truth, decisions, classes, positive, *, sensitive_features, sample_weight):
    """Largest difference of the rates of any class among the rows of any label."""
    if len(classes) == 2:
        return equalized_odds_difference(
            truth == positive,
            decisions == positive,
            sensitive_features=sensitive_features,
            sample_weight=sample_weight,
        )
    by_class = over_classes(demographic_parity_difference, max)
    figures = []
    for label in classes:
        rows = truth == label
        if rows.any():
            part = {
                "sensitive_features": sensitive_features[rows].reset_index(drop=True),
                "sample_weight": sample_weight[rows],
            }
            figures.append(by_class(truth[rows], decisions[rows], classes, positive, **part))
    return max(figures)


def worst_group_accuracy(truth, decisions, classes, positive, **groups):
    """Accuracy of the group where it is lowest."""
    return _frame(accuracy_score, truth, decisions, **groups).group_min()


def mean_score_difference(truth, scores, classes, positive, **groups):
    """Largest difference of the mean scores; of two classes, those of the positive one."""
    looked_at = np.isin(classes, [positive]) if len(classes) == 2 else np.ones(len(classes), bool)
    return max(
        _frame(mean_prediction, np.zeros(len(truth)), column, **groups).difference()
        for column in scores[:, looked_at].T
    )


def tally(truth, answers, groups, weight=None):
    """Distinct rows and their total weights: they have the rates of all rows, in less time.

    Scores, of shape (N, C), are replaced by their means in each group, and labels left out. Rows
    without weight are left out too.
    """
    weight = _check_sample_weight(weight, truth, dtype=float, ensure_non_negative=True)
    counted = weight > 0
    truth, answers, groups, weight = (one[counted] for one in (truth, answers, groups, weight))
    codes = groups.groupby(list(groups), sort=False).ngroup().to_numpy()
    scores = answers if answers.ndim == 2 else None
    if scores is None:
        parts = [codes, *(np.unique(one, return_inverse=True)[1] for one in (truth, answers))]
        codes = np.ravel_multi_index(parts, [part.max() + 1 for part in parts])
    _, first, codes = np.unique(codes, return_index=True, return_inverse=True)
    total = np.bincount(codes, weight)
    if scores is None:
        answers = answers[first]
    else:
        sums = [np.bincount(codes, weight * column) for column in scores.T]
        answers = np.column_stack(sums) / total[:, None]
    # Each row in two halves: fairlearn 0.12 cannot weigh a group of one row.
    twice = np.repeat(np.arange(len(first)), 2)
    groups = groups.iloc[first[twice]].reset_index(drop=True)
    return truth[first[twice]], answers[twice], groups, total[twice] / 2


def _frame(metric, truth, values, sensitive_features, sample_weight):
    return MetricFrame(
        metrics=metric,
        y_true=truth,
        y_pred=values,
        sensitive_features=sensitive_features,
        sample_params={"sample_weight": sample_weight},
    )


# Name: the figure, what it is computed from, and whether greater is better.
FIGURES = {
    "demographic_parity_difference": (
        over_classes(demographic_parity_difference, max),
        "predict",
        False,
    ),
    "demographic_parity_ratio": (over_classes(demographic_parity_ratio, min), "predict", True),
    "equalized_odds_difference": (equalized_odds, "predict", False),
    "equal_opportunity_difference": (
        two_classes_only(equal_opportunity_difference),
        "predict",
        False,
    ),
    "mean_score_difference": (mean_score_difference, "predict_proba", False),
    "worst_group_accuracy": (worst_group_accuracy, "predict", True),
}
