"""Losses, running differences and eta by epoch."""

import pandas as pd

from .._history import TrainingHistory, fitted_classifier
from ._drawing import COLORS, MARKERS, get_axes_array, import_pyplot

# Title and label of the y axis of each panel, and the columns of the history that it shows.
_PANELS = {
    "loss": ("Accuracy loss (leader)", "Mean cross-entropy (nats)", {"loss": "training"}),
    "fairness_loss": (
        "Fairness loss (follower)",
        "Loss before the weight eta",
        {"fairness_loss": "training"},
    ),
    "differences": (
        "Differences between groups",
        "Running difference of rates",
        {
            "decision_difference": "decisions",
            "score_difference": "scores",
            "distribution_difference": "distribution",
        },
    ),
    "eta": ("Weight of the fairness loss", "eta at the end of the epoch", {"eta": "eta"}),
}


class TrainingDisplay:
    """Draw the history of a training: losses, differences between groups, and eta, by epoch.

    Create it with `from_estimator`. Each of them has a panel, if it was recorded; eta is recorded
    only under a `fairness_target`. Values are those of the training samples, measured while the
    weights changed, so they are no audit. Dashed lines show the validation samples of early
    stopping.

    Parameters
    ----------
    history : list of dict or pandas.DataFrame
        One record for each epoch, such as the `history_` of a classifier.

    target : float, default=None
        The `fairness_target`, drawn as a line in the panel of the differences. For a ratio or a
        lowest rate, pass 1 minus the target.

    equalize : {"decisions", "scores", "both", "distribution"}, default="decisions"
        The differences that the target applies to.

    Attributes
    ----------
    ax_ : ndarray of matplotlib.axes.Axes
        Axes of the panels.

    figure_ : matplotlib.figure.Figure
        Figure that contains the axes.

    See Also
    --------
    fairbinn_sklearn.inspection.diagnose : Find what to change after a training.

    Examples
    --------
    >>> from fairbinn_sklearn.inspection import TrainingDisplay
    >>> display = TrainingDisplay(
    ...     [{"epoch": 1, "loss": 0.6}, {"epoch": 2, "loss": 0.4, "fairness_loss": 0.1}]
    ... )
    >>> list(display.panels)
    ['loss']
    """

    def __init__(self, history, *, target=None, equalize="decisions"):
        self.history = history
        self.target = target
        self.equalize = equalize

    @classmethod
    def from_estimator(cls, clf, *, ax=None):
        """Draw the history of a fitted classifier.

        Parameters
        ----------
        clf : FairBiNNClassifier or Pipeline
            Fitted classifier, or a fitted pipeline that ends in one.

        ax : array-like of matplotlib.axes.Axes, default=None
            Axes to draw on, one for each panel. None creates a figure.

        Returns
        -------
        display : TrainingDisplay
            The drawn display.

        Raises
        ------
        TypeError
            If `clf` is not a FairBiNNClassifier or a pipeline that ends in one.

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
        ['loss', 'fairness_loss', 'differences']
        """
        import_pyplot("TrainingDisplay.from_estimator")
        last = fitted_classifier(clf)
        training = TrainingHistory.of(last)
        display = cls(last.history_, target=training.bound, equalize=training.equalize)
        return display.plot(ax)

    @property
    def panels(self):
        """Panels by name, each with the columns of the history that it shows and their labels."""
        history = pd.DataFrame(self.history)
        recorded = [column for column in history if history[column].notna().all()]
        panels = {
            name: {column: label for column, label in columns.items() if column in recorded}
            for name, (_, _, columns) in _PANELS.items()
        }
        return {name: columns for name, columns in panels.items() if columns}

    def plot(self, ax=None):
        """Draw the panels side by side.

        Parameters
        ----------
        ax : array-like of matplotlib.axes.Axes, default=None
            Axes to draw on, as many as `panels`. None creates a figure.

        Returns
        -------
        display : TrainingDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `history` has no epoch, or `ax` does not have one Axes for each panel.

        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot("TrainingDisplay.plot")
        history, panels = pd.DataFrame(self.history), self.panels
        if "epoch" not in history or not panels:
            raise ValueError(
                "history must have records with 'epoch' and 'loss', got the columns "
                f"{history.columns.tolist()} and {len(history)} epoch(s)."
            )
        self.ax_ = get_axes_array(ax, len(panels), plt, figsize=(4.2 * len(panels), 3.6))
        self.figure_ = self.ax_[0].figure
        for axes, (name, columns) in zip(self.ax_, panels.items(), strict=True):
            for i, (column, label) in enumerate(columns.items()):
                _draw_lines(axes, history, column, label, COLORS[i], MARKERS[i])
            if name == "differences" and self.target is not None:
                label = f"target {self.target:g} ({self.equalize})"
                axes.axhline(self.target, color="0.25", linestyle=":", label=label)
            title, label, _ = _PANELS[name]
            axes.set(title=title, xlabel="Epoch", ylabel=label)
            if name != "loss":  # the loss ends far from 0, and an axis from 0 flattens it
                axes.set_ylim(bottom=0)
            axes.xaxis.get_major_locator().set_params(integer=True)
            if len(axes.lines) > 1:
                axes.legend()
        return self


def _draw_lines(axes, history, column, label, color, marker):
    """Draw a line of the training samples, and a dashed line of the validation samples."""
    style = {"color": color, "marker": marker, "markersize": 4}
    style["markevery"] = max(1, len(history) // 12)
    axes.plot(history["epoch"], history[column], label=label, **style)
    validation = f"validation_{column}"
    if validation in history:
        label = "validation" if label == "training" else f"{label}, validation"
        style |= {"linestyle": "--", "markerfacecolor": "none"}
        axes.plot(history["epoch"], history[validation], label=label, **style)
