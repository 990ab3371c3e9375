"""Rates of each group, of one classifier or of two."""

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..._data.frames import check_order
from ..._data.groups import UNKNOWN
from ..._data.labels import inner_classifier, label_codes, trained_pos_label
from ...losses import (
    AccuracyParity,
    DemographicParity,
    EqualOpportunity,
    F1Parity,
    FalseOmissionRateParity,
    FalsePositiveRateParity,
    PredictiveParity,
    TreatmentEquality,
)
from ...losses._combined import CombinedLoss
from ...metrics._bootstrap import check_bootstrap, interval
from .._audit import (
    encode_groups,
    group_rates,
    rate_weights,
    spread,
)
from ._drawing import as_words, get_axes_array, import_pyplot, plain_text

_COLORS = {"before": "#E69F00", "after": "#0072B2"}  # Okabe and Ito's; differ in lightness too
_RATES = {  # what each rate counts, in words, and its criterion
    "selection_rate": ("Predicted {label}", DemographicParity()),
    "true_positive_rate": ("Predicted {label}\nof samples labelled {label}", EqualOpportunity()),
    "false_positive_rate": (
        "Predicted {label}\nof samples not labelled {label}",
        FalsePositiveRateParity(),
    ),
    "precision": ("Labelled {label}\nof samples predicted {label}", PredictiveParity()),
    "false_omission_rate": (
        "Labelled {label}\nof samples not predicted {label}",
        FalseOmissionRateParity(),
    ),
    "accuracy": ("Correct predictions", AccuracyParity()),
    "f1_score": ("F1 score of {label}", F1Parity()),
    "share_of_false_negatives": ("False negatives\namong the errors", TreatmentEquality()),
}
_ALWAYS = ["selection_rate", "true_positive_rate", "false_positive_rate"]


