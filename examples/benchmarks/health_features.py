"""Load Heritage Health as used by the benchmarks: features and split of the paper's code, scaled.

The features are those of the code released with the paper: 121 numeric features, then age (0 to 8)
and sex (0 or 1) as one number each. The released code has two more, ``age_MISS`` and ``sexMISS``,
which are always 0. It does not scale features; here each feature has mean 0 and variance 1 on the
training samples. The data are not part of the package: PATH is your copy, see
`fairbinn_sklearn.datasets.load_health`.
"""

import numpy as np
from sklearn.preprocessing import StandardScaler

from fairbinn_sklearn.datasets import load_health


def health_features(path):
    """Return X, y and age of the training samples, then of the test samples, as arrays."""
    health = load_health(path, sensitive_features="age", as_frame=False)
    scaler = StandardScaler().fit(health.data[health.split == "train"])
    arrays = []
    for subset in ("train", "test"):
        mask = health.split == subset
        arrays += [
            scaler.transform(health.data[mask]).astype(np.float32),
            health.target[mask],
            health.sensitive_features[mask, 0],
        ]
    return arrays
