"""Points of a front: from a path, from the results of a search, or from fitted classifiers."""

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import get_scorer, get_scorer_names

from ..._data.frames import check_order
from ..._data.labels import plain_labels
from ...metrics import FairnessScorer
from ...metrics._bootstrap import interval
from ...metrics._bound import constant_candidates, is_constant
from ...metrics._metrics import DIFFERENCES

_STATISTICS = ("mean", "std")


def points_of_path(path, metric, score):
    """Return the points of a path: means and standard deviations over the seeds."""
    check_metric(metric)
    summary = path.summary()
    for parameter, name in (("metric", metric), ("score", score)):
        if name not in path.figures:
            raise ValueError(
                f"{parameter} must be one of {list(path.figures)}, the metrics of the path, got "
                f"{name!r}. Call FairnessPath.evaluate for other metrics."
            )
    columns = [
        summary[name, statistic].to_numpy() for statistic in _STATISTICS for name in (metric, score)
    ]
    for k, name in enumerate((metric, score)):
        if path.resamples is not None and name in path.resamples:
            columns[2 + k] = _distances(path, name, columns[k])
    prefix = "eta" if path.by == "eta" else "target"
    texts = [f"{prefix} {_short(value)}" for value in summary.index]
    constant = None
    if "selection_rate" in path.figures:
        frame = path.to_frame()
        constant = is_constant(frame["selection_rate"]).groupby(frame[path.by], sort=False).all()
    return _points(*columns, texts, constant)


def _distances(path, name, means):
    """Return how far the interval of each mean extends below and above it (n_points, 2)."""
    values = path.resampled_means(name)
    low, high = interval(np.column_stack([means, values]).T, 0.95)
    return np.column_stack([means - low, high - means])


def points_of_search(cv_results, metric, score):
    """Return the candidates with finite means: means and standard deviations over the folds."""
    check_metric(metric)
    columns = []
    for name in (metric, score):
        if f"mean_test_{name}" not in cv_results:
            names = [key[10:] for key in cv_results if key.startswith("mean_test_")]
            raise ValueError(
                f"cv_results must have the scores of {name!r}, got those of {names}. Search with "
                f"scoring=fairness_scoring({metric!r}, score={score!r})."
            )
        columns += [np.asarray(cv_results[f"{key}_test_{name}"], float) for key in _STATISTICS]
    is_finite = np.isfinite(columns[0]) & np.isfinite(columns[2])
    if not is_finite.any():
        raise ValueError(
            f"cv_results must have a candidate with finite scores of {metric!r} and {score!r}, got "
            "none. If warnings say that sensitive_features is None, call "
            "sklearn.set_config(enable_metadata_routing=True) before the search."
        )
    difference, difference_std, scores, score_std = (column[is_finite] for column in columns)
    texts = _texts(cv_results.get("params", [{}] * len(is_finite)))
    texts = np.array(texts, dtype=object)[is_finite]
    constant = constant_candidates(cv_results)[is_finite]
    return _points(-difference, scores, difference_std, score_std, texts.tolist(), constant)


def points_of_estimators(estimators, X, y, sensitive_features, metric, score, pos_label):
    """Return the points of classifiers, or of lists of them: means and standard deviations."""
    check_metric(metric)
    if not isinstance(score, str) or score not in get_scorer_names():
        raise ValueError(f"score must be the name of a scikit-learn scorer, got {score!r}.")
    is_named = isinstance(estimators, Mapping)
    if not is_named and not isinstance(estimators, (list, tuple)):
        raise TypeError(
            "estimators must be a list or dict of fitted estimators, or of lists of them, got "
            f"{type(estimators).__name__}."
        )
    runs = list(estimators.values()) if is_named else list(estimators)
    runs = [list(run) if isinstance(run, (list, tuple)) else [run] for run in runs]
    if not runs or not all(runs):
        raise ValueError(f"estimators must not be empty or have empty lists, got {estimators!r}.")
    if invalid := [
        type(clf).__name__ for run in runs for clf in run if not hasattr(clf, "predict")
    ]:
        raise TypeError(f"estimators must be fitted classifiers, got {invalid}.")
    check_order(sensitive_features, X=X, y=y)
    y, scorer = plain_labels(y), get_scorer(score)
    group_scorers = [
        FairnessScorer(name, pos_label=pos_label, sensitive_features=sensitive_features)
        for name in (metric, "selection_rate")
    ]
    values = [
        np.array([[*(f(clf, X, y) for f in group_scorers), scorer(clf, X, y)] for clf in run])
        for run in runs
    ]
    means, stds = (np.array([f(run, axis=0) for run in values]).T for f in (np.mean, np.std))
    constant = [bool(is_constant(run[:, 1]).all()) for run in values]
    texts = list(map(str, estimators)) if is_named else [_eta_text(run[0]) for run in runs]
    return _points(-means[0], means[2], stds[0], stds[2], texts, constant)


def _points(differences, scores, difference_std, score_std, texts, constant):
    """Return the points as a dict of parameters of the display."""
    return {
        "differences": differences,
        "scores": scores,
        "difference_std": difference_std,
        "score_std": score_std,
        "texts": texts,
        "constant": constant,
    }


def check_metric(metric):
    """Raise if the metric is not a difference."""
    if metric not in DIFFERENCES:
        raise ValueError(f"metric must be one of {DIFFERENCES}, got {metric!r}.")


def _texts(candidates):
    """Return the parameters that differ between candidates, without the names of steps."""
    names = {name for params in candidates for name in params}
    differing = [name for name in sorted(names) if len({repr(p.get(name)) for p in candidates}) > 1]
    return [
        ", ".join(
            f"{name.split('__')[-1]} {_short(params[name])}" for name in differing if name in params
        )
        for params in candidates
    ]


def _eta_text(clf):
    """Return eta or the target of a classifier as text; empty if it has neither."""
    last = clf.steps[-1][1] if hasattr(clf, "steps") else clf
    if getattr(last, "fairness_target", None) is not None:
        return f"target {_short(last.fairness_target)}"
    eta = getattr(last, "eta_", getattr(last, "eta", None))
    return "" if eta is None else f"eta {_short(eta)}"


def _short(value):
    """Return a value in at most 20 characters."""
    is_number = isinstance(value, (float, np.floating))
    text = f"{value:g}" if is_number else str(value)
    return text if len(text) <= 20 else f"{text[:17]}..."
