"""What all displays share: matplotlib, axes, and colours that colour-blind people can tell."""

import numpy as np

# Okabe and Ito (2008), without black, which is for text and bounds, and yellow, too pale for lines;
# then wine and indigo of Tol (2021), and grey.
COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"),
    *("#882255", "#332288", "#808080"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*")


def import_pyplot(caller):
    """Module `matplotlib.pyplot`, or an error that says how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f'{caller} needs matplotlib: pip install "fairbinn-sklearn[examples]".'
        ) from error
    return plt


def one_axes(ax, plt):
    """Axes given, or those of a new figure."""
    if ax is None:
        return plt.subplots(figsize=(6.4, 4.4), layout="constrained")[1]
    if not hasattr(ax, "plot"):
        raise TypeError(f"ax must be one matplotlib Axes or None, got {type(ax).__name__}.")
    return ax


def many_axes(ax, n_axes, plt, **subplots):
    """Axes given as an array, or those of a new figure."""
    if ax is None:
        return np.atleast_1d(plt.subplots(layout="constrained", **subplots)[1])
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(axes) != n_axes or not all(hasattr(one, "plot") for one in axes):
        raise ValueError(
            f"ax must be None or {n_axes} matplotlib Axes, one a panel, got {len(axes)} of "
            f"type {type(axes[0]).__name__ if len(axes) else None}."
        )
    return axes


def next_style(ax):
    """Colour and marker that the lines of the axes use least."""
    from matplotlib.colors import to_hex

    used = [to_hex(line.get_color()).upper() for line in ax.lines]
    i = min(range(len(COLORS)), key=lambda i: used.count(COLORS[i]))
    shift = COLORS[i] in used  # all colours are taken: another marker tells the two apart
    return COLORS[i], MARKERS[(i + shift) % len(MARKERS)]


def last_step(clf):
    """Estimator at the end of a pipeline, or the estimator itself."""
    return clf.steps[-1][1] if hasattr(clf, "steps") else clf
