"""Edges of the bins of one column, from its distinct values and how many rows have each."""

import numpy as np
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor


def quantile_edges(values, counts, n_bins, n_tail_bins, min_samples_bin):
    """Quantiles of all rows, and of the rows away from spikes; each is a value that occurs.

    A spike is a value with more than 1 / n_bins of the rows: one that fills a bin by itself.
    """
    spikes = counts * n_bins > counts.sum()
    edges = [_quantiles(values, counts, n_bins, min_samples_bin), values[spikes]]
    if n_tail_bins and spikes.any() and not spikes.all():
        edges.append(_quantiles(values[~spikes], counts[~spikes], n_tail_bins, min_samples_bin))
    return np.unique(np.concatenate(edges))


def _quantiles(values, counts, n_bins, min_samples_bin):
    """Least values at or below which 0, 1 / n_bins, ..., 1 of the rows lie."""
    reached = np.cumsum(counts)
    n_bins = max(1, min(n_bins, reached[-1] // min_samples_bin))
    return values[np.searchsorted(reached, np.arange(n_bins + 1) * reached[-1] / n_bins)]


def tree_edges(values, ranks, y, classify, n_bins, min_samples_bin):
    """Thresholds of a decision tree with `n_bins` leaves at most, between the extreme values.

    The tree splits ranks, as the values themselves may be too close for its float32.
    """
    grow = DecisionTreeClassifier if classify else DecisionTreeRegressor
    tree = grow(max_leaf_nodes=max(2, n_bins), min_samples_leaf=min_samples_bin, random_state=0)
    tree = tree.fit(ranks[:, None], y).tree_
    below = np.floor(tree.threshold[tree.children_left >= 0]).astype(int)
    middles = values[below] + (values[below + 1] - values[below]) / 2
    return np.unique(np.concatenate([values[[0, -1]], middles]))
