"""Bins of one column: where their edges go, and the encoding by them."""

import numpy as np
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.multiclass import type_of_target


def learn(column, y, n_bins, n_tail_bins):
    """Edges and median of a column; edges by a tree if there is y, else by quantiles."""
    known = ~np.isnan(column)
    values, counts = np.unique(column[known], return_counts=True)
    if not len(values):
        return values, np.nan
    if y is None:
        edges = quantile_edges(values, counts, n_bins, n_tail_bins)
    else:
        edges = tree_edges(values, column[known], y[known], n_bins)
    with np.errstate(over="ignore"):
        too_wide = np.isinf(np.diff(edges)).any()
    # A bin that no float is as wide as is cut at 0, which lies within it.
    return np.union1d(edges, 0.0) if too_wide else edges, _quantiles(values, counts, 2)[1]


def quantile_edges(values, counts, n_bins, n_tail_bins):
    """Quantiles of all rows, spikes, and quantiles of the rows away from the spikes.

    Each edge is a value that occurs. A spike is a value that fills more than a bin by itself.
    """
    spikes = counts * n_bins > counts.sum()
    edges = [_quantiles(values, counts, n_bins), values[spikes]]
    if n_tail_bins and spikes.any() and not spikes.all():
        edges.append(_quantiles(values[~spikes], counts[~spikes], n_tail_bins))
    return np.unique(np.concatenate(edges))


def _quantiles(values, counts, n_bins):
    """Least of the sorted values at or below which shares 0, 1 / n_bins, ..., 1 of the rows lie."""
    reached = np.cumsum(counts)
    return values[np.searchsorted(reached, np.arange(n_bins + 1) * reached[-1] / n_bins)]


def tree_edges(values, column, y, n_bins):
    """Thresholds of a decision tree with `n_bins` leaves at most, between the extreme values.

    The tree splits the ranks of the values, which may be too close for its float32.
    """
    edges = values[[0, -1]]
    if n_bins > 1:
        numbers = type_of_target(y, input_name="y").startswith("continuous")
        grow = DecisionTreeRegressor if numbers else DecisionTreeClassifier
        tree = grow(max_leaf_nodes=n_bins, random_state=0)
        tree = tree.fit(np.searchsorted(values, column)[:, None], y).tree_
        below = np.floor(tree.threshold[tree.children_left >= 0]).astype(int)
        edges = np.append(edges, values[below] / 2 + values[below + 1] / 2)
    return np.unique(edges)


def encode(column, edges, out):
    """Write Equation (1) of Gorishniy et al. (2022) to `out`, of shape (n_rows, n_bins).

    Bins below that of a value are 1, those above it 0.
    """
    n_bins = len(edges) - 1
    column = np.clip(column, edges[0], edges[-1])
    own = np.minimum(np.searchsorted(edges, column, side="right") - 1, n_bins - 1)
    out[:] = own[:, None] > np.arange(n_bins)
    lower, upper = edges[own], edges[own + 1]
    out[np.arange(len(out)), own] = (column - lower) / (upper - lower)
