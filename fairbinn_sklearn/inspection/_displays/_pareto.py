"""Scores against differences, and the front of the points that no other point dominates."""

from itertools import product

import numpy as np

from ...metrics._bound import dominated
from ._drawing import as_words, get_axes, import_pyplot, next_style, plain_text
from ._points import check_metric, points_of_estimators, points_of_path, points_of_search

_UNITS = {"accuracy": "fraction of samples, ", "balanced_accuracy": "mean over classes, "}
_CONSTANT = "predicts one class for all samples"
_CONSTANT_STYLE = {"marker": "x", "markersize": 8, "markeredgewidth": 2}
_TEXT_GAP = 0.04  # texts of points that are closer, relative to the range of the points, overlap


class ParetoFrontDisplay:
    """Draw a score against a difference between groups, and the front of the best trade-offs.

    Create it with `from_path`, `from_cv_results` or `from_estimators`. A point is dominated if
    another point is at least as good in both, and better in one. Dominated points are drawn pale. A
    step line joins the others: the best score at each bound on the difference. Crosses mark models
    that predict one class for all samples, so that all groups have the same rates.

    Parameters
    ----------
    differences : array-like of shape (n_points,)
        Differences between groups, from 0 to 1; lower is better.

    scores : array-like of shape (n_points,)
        Scores; higher is better.

    difference_std, score_std : array-like of shape (n_points,) or (n_points, 2), default=None
        Standard deviations, drawn as error bars; or their lengths below and above the points.

    texts : list of str, default=None
        Annotations of the points. The text of a point very close to an annotated one is hidden.

    constant : array-like of bool of shape (n_points,), default=None
        Whether the model of each point predicts one class for all samples. For a table with the
        metric "selection_rate", pass ``table["selection_rate"].isin([0, 1])``. If None, no point is
        marked.

    metric : str, default="demographic_parity_difference"
        Name of the difference.

    score : str, default="accuracy"
        Name of the score.

    label : str, default=None
        Name of the method in the legend.

    bound : float, default=None
        Largest acceptable difference, from 0 to 1, drawn as a dashed line.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes of the plot.

    figure_ : matplotlib.figure.Figure
        Figure that contains the axes.

    front_ : matplotlib.lines.Line2D
        Step line of the front.

    texts_ : list of matplotlib.text.Annotation
        Annotations of the points.

    See Also
    --------
    fairbinn_sklearn.metrics.best_under : Choose the best candidate under a bound.
    AuditDisplay : Draw the rates of each group.

    Examples
    --------
    >>> from fairbinn_sklearn.inspection import ParetoFrontDisplay
    >>> display = ParetoFrontDisplay(
    ...     [0.18, 0.09, 0.04, 0.01], [0.85, 0.82, 0.84, 0.82], texts=["0", "1", "3", "10"]
    ... )
    >>> display.dominated.tolist()
    [False, True, False, False]
    """

    def __init__(
        self,
        differences,
        scores,
        *,
        difference_std=None,
        score_std=None,
        texts=None,
        constant=None,
        metric="demographic_parity_difference",
        score="accuracy",
        label=None,
        bound=None,
    ):
        self.differences = differences
        self.scores = scores
        self.difference_std = difference_std
        self.score_std = score_std
        self.texts = texts
        self.constant = constant
        self.metric = metric
        self.score = score
        self.label = label
        self.bound = bound

    @classmethod
    def from_path(
        cls,
        path,
        *,
        metric="demographic_parity_difference",
        score=None,
        label=None,
        bound=None,
        ax=None,
    ):
        """Draw a path: means over seeds, with standard deviations as error bars.

        If the path was evaluated with `n_boot`, the error bars are 95 % bootstrap intervals.

        Parameters
        ----------
        path : FairnessPath
            Result of :func:`fairbinn_sklearn.fairness_path`, preferably evaluated on held-out
            samples by its method `evaluate`.

        metric : str, default="demographic_parity_difference"
            Name of a difference in the table of the path.

        score : str, default=None
            Name of a score in the table of the path. None means its first metric.

        label : str, default=None
            Name of the method in the legend.

        bound : float, default=None
            Largest acceptable difference, from 0 to 1.

        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None creates a figure.

        Returns
        -------
        display : ParetoFrontDisplay
            The drawn display.

        Raises
        ------
        ValueError
            If a parameter is not valid, or the table of the path lacks a metric.

        ImportError
            If matplotlib is not installed.
        """
        import_pyplot("ParetoFrontDisplay.from_path")
        score = path.figures.columns[0] if score is None else score
        points = points_of_path(path, metric, score)
        return cls(**points, metric=metric, score=score, label=label, bound=bound).plot(ax)

    @classmethod
    def from_cv_results(
        cls,
        cv_results,
        *,
        metric="demographic_parity_difference",
        score="accuracy",
        label=None,
        bound=None,
        ax=None,
    ):
        """Draw the candidates of a search, with the standard deviation over folds.

        Parameters
        ----------
        cv_results : dict of str to array
            Attribute `cv_results_` of a search with
            :func:`fairbinn_sklearn.metrics.fairness_scoring`. Candidates with scores that are not
            finite are left out.

        metric : str, default="demographic_parity_difference"
            Name of a difference in the `scoring` of the search.

        score : str, default="accuracy"
            Name of the score in the `scoring` of the search.

        label : str, default=None
            Name of the method in the legend.

        bound : float, default=None
            Largest acceptable difference, from 0 to 1.

        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None creates a figure.

        Returns
        -------
        display : ParetoFrontDisplay
            The drawn display.

        Raises
        ------
        ValueError
            If a parameter is not valid, or `cv_results` lacks the scores.

        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import matplotlib
        >>> import numpy as np
        >>> from fairbinn_sklearn.inspection import ParetoFrontDisplay
        >>> matplotlib.use("agg")
        >>> cv_results = {
        ...     "params": [{"eta": 0}, {"eta": 1}, {"eta": 10}],
        ...     "mean_test_accuracy": np.array([0.85, 0.84, 0.82]),
        ...     "std_test_accuracy": np.array([0.004, 0.003, 0.005]),
        ...     "mean_test_demographic_parity_difference": np.array([-0.18, -0.04, -0.01]),
        ...     "std_test_demographic_parity_difference": np.array([0.01, 0.008, 0.004]),
        ... }
        >>> display = ParetoFrontDisplay.from_cv_results(cv_results, bound=0.05)
        >>> [text.get_text() for text in display.texts_]
        ['eta 0', 'eta 1', 'eta 10']
        """
        import_pyplot("ParetoFrontDisplay.from_cv_results")
        points = points_of_search(cv_results, metric, score)
        return cls(**points, metric=metric, score=score, label=label, bound=bound).plot(ax)

    @classmethod
    def from_estimators(
        cls,
        estimators,
        X,
        y,
        *,
        sensitive_features,
        metric="demographic_parity_difference",
        score="accuracy",
        pos_label=None,
        label=None,
        bound=None,
        ax=None,
    ):
        """Draw fitted classifiers, evaluated on samples.

        Parameters
        ----------
        estimators : dict of str to estimator, or list of estimators
            Fitted classifiers. A list instead of a classifier, for example of several seeds, gives
            one point: the mean, with the standard deviation over the list as error bars. The
            annotations are the keys of a dict; for a list, eta where a classifier has one.

        X : array-like of shape (n_samples, n_features)
            Held-out samples, not used for training.

        y : array-like of shape (n_samples,)
            Labels.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Sensitive features. Several columns form intersections.

        metric : str, default="demographic_parity_difference"
            Name of a difference, as in `fairbinn_sklearn.metrics.FairnessScorer`.

        score : str, default="accuracy"
            Name of a scikit-learn scorer.

        pos_label : label, default=None
            Positive class of a problem with two classes. None means the `pos_label` of each
            classifier, or the last of its `classes_`.

        label : str, default=None
            Name of the method in the legend.

        bound : float, default=None
            Largest acceptable difference, from 0 to 1.

        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None creates a figure.

        Returns
        -------
        display : ParetoFrontDisplay
            The drawn display.

        Raises
        ------
        TypeError
            If `estimators` has anything other than fitted classifiers.

        ValueError
            If a parameter is not valid.

        ImportError
            If matplotlib is not installed.
        """
        import_pyplot("ParetoFrontDisplay.from_estimators")
        points = points_of_estimators(
            estimators, X, y, sensitive_features, metric, score, pos_label
        )
        return cls(**points, metric=metric, score=score, label=label, bound=bound).plot(ax)

    @property
    def dominated(self):
        """Whether another point dominates each point, of shape (n_points,)."""
        return dominated(self.differences, self.scores)

    def plot(self, ax=None, *, color=None, marker=None, annotate=True):
        """Draw the points and the front. Call it on the same axes to compare methods.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None creates a figure.

        color : color, default=None
            Matplotlib colour. None means the colour that the axes use least, of a palette for
            colour-blind readers.

        marker : str, default=None
            Matplotlib marker. None means the marker of the colour.

        annotate : bool, default=True
            Whether to write the texts next to the points.

        Returns
        -------
        display : ParetoFrontDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the metric, the bound or the shapes of the data are not valid.

        TypeError
            If `ax` is not a matplotlib Axes.

        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot("ParetoFrontDisplay.plot")
        self._check_points()
        self.ax_ = ax = get_axes(ax, plt)
        self.figure_ = ax.figure
        next_color, next_marker = next_style(ax)
        color, marker = color or next_color, marker or next_marker
        self._draw_points(color, marker)
        front = np.column_stack([self.differences, self.scores])[~self.dominated]
        x, y = front[np.argsort(front[:, 0], kind="stable")].T
        (self.front_,) = ax.plot(np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1], color=color)
        if self.label is not None:
            label = plain_text(self.label)
            ax.plot([], [], color=color, marker=marker, label=label)
        labels = [line.get_label() for line in ax.lines]
        if self.constant is not None and np.any(self.constant) and _CONSTANT not in labels:
            ax.plot([], [], **_CONSTANT_STYLE, color="0.25", linestyle="none", label=_CONSTANT)
        if self.bound is not None and (label := f"bound {self.bound:g}") not in labels:
            ax.axvline(self.bound, color="0.25", linestyle="--", linewidth=1.2, label=label)
        self.texts_ = self._draw_texts(color) if annotate and self.texts is not None else []
        ax.margins(0.12)
        ax.set_xlabel(f"{as_words(self.metric)} (0 to 1, lower is better)")
        ax.set_ylabel(f"{as_words(self.score)} ({_UNITS.get(self.score, '')}higher is better)")
        if ax.get_legend_handles_labels()[1]:
            ax.legend()
        return self

    def _check_points(self):
        """Raise if the data cannot be drawn."""
        check_metric(self.metric)
        n_points = len(self.differences)
        if self.bound is not None and not (np.isreal(self.bound) and 0 <= self.bound <= 1):
            raise ValueError(f"bound must be a number from 0 to 1 or None, got {self.bound!r}.")
        if n_points == 0:
            raise ValueError("differences must have at least one point, got none.")
        for name in ("scores", "difference_std", "score_std", "texts", "constant"):
            values = getattr(self, name)
            if values is not None and len(values) != n_points:
                raise ValueError(
                    f"{name} must have one value for each point, got {len(values)} for {n_points} "
                    "points."
                )

    def _draw_points(self, color, marker):
        """Draw points with error bars: dominated ones pale, constant models as crosses."""
        points = {"x": self.differences, "y": self.scores}
        for name, std in (("xerr", self.difference_std), ("yerr", self.score_std)):
            if std is not None and np.any(std):
                points[name] = std
        unknown = np.zeros(len(self.differences), dtype=bool)
        constant = unknown if self.constant is None else np.asarray(self.constant, dtype=bool)
        shapes = ((~constant, {"marker": marker}), (constant, _CONSTANT_STYLE))
        shades = ((~self.dominated, 1.0), (self.dominated, 0.35))
        for (is_shape, shape), (is_shade, alpha) in product(shapes, shades):
            which = is_shape & is_shade
            if which.any():
                self.ax_.errorbar(
                    **{name: np.asarray(values, float)[which].T for name, values in points.items()},
                    **{"color": color, "alpha": alpha, "linestyle": "none", **shape},
                    **{"elinewidth": 1, "capsize": 2.5},
                )

    def _draw_texts(self, color):
        """Write the texts at the upper left of the points, which no other point of a front is."""
        points = np.column_stack([self.differences, self.scores]).astype(float)
        scale = np.ptp(points, axis=0)
        scaled = points / np.where(scale > 0, scale, 1)
        texts, annotated = [], []
        for text, point, position in zip(self.texts, points, scaled, strict=True):
            is_free = all(np.abs(position - other).max() > _TEXT_GAP for other in annotated)
            if is_free:
                annotated.append(position)
            texts.append(
                self.ax_.annotate(
                    plain_text(text),
                    point,
                    textcoords="offset points",
                    **{"xytext": (-4, 4), "ha": "right", "va": "bottom"},
                    **{"fontsize": 9, "color": color, "visible": is_free},
                )
            )
        return texts
