"""Axes, colours and texts that all displays use."""

import numpy as np

# Colours that colour-blind readers can distinguish: Okabe and Ito (2008), without black (text and
# bounds) and yellow (too pale for lines); then wine and indigo of Tol (2021), and grey.
COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"),
    *("#882255", "#332288", "#808080"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*")


def import_pyplot(caller):
    """Return the module `matplotlib.pyplot`, or raise an error that says how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f'{caller} needs matplotlib: pip install "fairbinn-sklearn[examples]".'
        ) from error
    return plt


def get_axes(ax, plt):
    """Return `ax`, or the axes of a new figure."""
    if ax is None:
        return plt.subplots(figsize=(6.4, 4.4), layout="constrained")[1]
    if not hasattr(ax, "plot"):
        raise TypeError(f"ax must be a matplotlib Axes or None, got {type(ax).__name__}.")
    return ax


def get_axes_array(ax, n_axes, plt, **subplots):
    """Return `ax` as an array of axes, or the axes of a new figure."""
    if ax is None:
        axes = plt.subplots(ncols=n_axes, layout="constrained", squeeze=False, **subplots)[1]
        return axes.ravel()
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(axes) != n_axes or not all(hasattr(axis, "plot") for axis in axes):
        raise ValueError(
            f"ax must be None or an array of {n_axes} matplotlib Axes, one for each panel, got "
            f"{len(axes)} of type {type(axes[0]).__name__ if len(axes) else None}."
        )
    return axes


def next_style(ax):
    """Return the colour and the marker that the lines of the axes use least."""
    from matplotlib.colors import to_hex

    used = [to_hex(line.get_color()).upper() for line in ax.lines]
    i = min(range(len(COLORS)), key=lambda i: used.count(COLORS[i]))
    shift = COLORS[i] in used  # all colours are used: another marker makes the difference
    return COLORS[i], MARKERS[(i + shift) % len(MARKERS)]


def plain_text(value):
    """Return a value as text that matplotlib does not read as mathematics."""
    return str(value).replace("$", r"\$")


def as_words(name):
    """Return the name of a metric as words."""
    return name[:1].upper() + name[1:].replace("_", " ")
