"""Choice under a bound: the best candidate of a search, and points that are not dominated."""

import re
import warnings

import numpy as np
from sklearn.base import BaseEstimator

from ._metrics import BOUNDED, METRICS, check_metrics
from ._scorers import how_to_pass_groups


class BestUnder(BaseEstimator):
    """Function of `cv_results_` that `best_under` returns; it can be pickled.

    It equals and hashes like the name of its score, because scikit-learn's searches look up the
    scorer of `score` by `refit`.
    """

    statistic = "mean"  # of the metric, for warnings

    def __init__(self, bound, metric, score):
        self.bound = bound
        self.metric = metric
        self.score = score

    def __eq__(self, other):
        if isinstance(other, BestUnder):
            return self.get_params() == other.get_params()
        return self.score == other

    def __hash__(self):
        return hash(self.score)

    def __call__(self, cv_results):
        """Return the index of the candidate."""
        sign = 1 if METRICS[self.metric].greater_is_better else -1
        values = self._column(cv_results, self.metric)  # negated differences: greater is better
        scores = self._column(cv_results, self.score)
        within = np.flatnonzero(values >= sign * self.bound)
        if not len(within):
            closest = int(np.argmax(values))
            warnings.warn(
                f"No candidate has {self._condition()}. The closest is chosen, with "
                f"{sign * values[closest]:.4f}.",
                UserWarning,
                stacklevel=2,
            )
            return closest
        within = self._without_constant(cv_results, within)
        best = within[scores[within] == np.nanmax(scores[within])]
        return int(best[np.argmax(values[best])])

    def _condition(self):
        limit = "at least" if METRICS[self.metric].greater_is_better else "at most"
        return f"a {self.statistic} {self.metric} of {limit} {self.bound}"

    def _without_constant(self, cv_results, within):
        """Return the candidates that are not constant; warn if all of them are."""
        varied = within[~constant_candidates(cv_results)[within]]
        if len(varied):
            return varied
        warnings.warn(
            f"All candidates with {self._condition()} predict one class for all samples, so their "
            "group differences are trivially small. Relax the bound, or add candidates with a "
            "smaller eta or a larger target.",
            UserWarning,
            stacklevel=2,
        )
        return within

    def _column(self, cv_results, name):
        """Return the means of a score over the folds in which it is not NaN."""
        key = f"mean_test_{name}"
        if key not in cv_results:
            names = [k.removeprefix("mean_test_") for k in cv_results if "mean_test_" in k]
            raise ValueError(
                f"scoring must have {name!r} for best_under, got {names}. Pass "
                f"scoring=fairness_scoring({self.metric!r}, score={self.score!r})."
            )
        values = np.asarray(cv_results[key], dtype=float)
        folds = [k for k in cv_results if re.fullmatch(rf"split\d+_test_{re.escape(name)}", k)]
        if folds and np.isnan(values).any():
            by_fold = np.array([cv_results[k] for k in folds], dtype=float)
            unknown = np.isnan(by_fold).all(axis=1)
            if unknown.any() and not unknown.all():
                numbers = [k.partition("_")[0].removeprefix("split") for k in folds]
                warnings.warn(
                    f"{name!r} is NaN in fold(s) {', '.join(np.array(numbers)[unknown])}, and the "
                    "mean is that of the other folds. Stratify the folds by group.",
                    UserWarning,
                    stacklevel=3,
                )
                values = by_fold[~unknown].mean(axis=0)
        if np.isnan(values).all():
            raise ValueError(
                f"scores {name!r} must not all be NaN. The warnings of the search say why the "
                "scorer failed. If the scorer did not receive sensitive_features: "
                f"{how_to_pass_groups()}"
            )
        return np.where(np.isnan(values), -np.inf, values)


def is_constant(selection_rate):
    """Return whether a model with this rate predicts one class for all samples."""
    return (selection_rate == 0) | (selection_rate == 1)


def constant_candidates(cv_results):
    """Return which candidates predict one class for all samples of each fold.

    If the folds have no columns, the mean selection rate decides. Without selection rates, the
    result is False for all candidates.
    """
    names = [key for key in cv_results if re.fullmatch(r"split\d+_test_selection_rate", key)]
    names = names or [key for key in cv_results if key == "mean_test_selection_rate"]
    if not names:
        return np.zeros(len(next(iter(cv_results.values()))), dtype=bool)
    rates = np.array([cv_results[name] for name in names], dtype=float)
    return is_constant(rates).all(axis=0)


def best_under(bound, metric="demographic_parity_difference", score="accuracy"):
    """Choose the candidate with the best score under a bound on a group metric, for `refit`.

    Parameters
    ----------
    bound : float
        Largest mean difference over the folds, or smallest mean ratio or accuracy, from 0 to 1. The
        four-fifths rule is a ratio of at least 0.8.

    metric : str, default="demographic_parity_difference"
        Name of a difference, a ratio, or "worst_group_accuracy" in the `scoring` of the search.

    score : str, default="accuracy"
        Name of the score to choose by.

    Returns
    -------
    choose : callable
        Function that returns the index of a candidate from `cv_results_`. Among equal scores it
        selects the smallest difference, or the largest ratio or accuracy. With the scorer
        "selection_rate", it skips models that predict one class for all samples if another
        candidate meets the bound. If no candidate meets the bound, it selects the closest candidate
        and warns.

    Raises
    ------
    ValueError
        If a parameter is not valid.

    See Also
    --------
    fairness_scoring : Return the scorers that this choice needs.

    Notes
    -----
    The bound applies to the mean over the folds, on the samples used for the choice: audit the
    model on other samples. As `refit` of a search, the result also names the scorer that the
    ``score`` method of the search uses: `score`.

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
    check_metrics("metric", [metric], BOUNDED)
    return BestUnder(bound, metric, score)


def dominated(differences, scores):
    """Return which points are dominated: another point is nowhere worse and somewhere better."""
    x, y = np.asarray(differences, float), np.asarray(scores, float)
    as_good = (x <= x[:, None]) & (y >= y[:, None])  # [i, j]: j is as good as i in both
    better = (x < x[:, None]) | (y > y[:, None])
    return (as_good & better).any(axis=1)