class AuditDisplay:
    r"""Draw the selection rate, true positive rate and false positive rate of each group.

    Create it with `from_estimator`. Bars show the rates, equal to those of fairlearn's MetricFrame.
    If `clf` was trained for another rate, such as the precision for predictive parity, this rate
    has a panel, too.
    The title of each panel shows the largest difference between two groups, and its confidence
    interval (CI). Error bars and CIs are percentile intervals of the bootstrap [1]_, which
    resamples the samples.

    Parameters
    ----------
    rates : dict of str to pandas.DataFrame
        Rates of the classifiers, by "after" and, with a baseline, "before": one row for each group,
        one column for each rate. NaN where a group has no samples.

    intervals : dict of str to pandas.DataFrame
        Intervals of the rates: one row for each group, and for each rate the columns "low" and
        "high".

    differences : dict of str to pandas.DataFrame
        Largest differences between two groups: one row for each rate, the columns "difference",
        and "low" and "high" of its interval.

    sizes : pandas.Series
        Number of samples of each group, without those of weight 0.

    pos_label : label, default=None
        Label whose predictions are counted.

    confidence_level : float, default=0.95
        Confidence level of the intervals.

    n_unknown : int, default=0
        Number of samples of unknown groups, which were left out.

    weights : pandas.Series, default=None
        Total weight of the samples of each group, None if all samples have the same weight.

    Attributes
    ----------
    ax_ : ndarray of shape (n_rates,) of matplotlib.axes.Axes
        Axes of the panels.

    figure_ : matplotlib.figure.Figure
        Figure that contains the axes.

    See Also
    --------
    fairlearn.metrics.MetricFrame : The rates as a table.
    ParetoFrontDisplay : Draw scores against differences.
    diagnose : Judge the difference in the rates of the trained constraint.

    Notes
    -----
    The intervals describe the choice of samples for a fixed model: another training gives other
    rates. They have no width at rates of 0 and 1, and are too short near these in small groups.
    Resampling increases differences, the more groups the more. Near parity the interval of a
    difference therefore lies too high; it is extended to contain the difference itself.

    The bootstrap assumes independent samples. The intervals are too short for clustered samples,
    such as several samples of one person.

    References
    ----------
    .. [1] Efron, B., Tibshirani, R. J. (1993). An Introduction to the Bootstrap, chapter 13.
       Chapman and Hall. https://doi.org/10.1201/9780429246593
    """

    def __init__(
        self,
        rates,
        intervals,
        differences,
        sizes,
        *,
        pos_label=None,
        confidence_level=0.95,
        n_unknown=0,
        weights=None,
    ):
        self.rates = rates
        self.intervals = intervals
        self.differences = differences
        self.sizes = sizes
        self.pos_label = pos_label
        self.confidence_level = confidence_level
        self.n_unknown = n_unknown
        self.weights = weights

    @classmethod
    def from_estimator(
        cls,
        clf,
        X,
        y,
        *,
        sensitive_features,
        sample_weight=None,
        baseline=None,
        pos_label=None,
        n_boot=1000,
        confidence_level=0.95,
        random_state=None,
        ax=None,
    ):
        """Draw the rates of a fitted classifier, and of a baseline next to them.

        Parameters
        ----------
        clf : estimator
            Fitted classifier of any kind, or a pipeline or search that ends in one.

        X : array-like of shape (n_samples, n_features)
            Held-out samples, not used for training.

        y : array-like of shape (n_samples,)
            Labels.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Sensitive features. Several columns form intersections.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the rates, >= 0. Samples of weight 0 are left out. A group is
            left out if all of its samples have weight 0.

        baseline : estimator, default=None
            Fitted classifier to compare with, drawn as "before".

        pos_label : label, default=None
            Label whose predictions are counted, against all others. None means the `pos_label` of
            the classifier, or the last of its `classes_`.

        n_boot : int, default=1000
            Number of bootstrap resamples, >= 1.

        confidence_level : float, default=0.95
            Confidence level of the intervals, in (0, 1).

        random_state : int, RandomState instance or None, default=None
            Source of the resamples.

        ax : array-like of matplotlib.axes.Axes, default=None
            Axes to draw on, one for each rate: 3, plus one for each further rate that `clf` was
            trained for. None creates a figure.

        Returns
        -------
        display : AuditDisplay
            The drawn display.

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
        check_order(sensitive_features, X=X, y=y)
        classes = _classes_of(clf)
        truth = label_codes(X, y, classes)
        positive, pos_label = _positive_class(clf, classes, pos_label)
        weight = rate_weights(sample_weight, truth)
        is_counted = weight > 0
        codes, (groups,) = encode_groups(sensitive_features, is_counted)
        random_state = check_random_state(random_state)
        names = _rates_of(clf)
        criterion = CombinedLoss([_RATES[name][1] for name in names])
        rates, intervals, differences = {}, {}, {}
        for name, estimator in estimators.items():
            predictions = label_codes(X, estimator.predict(X), classes, f"predictions of {name}")
            result = group_rates(
                criterion,
                2,
                (truth == positive).astype(int)[is_counted],
                (predictions == positive).astype(int)[is_counted],
                codes,
                weight[is_counted],
                n_boot=n_boot,
                random_state=random_state,
            )
            when = "before" if name == "baseline" else "after"
            tables = _tables(result.rates[0][..., 0], groups, names, confidence_level)
            rates[when], intervals[when], differences[when] = tables
        known = codes[:, 0] != UNKNOWN
        sizes, weights = (
            pd.Series(np.bincount(codes[known, 0], w, len(groups)), index=groups)
            for w in (None, weight[is_counted][known])
        )
        display = cls(
            *(rates, intervals, differences, sizes),
            pos_label=pos_label,
            confidence_level=confidence_level,
            n_unknown=int((~known).sum()),
            weights=None if sample_weight is None else weights,
        )
        return display.plot(ax)

    @property
    def group_labels(self):
        """Names and sizes of the groups, and their shares of the weight, as drawn."""
        groups = [group if isinstance(group, tuple) else (group,) for group in self.sizes.index]
        labels = [
            f"{', '.join(map(str, group))}\nn = {size:,}"
            for group, size in zip(groups, self.sizes, strict=True)
        ]
        if self.weights is None:
            return labels
        shares = self.weights / self.weights.sum()
        return [f"{label}\nweight {share:.0%}" for label, share in zip(labels, shares, strict=True)]

    def plot(self, ax=None):
        """Draw one panel for each rate, with bars for each group.

        Parameters
        ----------
        ax : array-like of matplotlib.axes.Axes, default=None
            Axes to draw on, one for each rate. None creates a figure.

        Returns
        -------
        display : AuditDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `ax` does not have one Axes for each rate.

        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot("AuditDisplay.plot")
        columns = list(next(iter(self.rates.values())))
        n_bars = len(self.sizes) * len(self.rates)
        size = 3.4 * len(columns) + 0.8, max(2.4, 1.5 + 0.4 * max(n_bars, 2 * len(self.sizes)))
        self.ax_ = get_axes_array(ax, len(columns), plt, figsize=size, sharey=True)
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
        positions, height = np.arange(len(self.sizes)), 0.8 / len(self.rates)
        for i, (name, rates) in enumerate(self.rates.items()):
            rate, ends = rates[column], self.intervals[name][column]
            bars = axes.barh(
                positions + (i - (len(self.rates) - 1) / 2) * height,
                rate,
                height * 0.94,
                xerr=np.clip([rate - ends["low"], ends["high"] - rate], 0, None),
                color=_COLORS[name],
                error_kw={"elinewidth": 1.2, "capsize": 3},
                label=name,
            )
            texts = ["no samples" if np.isnan(value) else f"{value:.2f}" for value in rate]
            axes.bar_label(bars, texts, padding=3, fontsize=9)
        labels = [plain_text(label) for label in self.group_labels]
        axes.set_yticks(positions, labels)
        axes.set_ylim(len(self.sizes) - 0.5, -0.5)
        largest = max(table[column].max(axis=None) for table in self.intervals.values())
        limit = 1.25 * largest if largest > 0 else 1.0
        axes.set_xlim(0, limit)
        axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= min(limit, 1)])
        differences = [self._difference_text(name, column) for name in self.rates]
        axes.set_title("\n".join([as_words(column), *differences]), fontsize="medium")
        text = self._rate_text(column)
        if self.n_unknown and axes is self.ax_[0]:
            text += f"\n({self.n_unknown:,} samples of unknown group left out)"
        axes.set_xlabel(text)

    def _rate_text(self, column):
        """Return what the rate counts, in words."""
        if self.pos_label is None or column not in _RATES:
            return "Rate"
        label = plain_text(repr(self.pos_label))
        return _RATES[column][0].format(label=label)

    def _difference_text(self, name, column):
        """Return the difference and its interval in words."""
        value, low, high = self.differences[name].loc[column, ["difference", "low", "high"]]
        prefix = f"{name}: " if len(self.rates) > 1 else ""
        if np.isnan(value):
            return f"{prefix}difference unknown"
        level = f"{100 * self.confidence_level:g}%"
        return f"{prefix}difference {value:.2f} ({level} CI {low:.2f} to {high:.2f})"


