"""Choice under a bound: the best candidate of a search, and points that are not dominated."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator

from ._metrics import DIFFERENCES, check_metrics


class BestUnder(BaseEstimator):
    """Function of `cv_results_` that `best_under` returns; it can be pickled."""

    def __init__(self, bound, metric, score):
        self.bound = bound
        self.metric = metric
        self.score = score

    def __call__(self, cv_results):
        """Return the index of the candidate."""
        differences, scores = (self._column(cv_results, name) for name in (self.metric, self.score))
        differences = -differences
        within = np.flatnonzero(differences <= self.bound)
        if not len(within):
            closest = int(np.argmin(differences))
            warnings.warn(
                f"No candidate has a mean {self.metric} of at most {self.bound}. The closest is "
                f"chosen, with {differences[closest]:.4f}.",
                UserWarning,
                stacklevel=2,
            )
            return closest
        best = within[scores[within] == scores[within].max()]
        return int(best[np.argmin(differences[best])])

    def _column(self, cv_results, name):
        key = f"mean_test_{name}"
        if key not in cv_results:
            names = [k.removeprefix("mean_test_") for k in cv_results if "mean_test_" in k]
            raise ValueError(
                f"scoring must have {name!r} for best_under, got {names}. Pass "
                f"scoring=fairness_scoring({self.metric!r}, score={self.score!r})."
            )
        values = np.asarray(cv_results[key], dtype=float)
        if np.isnan(values).all():
            raise ValueError(
                f"scores {name!r} must not all be NaN. The warnings of the search say "
                "why the scorer failed."
            )
        return np.where(np.isnan(values), -np.inf, values)


def best_under(bound, metric="demographic_parity_difference", score="accuracy"):
    """Choose the candidate of the best score whose difference meets a bound, for `refit`.

    Parameters
    ----------
    bound : float
        Largest mean difference over the folds, from 0 to 1.

    metric : str, default="demographic_parity_difference"
        Name of a difference in the `scoring` of the search.

    score : str, default="accuracy"
        Name of the score to choose by.

    Returns
    -------
    choose : callable
        Function that returns the index of a candidate from `cv_results_`. Among equal scores it
        takes the smallest difference. If no candidate meets the bound it takes the closest, and
        warns.

    Raises
    ------
    ValueError
        If a parameter is not valid.

    See Also
    --------
    fairness_scoring : The scorers that it needs.

    Notes
    -----
    The mean over the folds meets the bound, on the samples used to choose: audit the model on
    others.

    Examples
    --------
    >>> import numpy as np
    >>> from fairbinn_sklearn.metrics import best_under
    >>> cv_results = {
    ...     "mean_test_accuracy": np.array([0.85, 0.84, 0.82]),
    ...     "mean_test_demographic_parity_difference": np.array([-0.18, -0.04, -0.01]),
    ... }
    >>> best_under(0.05)(cv_results)
    1
    """
    if not (np.isreal(bound) and 0 <= bound <= 1):
        raise ValueError(f"bound must be a number from 0 to 1, got {bound!r}.")
    check_metrics("metric", [metric], DIFFERENCES)
    return BestUnder(bound, metric, score)


def dominated(differences, scores):
    """Return which points are dominated: another is as good in both values and better in one."""
    x, y = np.asarray(differences, float), np.asarray(scores, float)
    as_good = (x <= x[:, None]) & (y >= y[:, None])  # [i, j]: j is as good as i in both
    better = (x < x[:, None]) | (y > y[:, None])
    return (as_good & better).any(axis=1)
