"""Compare encodings of Adult's numeric features for a network trained for accuracy only.

Run ``python examples/benchmarks/encoders.py``. The other features are always one-hot encoded. The
training samples are split into three folds, and each fold is held out once; the test samples are
not used. Networks are trained on the other two folds, and on 2,000 samples of them for twice the
epochs. The encodings of rtdl_num_embeddings [1]_ are skipped if that package is not installed.

.. [1] https://pypi.org/project/rtdl-num-embeddings
"""

import argparse
import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    SplineTransformer,
    StandardScaler,
)

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import load_adult
from fairbinn_sklearn.preprocessing import PiecewiseLinearEncoder, tabular_preprocessor

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "encoders.csv"
SMALL = 2_000


class RtdlEncoding(TransformerMixin, BaseEstimator):
    """Wrap the encoding of rtdl_num_embeddings as a transformer; `tree=None` means quantiles."""

    def __init__(self, n_bins=64, tree=None):
        self.n_bins = n_bins
        self.tree = tree

    def fit(self, X, y):
        """Compute the bins."""
        import rtdl_num_embeddings as rtdl

        by_tree = {} if self.tree is None else {"y": torch.tensor(y), "regression": False}
        bins = rtdl.compute_bins(
            self._tensor(X), n_bins=self.n_bins, tree_kwargs=self.tree, **by_tree
        )
        self.encoding_ = rtdl.PiecewiseLinearEncoding(bins)
        return self

    def transform(self, X):
        """Encode samples."""
        return self.encoding_(self._tensor(X)).numpy()

    @staticmethod
    def _tensor(X):
        return torch.tensor(X.to_numpy(np.float32))


def candidates():
    """Yield the name and the transformer of each encoding."""
    yield "StandardScaler", StandardScaler()
    yield "MinMaxScaler", MinMaxScaler()
    yield "SplineTransformer, 48 uniform knots", SplineTransformer(48)
    yield "SplineTransformer, 48 quantile knots", SplineTransformer(48, knots="quantile")
    yield (
        "KBinsDiscretizer, 64 quantiles",
        KBinsDiscretizer(64, encode="onehot-dense", quantile_method="averaged_inverted_cdf"),
    )
    yield "PiecewiseLinearEncoder, default", PiecewiseLinearEncoder()
    for n_bins, n_tail_bins in [(64, 0), (16, 8), (32, 16), (64, 32), (128, 64), (256, 128)]:
        name = f"PiecewiseLinearEncoder, {n_bins} + {n_tail_bins}"
        yield name, PiecewiseLinearEncoder(n_bins, n_tail_bins=n_tail_bins)
    for n_bins in (16, 32, 64):
        name = f"PiecewiseLinearEncoder, target, {n_bins}"
        yield name, PiecewiseLinearEncoder(n_bins, strategy="target")
    if importlib.util.find_spec("rtdl_num_embeddings"):
        tree = {"min_samples_leaf": 64, "min_impurity_decrease": 1e-4}
        yield "rtdl_num_embeddings, 64 quantiles", RtdlEncoding()
        yield "rtdl_num_embeddings, tree with 64 leaves", RtdlEncoding(tree=tree)


def measure(encoder, seeds):
    """Yield the metrics of an encoding, one dict per fold and seed."""
    adult = load_adult(subset="train", dropna=True)
    X, y = adult.data, adult.target.to_numpy()
    folds = StratifiedKFold(3, shuffle=True, random_state=0).split(X, y)
    for fold, (train, held_out) in enumerate(folds):
        # Shuffle before taking a subset, because the indices of a fold are sorted.
        subset = np.random.default_rng(fold).permutation(train)[:SMALL]
        records = [{"fold": fold, "seed": seed} for seed in range(seeds)]
        for index, size, epochs in ((train, "all samples", 10), (subset, f"{SMALL:,} samples", 20)):
            preprocessor = tabular_preprocessor(encoder=encoder)
            encoded = preprocessor.fit_transform(X.iloc[index], y[index]).astype(np.float32)
            encoded_held_out = preprocessor.transform(X.iloc[held_out]).astype(np.float32)
            for record in records:
                clf = FairBiNNClassifier(
                    eta=0, max_epochs=epochs, batch_size=256, random_state=record["seed"]
                )
                clf.fit(encoded, y[index])
                scores = clf.predict_proba(encoded_held_out)
                record[f"features, {size}"] = encoded.shape[1]
                record[f"accuracy, {size}"] = accuracy_score(y[held_out], scores.argmax(axis=1))
                record[f"log loss, {size}"] = log_loss(y[held_out], scores)
        yield from records


def main():
    """Print and save one row per encoding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--summary", default=RESULTS, help="CSV file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    # KBinsDiscretizer merges bins without width, which tied values cause; this is intended here.
    warnings.filterwarnings("ignore", message="Bins whose width are too small")
    rows = []
    for name, encoder in candidates():
        table = pd.DataFrame(measure(encoder, args.seeds)).drop(columns=["fold", "seed"])
        mean, std = table.mean(), table.std()
        row = {
            column: f"{mean[column]:.0f}"
            if column.startswith("features")
            else f"{mean[column]:.4f} ± {std[column]:.4f}"
            for column in table
        }
        rows.append({"encoding": name, **row})
        print(*rows[-1].values(), sep=", ", flush=True)
        pd.DataFrame(rows).to_csv(args.summary, index=False)


if __name__ == "__main__":
    main()
