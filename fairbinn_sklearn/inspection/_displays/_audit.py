"""Rates by group, before and after."""

import numpy as np

from .._resampling import check_bootstrap
from ._drawing import import_pyplot, many_axes
from ._rates import audit

_COLORS = {"before": "#E69F00", "after": "#0072B2"}  # Okabe and Ito's; differ in lightness too


class AuditDisplay:
    r"""Draw an audit: selection, true positive and false positive rate of each group.

    Make one with `from_estimator`. Bars are the rates that fairlearn's MetricFrame finds. Above
    them stands the largest difference between two groups. Error bars and brackets are bootstrap
    intervals: the middle part, of the size `confidence_level`, of the same figures over resamples
    of the rows (percentile intervals [1]_).

    Parameters
    ----------
    rates : dict of str to pandas.DataFrame
        Rates of the models, by "after" and, with a baseline, "before": a row for each group, a
        column for each rate. NaN where there are no rows.

    intervals : dict of str to pandas.DataFrame
        Their intervals: a row for each group, and for each rate the columns "low" and "high".

    differences : dict of str to pandas.DataFrame
        Largest differences between two groups: a row for each rate, the columns "difference", and
        "low" and "high" of its interval.

    sizes : pandas.Series
        Number of rows of each group.

    pos_label : label, default=None
        The decision that is counted.

    confidence_level : float, default=0.95
        The level of the intervals.

    Attributes
    ----------
    ax_ : ndarray of shape (3,) of matplotlib.axes.Axes
        The axes of the panels, once drawn.

    figure_ : matplotlib.figure.Figure
        The figure of the axes.

    See Also
    --------
    fairlearn.metrics.MetricFrame : The rates as a table.
    ParetoFrontDisplay : What smaller differences cost.

    Notes
    -----
    The intervals are for the rows alone, with the model as it is: another training gives other
    rates. They have no width at rates of 0 and 1, and are too short near them in small groups. A
    difference is never below 0, and resamples tend to make it larger, the more so the more groups
    there are: near parity its interval lies too high.

    Resampling takes rows as independent. Where they come in clusters, such as several rows of one
    person, the intervals are too short.

    References
    ----------
    .. [1] Efron, B., Tibshirani, R. J. (1993). An Introduction to the Bootstrap, chapter 13.
       Chapman and Hall. https://doi.org/10.1201/9780429246593

    Examples
    --------
    >>> import pandas as pd
    >>> from fairbinn_sklearn.inspection import AuditDisplay
    >>> rates = pd.DataFrame({"selection_rate": [0.3, 0.1]}, index=["men", "women"])
    >>> ends = [[0.21, 0.39], [0.05, 0.16]]
    >>> columns = pd.MultiIndex.from_product([["selection_rate"], ["low", "high"]])
    >>> intervals = pd.DataFrame(ends, index=rates.index, columns=columns)
    >>> differences = pd.DataFrame(
    ...     {"difference": [0.2], "low": [0.09], "high": [0.31]}, index=["selection_rate"]
    ... )
    >>> sizes = pd.Series([100, 100], index=rates.index)
    >>> display = AuditDisplay(
    ...     {"after": rates}, {"after": intervals}, {"after": differences}, sizes
    ... )
    >>> display.group_labels
    ['men\nn = 100', 'women\nn = 100']
    """

    def __init__(
        self, rates, intervals, differences, sizes, *, pos_label=None, confidence_level=0.95
    ):
        self.rates = rates
        self.intervals = intervals
        self.differences = differences
        self.sizes = sizes
        self.pos_label = pos_label
        self.confidence_level = confidence_level

    @classmethod
    def from_estimator(
        cls,
        clf,
        X,
        y,
        *,
        sensitive_features,
        baseline=None,
        pos_label=None,
        n_boot=1000,
        confidence_level=0.95,
        random_state=None,
        ax=None,
    ):
        """Draw the rates of a fitted classifier, and those of a baseline beside them.

        Parameters
        ----------
        clf : estimator
            Fitted classifier, or a pipeline or search that ends in one.

        X : array-like of shape (n_samples, n_features)
            Rows, best others than those of training.

        y : array-like of shape (n_samples,)
            Labels.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Groups of the rows; several columns make intersections.

        baseline : estimator, default=None
            Fitted classifier to compare with, drawn as "before".

        pos_label : label, default=None
            The decision to count, against all others. None means the last of `classes_`.

        n_boot : int, default=1000
            Number of resamples, >= 1.

        confidence_level : float, default=0.95
            Level of the intervals, in (0, 1).

        random_state : int, RandomState instance or None, default=None
            Draws the resamples.

        ax : array-like of 3 matplotlib.axes.Axes, default=None
            Axes to draw on; None makes a figure.

        Returns
        -------
        display : AuditDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `clf` or `baseline` is not a classifier.

        NotFittedError
            If `clf` is not fitted.

        ValueError
            If a parameter is not valid.

        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import matplotlib
        >>> import numpy as np
        >>> from fairbinn_sklearn import FairBiNNClassifier
        >>> from fairbinn_sklearn.inspection import AuditDisplay
        >>> matplotlib.use("agg")
        >>> rng = np.random.default_rng(0)
        >>> group = rng.choice(["a", "b"], 1000)
        >>> X = rng.normal(size=(1000, 3)) + (group == "a")[:, None]
        >>> y = np.where(X.sum(axis=1) + rng.normal(size=1000) > 1.5, "yes", "no")
        >>> plain, fair = (
        ...     FairBiNNClassifier(eta, random_state=0).fit(X, y, sensitive_features=group)
        ...     for eta in (0, 10)
        ... )
        >>> display = AuditDisplay.from_estimator(
        ...     fair, X, y, sensitive_features=group, baseline=plain, random_state=0
        ... )
        >>> before, after = (
        ...     display.differences[name].loc["selection_rate"] for name in ("before", "after")
        ... )
        >>> bool(before["low"] > 0.4 > 0.15 > after["high"])
        True
        """
        import_pyplot("AuditDisplay.from_estimator")
        check_bootstrap(
            "AuditDisplay.from_estimator",
            n_boot=n_boot,
            confidence_level=confidence_level,
            random_state=random_state,
        )
        estimators = {"clf": clf} if baseline is None else {"baseline": baseline, "clf": clf}
        for name, estimator in estimators.items():
            if not hasattr(estimator, "predict"):
                raise TypeError(
                    f"{name} must be a fitted classifier, got {type(estimator).__name__}."
                )
        rates, intervals, differences, sizes, positive = audit(
            estimators, X, y, sensitive_features, pos_label, n_boot, confidence_level, random_state
        )
        names = ("before", "after")[-len(rates) :]
        tables = (dict(zip(names, one, strict=True)) for one in (rates, intervals, differences))
        display = cls(*tables, sizes, pos_label=positive, confidence_level=confidence_level)
        return display.plot(ax)

    @property
    def group_labels(self):
        """Names of the groups with their sizes, as at the bars."""
        groups = [group if isinstance(group, tuple) else (group,) for group in self.sizes.index]
        return [
            f"{', '.join(map(str, group))}\nn = {size:,}"
            for group, size in zip(groups, self.sizes, strict=True)
        ]

    def plot(self, ax=None):
        """Draw a panel for each rate, side by side, with bars for each group.

        Parameters
        ----------
        ax : array-like of matplotlib.axes.Axes, default=None
            Axes to draw on, one for each rate; None makes a figure.

        Returns
        -------
        display : AuditDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `ax` is not one Axes for each rate.

        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot("AuditDisplay.plot")
        columns = list(next(iter(self.rates.values())))
        n_bars = len(self.sizes) * len(self.rates)
        size = 3.4 * len(columns) + 0.8, max(2.4, 1.5 + 0.4 * max(n_bars, 2 * len(self.sizes)))
        self.ax_ = many_axes(
            ax, len(columns), plt, ncols=len(columns), figsize=size, sharex=True, sharey=True
        )
        self.figure_ = self.ax_[0].figure
        for axes, column in zip(self.ax_, columns, strict=True):
            self._draw_rate(axes, column)
        if len(self.rates) > 1 and ax is None:
            handles, names = self.ax_[0].get_legend_handles_labels()
            self.figure_.legend(handles, names, loc="outside upper center", ncols=len(names))
        elif len(self.rates) > 1:
            self.ax_[-1].legend()
        return self

    def _draw_rate(self, axes, column):
        places, height = np.arange(len(self.sizes)), 0.8 / len(self.rates)
        for i, (name, rates) in enumerate(self.rates.items()):
            bars = axes.barh(
                places + (i - (len(self.rates) - 1) / 2) * height,
                rates[column],
                height * 0.94,
                xerr=self._reach(name, column),
                color=_COLORS[name],
                error_kw={"elinewidth": 1.2, "capsize": 3},
                label=name,
            )
            texts = ["no rows" if np.isnan(rate) else f"{rate:.2f}" for rate in rates[column]]
            axes.bar_label(bars, texts, padding=3, fontsize=9)
        axes.set_yticks(places, self.group_labels)
        axes.set(xlim=(0, 1.2), xticks=np.linspace(0, 1, 6), ylim=(len(self.sizes) - 0.5, -0.5))
        told = [self._told(name, column) for name in self.rates]
        axes.set_title("\n".join([column.replace("_", " ").capitalize(), *told]), fontsize="medium")
        decision = "" if self.pos_label is None else f" of {self.pos_label!r}"
        axes.set_xlabel(f"Rate{decision} (share of rows)")

    def _reach(self, name, column):
        """How far the intervals reach to the left and to the right of the bars, (2, n_groups)."""
        rate, ends = self.rates[name][column], self.intervals[name][column]
        return np.clip([rate - ends["low"], ends["high"] - rate], 0, None)

    def _told(self, name, column):
        """Difference and its interval in words."""
        value, low, high = self.differences[name].loc[column, ["difference", "low", "high"]]
        which = f" {name}" if len(self.rates) > 1 else ""
        if np.isnan(value):
            return f"difference{which}: not known"
        return f"difference{which} {value:.2f} [{low:.2f}, {high:.2f}]"
