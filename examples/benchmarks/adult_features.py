"""Load Adult as used by the benchmarks: official split, complete samples, encoded features.

Numeric features are scaled to [0, 1] and the others are one-hot encoded, both fitted on the
training samples. Sex is one of the features.
"""

import numpy as np
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

from fairbinn_sklearn.datasets import load_adult


def adult_features():
    """Return X, y and sex of the training samples, then of the test samples, as arrays."""
    preprocessor = make_column_transformer(
        (MinMaxScaler(), make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(drop="if_binary", handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_include="category"),
        ),
    )
    arrays = []
    for subset in ("train", "test"):
        adult = load_adult(subset=subset, dropna=True)
        encode = preprocessor.fit_transform if subset == "train" else preprocessor.transform
        arrays += [
            encode(adult.data).astype(np.float32),
            adult.target.to_numpy(),
            adult.sensitive_features["sex"].to_numpy(),
        ]
    return arrays
