"""Heritage Health as all benchmarks here see it: columns and split of FairBiNN's code, scaled.

The columns are those of the code released with the paper: 121 numeric ones, then age (0 to 8) and
sex (0 or 1) as one number each. Two more there, ``age_MISS`` and ``sexMISS``, are 0 in every row.
That code scales nothing; here each column has mean 0 and variance 1 on the training rows. The data
do not come with the package: PATH is a file of yours, see `fairbinn_sklearn.datasets.load_health`.
"""

import numpy as np
from sklearn.preprocessing import StandardScaler

from fairbinn_sklearn.datasets import load_health


def health_features(path):
    """Return X, y and age of the training rows, then of the test rows, as arrays."""
    health = load_health(path, sensitive_features="age", as_frame=False)
    scaler = StandardScaler().fit(health.data[health.split == "train"])
    arrays = []
    for subset in ("train", "test"):
        rows = health.split == subset
        arrays += [
            scaler.transform(health.data[rows]).astype(np.float32),
            health.target[rows],
            health.sensitive_features[rows, 0],
        ]
    return arrays
