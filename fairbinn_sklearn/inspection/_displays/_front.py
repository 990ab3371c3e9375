"""Drawing of a front on its axes: points, step line, bound, texts and words."""

import numpy as np

from . import _labels
from ._points import check_metric

PALE = 0.35
_UNITS = {"accuracy": "share of rows, ", "balanced_accuracy": "mean over classes, "}


def check_points(display):
    """Refuse data that cannot be drawn."""
    check_metric(display.metric)
    bound, n_points = display.bound, len(display.differences)
    if bound is not None and not (np.isreal(bound) and 0 <= bound <= 1):
        raise ValueError(f"bound must be a number from 0 to 1 or None, got {bound!r}.")
    if n_points == 0:
        raise ValueError("differences must have at least one point, got none.")
    for name in ("scores", "difference_std", "score_std", "texts"):
        values = getattr(display, name)
        if values is not None and len(values) != n_points:
            raise ValueError(
                f"{name} must have one value a point, got {len(values)} for {n_points} points."
            )


def draw_front(display, color, marker, annotate):
    """Draw all of it; artists that the display keeps are set on it."""
    ax, dominated = display.ax_, display.dominated
    x, y = np.asarray(display.differences, float), np.asarray(display.scores, float)
    errors = [
        None if std is None or not np.any(std) else np.asarray(std, float)
        for std in (display.difference_std, display.score_std)
    ]
    for which, alpha in ((~dominated, 1.0), (dominated, PALE)):
        if which.any():
            xerr, yerr = (None if std is None else std[which] for std in errors)
            ax.errorbar(
                *(x[which], y[which], yerr, xerr),
                **{"color": color, "alpha": alpha, "marker": marker, "linestyle": "none"},
                **{"elinewidth": 1, "capsize": 2.5},
            )
    (display.front_,) = ax.plot(*_steps(x[~dominated], y[~dominated]), color=color)
    if display.label is not None:
        ax.plot([], [], color=color, marker=marker, label=display.label)
    if display.bound is not None:
        _draw_bound(ax, display.bound)
    ax.margins(0.12)
    ax.set_xlabel(f"{words(display.metric)} (0 to 1, lower is better)")
    ax.set_ylabel(f"{words(display.score)} ({_UNITS.get(display.score, '')}higher is better)")
    has_texts = annotate and display.texts is not None
    display.texts_ = _labels.annotate(ax, x, y, display.texts, color) if has_texts else []
    if ax.get_legend_handles_labels()[1]:
        ax.legend()
    _labels.place(ax)


def words(name):
    """Name of a figure as words."""
    return name[:1].upper() + name[1:].replace("_", " ")


def _steps(x, y):
    """Step line of the best score at each bound on the difference, from left to right."""
    order = np.argsort(x, kind="stable")
    return np.repeat(x[order], 2)[1:], np.repeat(y[order], 2)[:-1]


def _draw_bound(ax, bound):
    """Dashed line at the bound; one, however many methods are drawn."""
    label = f"bound {bound:g}"
    if label not in [line.get_label() for line in ax.lines]:
        ax.axvline(bound, color="0.25", linestyle="--", linewidth=1.2, label=label)
