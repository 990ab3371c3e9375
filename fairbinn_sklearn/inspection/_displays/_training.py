"""Losses, running differences and eta by epoch."""

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from ..._classifier import FairBiNNClassifier
from ._drawing import COLORS, MARKERS, import_pyplot, last_step, many_axes

_LOSSES = {
    "loss": "loss of the leader (accuracy)",
    "fairness_loss": "loss of the follower (fairness)",
}
_DIFFERENCES = {"decision_difference": "decisions", "score_difference": "scores"}


class TrainingDisplay:
    """Draw the course of a training: losses of both players, differences between groups, and eta.

    Make one with `from_estimator`. There is a panel for each of them: differences only where they
    were recorded, and eta only under a `fairness_target`. All are figures of the training rows,
    taken while the weights moved; dashed lines are those of the rows set aside for early stopping.
    They show whether training went well, and are no audit.

    Parameters
    ----------
    history : list of dict or pandas.DataFrame
        One record an epoch, such as the `history_` of a classifier.

    target : float, default=None
        The `fairness_target`, drawn as a line among the differences.

    target_of : {"decisions", "scores", "both"}, default="decisions"
        Which differences the target is for.

    Attributes
    ----------
    ax_ : ndarray of matplotlib.axes.Axes
        The axes of the panels, once drawn.

    figure_ : matplotlib.figure.Figure
        The figure of the axes.

    See Also
    --------
    fairbinn_sklearn.inspection.check_assumptions : What to change where training went wrong.

    Examples
    --------
    >>> from fairbinn_sklearn.inspection import TrainingDisplay
    >>> display = TrainingDisplay(
    ...     [{"epoch": 1, "loss": 0.6}, {"epoch": 2, "loss": 0.4, "fairness_loss": 0.1}]
    ... )
    >>> list(display.panels)
    ['losses']
    """

    def __init__(self, history, *, target=None, target_of="decisions"):
        self.history = history
        self.target = target
        self.target_of = target_of

    @classmethod
    def from_estimator(cls, clf, *, ax=None):
        """Draw the history of a fitted classifier.

        Parameters
        ----------
        clf : FairBiNNClassifier or Pipeline
            Fitted estimator, or a fitted pipeline that ends in one.

        ax : array-like of matplotlib.axes.Axes, default=None
            Axes to draw on, one a panel; None makes a figure.

        Returns
        -------
        display : TrainingDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `clf` is something else.

        NotFittedError
            If `clf` is not fitted.

        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import matplotlib
        >>> import numpy as np
        >>> from fairbinn_sklearn import FairBiNNClassifier
        >>> from fairbinn_sklearn.inspection import TrainingDisplay
        >>> matplotlib.use("agg")
        >>> rng = np.random.default_rng(0)
        >>> group = rng.choice(["a", "b"], 1000)
        >>> X = rng.normal(size=(1000, 3)) + (group == "a")[:, None]
        >>> y = (X.sum(axis=1) + rng.normal(size=1000) > 1.5).astype(int)
        >>> clf = FairBiNNClassifier(eta=3, max_epochs=5, random_state=0)
        >>> display = TrainingDisplay.from_estimator(clf.fit(X, y, sensitive_features=group))
        >>> list(display.panels)
        ['losses', 'differences']
        """
        import_pyplot("TrainingDisplay.from_estimator")
        last = last_step(clf)
        if not isinstance(last, FairBiNNClassifier):
            raise TypeError(
                "clf must be a fitted FairBiNNClassifier, or a Pipeline that ends in one, got "
                f"{type(clf).__name__}"
                + (f" that ends in {type(last).__name__}." if last is not clf else ".")
                + (" Pass its best_estimator_." if hasattr(clf, "best_estimator_") else "")
            )
        check_is_fitted(last, "net_")
        net = last.net_
        target_of = net.criterion_.equalize
        return cls(last.history_, target=net.options.fairness_target, target_of=target_of).plot(ax)

    @property
    def panels(self):
        """Panels by name, each with the columns of the history that it shows and their labels."""
        panels = {"losses": _LOSSES, "differences": _DIFFERENCES, "eta": {"eta": "eta"}}
        history = pd.DataFrame(self.history)
        found = {
            name: {
                column: label
                for column, label in columns.items()
                if column in history and history[column].notna().all()
            }
            for name, columns in panels.items()
        }
        return {name: columns for name, columns in found.items() if columns}

    def plot(self, ax=None):
        """Draw a panel for each kind of figure, side by side.

        Parameters
        ----------
        ax : array-like of matplotlib.axes.Axes, default=None
            Axes to draw on, as many as there are `panels`; None makes a figure.

        Returns
        -------
        display : TrainingDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `history` holds no epoch, or `ax` is not one Axes a panel.

        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot("TrainingDisplay.plot")
        history, panels = pd.DataFrame(self.history), self.panels
        if "epoch" not in history or not panels:
            raise ValueError(
                "history must hold records with 'epoch' and 'loss', got the columns "
                f"{history.columns.tolist()} of {len(history)} epoch(s)."
            )
        n_panels = len(panels)
        self.ax_ = many_axes(ax, n_panels, plt, ncols=n_panels, figsize=(4.4 * n_panels, 3.8))
        self.figure_ = self.ax_[0].figure
        for axes, (name, columns) in zip(self.ax_, panels.items(), strict=True):
            for i, (column, label) in enumerate(columns.items()):
                _draw_lines(axes, history, column, label, COLORS[i], MARKERS[i])
            axes.set_xlabel("Epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            getattr(self, f"_finish_{name}")(axes)
            if len(axes.lines) > 1:
                axes.legend()
        return self

    def _finish_losses(self, axes):
        values = np.concatenate([line.get_ydata() for line in axes.lines])
        # The two differ by orders of magnitude, most of the time.
        if (values > 0).all() and values.max() > 10 * values.min():
            axes.set_yscale("log")
        axes.set(title="Losses", ylabel="Mean loss (nats; fairness: before eta)")

    def _finish_differences(self, axes):
        if self.target is not None:
            label = f"target {self.target:g} ({self.target_of})"
            axes.axhline(self.target, color="0.25", linestyle=":", label=label)
        axes.set_ylim(bottom=0)
        axes.set(title="Differences between groups", ylabel="Running difference (0 to 1)")

    def _finish_eta(self, axes):
        axes.set_ylim(bottom=0)
        axes.set(title="Weight of fairness", ylabel="eta at the end of the epoch")


def _draw_lines(axes, history, column, label, color, marker):
    """Line of the training rows, and a dashed one of those set aside."""
    style = {"color": color, "marker": marker, "markersize": 4}
    style["markevery"] = max(1, len(history) // 12)
    axes.plot(history["epoch"], history[column], label=label, **style)
    validation = f"validation_{column}"
    if validation in history:
        style |= {"linestyle": "--", "markerfacecolor": "none"}
        axes.plot(history["epoch"], history[validation], label=f"{label}, set aside", **style)
