"""Made-up data with a known unfairness, and one thread for all."""

import numpy as np
import pytest
import torch

torch.set_num_threads(1)


def make_biased(n_rows=600, groups=("a", "b"), seed=0):
    """Rows whose first column, and so the label, depends on the group: X, y, group."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(len(groups), size=n_rows)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    X[:, 0] += 2 * codes / (len(groups) - 1)
    y = (X.sum(1) + rng.normal(size=n_rows) > 1).astype(int)
    return X, y, np.asarray(groups)[codes]


@pytest.fixture(scope="session")
def biased():
    X, y, group = make_biased()
    for array in (X, y, group):
        array.flags.writeable = False
    return X, y, group
