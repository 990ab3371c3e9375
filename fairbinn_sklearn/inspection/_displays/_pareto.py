"""Score against difference, and which points no other point beats in both."""

from ...metrics._bound import dominated
from ._drawing import import_pyplot, next_style, one_axes
from ._front import check_points, draw_front
from ._points import points_of_estimators, points_of_path, points_of_search


class ParetoFrontDisplay:
    """Draw a score against a difference between groups, and the front of the best trade-offs.

    Make one with `from_path`, `from_cv_results` or `from_estimators`. A point is dominated if
    another one has a difference as small and a score as high, and is better in one of the two; such
    points are drawn pale. A step line joins the others: the best score at each bound on the
    difference.

    Parameters
    ----------
    differences : array-like of shape (n_points,)
        Differences between groups, from 0 to 1; lower is better.

    scores : array-like of shape (n_points,)
        Scores; higher is better.

    difference_std, score_std : array-like of shape (n_points,), default=None
        Standard deviations, drawn as error bars.

    texts : list of str, default=None
        Annotations of the points; empty ones are not drawn.

    metric : str, default="demographic_parity_difference"
        Name of the difference.

    score : str, default="accuracy"
        Name of the score.

    label : str, default=None
        Name of the method in the legend.

    bound : float, default=None
        Largest difference allowed, from 0 to 1, drawn as a dashed line.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes, once drawn.

    figure_ : matplotlib.figure.Figure
        The figure of the axes.

    front_ : matplotlib.lines.Line2D
        The step line.

    texts_ : list of matplotlib.text.Annotation
        The annotations.

    See Also
    --------
    fairbinn_sklearn.metrics.best_under : The choice of a point under a bound.
    AuditDisplay : What the choice means for each group.

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
        """Draw a path: means over its seeds, with their standard deviations as error bars.

        Parameters
        ----------
        path : FairnessPath
            What `fairbinn_sklearn.fairness_path` returns, best measured by `evaluate` on rows
            other than those of training.

        metric : str, default="demographic_parity_difference"
            Name of a difference in the table of the path.

        score : str, default=None
            Name of a score in the table of the path. None means its first figure.

        label : str, default=None
            Name of the method in the legend.

        bound : float, default=None
            Largest difference allowed, from 0 to 1.

        ax : matplotlib.axes.Axes, default=None
            Axes to draw on; None makes a figure.

        Returns
        -------
        display : ParetoFrontDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a parameter is not valid, or the path has no such figure.

        ImportError
            If matplotlib is not installed.
        """
        import_pyplot("ParetoFrontDisplay.from_path")
        points, score = points_of_path(path, metric, score)
        return cls._of(points, metric, score, label, bound).plot(ax)

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
            `cv_results_` of a search with `fairbinn_sklearn.metrics.fairness_scoring`. Candidates
            whose scores are not finite are left out.

        metric : str, default="demographic_parity_difference"
            Name of a difference in the `scoring` of the search.

        score : str, default="accuracy"
            Name of the score in the `scoring` of the search.

        label : str, default=None
            Name of the method in the legend.

        bound : float, default=None
            Largest difference allowed, from 0 to 1.

        ax : matplotlib.axes.Axes, default=None
            Axes to draw on; None makes a figure.

        Returns
        -------
        display : ParetoFrontDisplay
            The display, drawn.

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
        return cls._of(points, metric, score, label, bound).plot(ax)

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
        """Draw fitted estimators, each as it does on the given rows.

        Parameters
        ----------
        estimators : dict of str to estimator, or list of estimators
            Fitted classifiers. A list in the place of an estimator, such as one of several seeds,
            makes one point: the mean, with the standard deviation over the list as error bars.
            Keys of a dict are the annotations; in a list it is eta, where an estimator has it.

        X : array-like of shape (n_samples, n_features)
            Rows, best others than those of training.

        y : array-like of shape (n_samples,)
            Labels.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Groups of the rows; several columns make intersections.

        metric : str, default="demographic_parity_difference"
            Name of a difference, as in `fairbinn_sklearn.metrics.FairnessScorer`.

        score : str, default="accuracy"
            Name of a scorer of scikit-learn.

        pos_label : label, default=None
            The positive one of two classes. None means the last of the estimator's `classes_`.

        label : str, default=None
            Name of the method in the legend.

        bound : float, default=None
            Largest difference allowed, from 0 to 1.

        ax : matplotlib.axes.Axes, default=None
            Axes to draw on; None makes a figure.

        Returns
        -------
        display : ParetoFrontDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `estimators` is or holds something else.

        ValueError
            If a parameter is not valid.

        ImportError
            If matplotlib is not installed.
        """
        import_pyplot("ParetoFrontDisplay.from_estimators")
        points = points_of_estimators(
            estimators, X, y, sensitive_features, metric, score, pos_label
        )
        return cls._of(points, metric, score, label, bound).plot(ax)

    @classmethod
    def _of(cls, points, metric, score, label, bound):
        differences, scores, difference_std, score_std, texts = points
        return cls(
            differences,
            scores,
            difference_std=difference_std,
            score_std=score_std,
            texts=texts,
            metric=metric,
            score=score,
            label=label,
            bound=bound,
        )

    @property
    def dominated(self):
        """Whether another point beats each point, of shape (n_points,)."""
        return dominated(self.differences, self.scores)

    def plot(self, ax=None, *, color=None, marker=None, annotate=True):
        """Draw the points and the front; call it on the same axes for several methods.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on; None makes a figure.

        color : color, default=None
            Colour of matplotlib. None means the next one of Okabe and Ito's that is not on the
            axes.

        marker : str, default=None
            Marker of matplotlib. None means the one that goes with the next colour.

        annotate : bool, default=True
            Whether to write the texts beside the points.

        Returns
        -------
        display : ParetoFrontDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the metric, the bound or the shapes of the data are not valid.

        TypeError
            If `ax` is not one Axes.

        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot("ParetoFrontDisplay.plot")
        check_points(self)
        self.ax_ = one_axes(ax, plt)
        self.figure_ = self.ax_.figure
        next_color, next_marker = next_style(self.ax_)
        draw_front(self, color or next_color, marker or next_marker, annotate)
        return self
