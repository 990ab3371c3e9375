"""Which points of a trade-off no other point beats."""

import numpy as np


def dominated(differences, scores):
    """Whether another point is as good in both figures and better in one, of shape (n_points,)."""
    x, y = np.asarray(differences, float), np.asarray(scores, float)
    as_good = (x <= x[:, None]) & (y >= y[:, None])  # [i, j]: j is as good as i in both
    better = (x < x[:, None]) | (y > y[:, None])
    return (as_good & better).any(axis=1)