def _classes_of(clf):
    """Return the classes of a fitted classifier."""
    check_is_fitted(clf)
    if not hasattr(clf, "classes_"):
        raise TypeError(f"clf must be a fitted classifier with classes_, got {type(clf).__name__}.")
    return np.asarray(clf.classes_)


def _positive_class(clf, classes, pos_label):
    """Return the code and the label of the class whose predictions are counted."""
    classes = classes.tolist()
    label = trained_pos_label(clf) if pos_label is None else pos_label
    label = classes[-1] if label is None else label
    if label not in classes:
        raise ValueError(f"pos_label must be one of the classes {classes}, got {label!r}.")
    return classes.index(label), label


def _rates_of(clf):
    """Return the names of the rates that are drawn: three, and those that `clf` was trained for."""
    net = getattr(inner_classifier(clf), "net_", None)
    constraint = None if net is None else net.options.constraint
    losses = getattr(constraint, "losses", [constraint])
    trained = [
        name
        for name, (_, criterion) in _RATES.items()
        if any(type(loss) is type(criterion) for loss in losses)
    ]
    return [*_ALWAYS, *(name for name in trained if name not in _ALWAYS)]


def _tables(rates, groups, names, confidence_level):
    """Return rates, intervals and differences as DataFrames, from rates (1 + n_boot, E, G)."""
    ends = interval(rates, confidence_level)
    differences = spread(rates, axis=2)
    low, high = interval(differences, confidence_level)
    columns = pd.MultiIndex.from_product([names, ["low", "high"]])
    return (
        pd.DataFrame(rates[0].T, index=groups, columns=names),
        pd.DataFrame(
            ends.transpose(2, 1, 0).reshape(len(groups), -1), index=groups, columns=columns
        ),
        pd.DataFrame({"difference": differences[0], "low": low, "high": high}, index=names),
    )
