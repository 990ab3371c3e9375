"""Compute the bin edges of one feature, and encode the feature with them."""

import numpy as np
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.multiclass import type_of_target


def learn_bins(feature, y, n_bins, n_tail_bins):
    """Return the bin edges and the median of a feature.

    The edges are thresholds of a decision tree if `y` is an array, and quantiles if it is None.
    """
    observed = ~np.isnan(feature)
    values, counts = np.unique(feature[observed], return_counts=True)
    if not len(values):
        return values, np.nan
    if y is None:
        edges = quantile_edges(values, counts, n_bins, n_tail_bins)
    else:
        edges = tree_edges(values, feature[observed], y[observed], n_bins)
    with np.errstate(over="ignore"):
        overflows = np.isinf(np.diff(edges)).any()
    if overflows:
        # Split the bin at 0, which lies inside it, because its width exceeds the largest float.
        edges = np.union1d(edges, 0.0)
    return edges, _quantiles(values, counts, 2)[1]


def quantile_edges(values, counts, n_bins, n_tail_bins):
    """Return the quantiles of all samples, the spikes, and the quantiles without the spikes.

    Each edge is one of the values. A spike is a value that is more frequent than
    ``1 / n_bins`` of the samples.
    """
    is_spike = counts * n_bins > counts.sum()
    edges = [_quantiles(values, counts, n_bins), values[is_spike]]
    if n_tail_bins and is_spike.any() and not is_spike.all():
        edges.append(_quantiles(values[~is_spike], counts[~is_spike], n_tail_bins))
    return np.unique(np.concatenate(edges))


def _quantiles(values, counts, n_bins):
    """Return the quantiles 0, 1 / n_bins, ..., 1 of sorted values that occur `counts` times."""
    cumulative = np.cumsum(counts)
    return values[np.searchsorted(cumulative, np.arange(n_bins + 1) * cumulative[-1] / n_bins)]


def tree_edges(values, feature, y, n_bins):
    """Return the extreme values and the thresholds of a tree with at most `n_bins` leaves.

    The tree is fitted on the ranks of the values, because it casts its input to float32, which
    cannot separate values that are close to each other.
    """
    edges = values[[0, -1]]
    if n_bins > 1:
        is_regression = type_of_target(y, input_name="y").startswith("continuous")
        tree_class = DecisionTreeRegressor if is_regression else DecisionTreeClassifier
        tree = tree_class(max_leaf_nodes=n_bins, random_state=0)
        tree = tree.fit(np.searchsorted(values, feature)[:, None], y).tree_
        ranks = np.floor(tree.threshold[tree.children_left >= 0]).astype(int)
        edges = np.append(edges, values[ranks] / 2 + values[ranks + 1] / 2)
    return np.unique(edges)


def encode(feature, edges, out):
    """Write Equation (1) of Gorishniy et al. (2022) into `out`, of shape (n_samples, n_bins).

    Bins below the bin of a value are 1, and bins above it are 0.
    """
    n_bins = len(edges) - 1
    feature = np.clip(feature, edges[0], edges[-1])
    index = np.minimum(np.searchsorted(edges, feature, side="right") - 1, n_bins - 1)
    out[:] = index[:, None] > np.arange(n_bins)
    lower, upper = edges[index], edges[index + 1]
    out[np.arange(len(out)), index] = (feature - lower) / (upper - lower)
