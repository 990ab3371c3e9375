"""Made-up data that several test modules use."""

import numpy as np


def make_biased(n_rows=600, groups=("a", "b"), seed=0):
    """Rows whose first column, and so the label, depends on the group: X, y, group."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(len(groups), size=n_rows)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    X[:, 0] += 2 * codes / (len(groups) - 1)
    y = (X.sum(1) + rng.normal(size=n_rows) > 1).astype(int)
    return X, y, np.asarray(groups)[codes]
