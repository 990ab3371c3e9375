"""Points of a front: from the results of a search, or from fitted estimators."""

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import get_scorer, get_scorer_names

from ...metrics import FairnessScorer
from ...metrics._metrics import DIFFERENCES
from ._drawing import last_step


def points_of_path(path, metric, score):
    """Points, spreads over seeds and texts of a path; and the name of the score."""
    check_metric(metric)
    summary = path.summary()
    score = path.figures.columns[0] if score is None else score
    for parameter, name in (("metric", metric), ("score", score)):
        if name not in path.figures:
            raise ValueError(
                f"{parameter} must be one of {list(path.figures)}, the figures of the path, got "
                f"{name!r}; FairnessPath.evaluate measures others."
            )
    means, stds = ([summary[name, what] for name in (metric, score)] for what in _MEAN_AND_STD)
    texts = [f"{'eta' if path.by == 'eta' else 'target'} {_short(one)}" for one in summary.index]
    return (*(one.to_numpy() for one in (*means, *stds)), texts), score


def points_of_search(cv_results, metric, score):
    """Points, spreads and texts of the candidates whose means are known."""
    check_metric(metric)
    columns = []
    for name in (metric, score):
        if f"mean_test_{name}" not in cv_results:
            found = [key[10:] for key in cv_results if key.startswith("mean_test_")]
            raise ValueError(
                f"cv_results must have the scores of {name!r}, got those of {found}; search with "
                f"scoring=fairness_scoring({metric!r}, score={score!r})."
            )
        columns += [np.asarray(cv_results[f"{what}_test_{name}"], float) for what in _MEAN_AND_STD]
    known = np.isfinite(columns[0]) & np.isfinite(columns[2])
    if not known.any():
        raise ValueError(
            f"cv_results must have a candidate with finite scores of {metric!r} and {score!r}, got "
            "none. If warnings say that sensitive_features is None, call "
            "sklearn.set_config(enable_metadata_routing=True) before the search."
        )
    difference, difference_std, scores, score_std = (column[known] for column in columns)
    texts = np.array(_texts(cv_results.get("params", [{}] * len(known))), dtype=object)[known]
    return -difference, scores, difference_std, score_std, texts.tolist()


_MEAN_AND_STD = ("mean", "std")


def points_of_estimators(estimators, X, y, sensitive_features, metric, score, pos_label):
    """Points of estimators or lists of them, spreads over each list, and texts."""
    check_metric(metric)
    if not isinstance(score, str) or score not in get_scorer_names():
        raise ValueError(f"score must be the name of a scorer of scikit-learn, got {score!r}.")
    named = isinstance(estimators, Mapping)
    if not named and not isinstance(estimators, (list, tuple)):
        raise TypeError(
            "estimators must be a list or dict of fitted estimators, or of lists of them, got "
            f"{type(estimators).__name__}."
        )
    runs = list(estimators.values()) if named else list(estimators)
    runs = [list(run) if isinstance(run, (list, tuple)) else [run] for run in runs]
    if not runs or not all(runs):
        raise ValueError(f"estimators must not be empty or hold empty lists, got {estimators!r}.")
    if strange := [
        type(one).__name__ for run in runs for one in run if not hasattr(one, "predict")
    ]:
        raise TypeError(f"estimators must hold fitted estimators, got {strange}.")
    scorer, differ = get_scorer(score), FairnessScorer(metric, pos_label=pos_label)
    groups = {"sensitive_features": sensitive_features}
    figures = [[(-differ(one, X, y, **groups), scorer(one, X, y)) for one in run] for run in runs]
    means, stds = (np.array([f(run, axis=0) for run in figures]) for f in (np.mean, np.std))
    texts = [str(name) for name in estimators] if named else [_weight(run[0]) for run in runs]
    return *means.T, *stds.T, texts


def check_metric(metric):
    """Refuse what is not a difference."""
    if metric not in DIFFERENCES:
        raise ValueError(f"metric must be one of {DIFFERENCES}, got {metric!r}.")


def _texts(candidates):
    """Parameters that differ between candidates, without the steps of the pipeline they go to."""
    names = {name for params in candidates for name in params}
    differing = [
        name for name in sorted(names) if len({repr(one.get(name)) for one in candidates}) > 1
    ]
    return [
        ", ".join(
            f"{name.split('__')[-1]} {_short(one[name])}" for name in differing if name in one
        )
        for one in candidates
    ]


def _weight(estimator):
    """Text on the weight of fairness, or on the target, of an estimator that has one."""
    last = last_step(estimator)
    if getattr(last, "fairness_target", None) is not None:
        return f"target {_short(last.fairness_target)}"
    eta = getattr(last, "eta_", getattr(last, "eta", None))
    return "" if eta is None else f"eta {_short(eta)}"


def _short(value):
    """Value in a few characters."""
    is_number = isinstance(value, (float, np.floating))
    text = f"{value:g}" if is_number else str(value)
    return text if len(text) <= 20 else f"{text[:17]}..."
