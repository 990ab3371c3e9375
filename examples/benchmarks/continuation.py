"""
Compare the networks of a path, each continued from the one before, with separate fits.

    python examples/benchmarks/continuation.py --data adult german health --file HHP_release3.csv

Each seed holds out a different fifth of the training samples. The test samples are not used. The
defaults of `epochs_per_point` and of the learning rates were chosen with this script. It reports,
for each data set,

- the difference at each eta or target on the training samples, by continuation and by `fit`, and
  for how many seeds both agree within a quarter of the difference or within 0.005;
- on the held-out samples, the hypervolume of the trade-off times 1,000, and the highest mean
  accuracy among the points whose mean difference is within a bound.
"""

import argparse
import os
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from adult_features import adult_features
from health_features import health_features
from sklearn.model_selection import train_test_split
from tables import load_table

from fairbinn_sklearn import FairBiNNClassifier, fairness_path
from fairbinn_sklearn.preprocessing import tabular_preprocessor

RESULTS = Path(__file__).parents[2] / "docs/results"
ETAS = (0, 0.3, 1, 3, 10, 30, 100)
TARGETS = (0.1, 0.05, 0.02, 0.01)
BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2)
REFERENCE = {"adult": (0.2, 0.75), "german": (0.2, 0.65), "health": (0.65, 0.65)}
DIFFERENCE = "demographic_parity_difference"


def folds(data, seed, n_samples=None, file=None):
    """Return features, labels and groups of training and held-out samples."""
    if data == "german":
        X, y, group = load_table(data)[0]
    else:
        X, y, group = adult_features()[:3] if data == "adult" else health_features(file)[:3]
    parts = train_test_split(np.arange(len(y)), test_size=0.2, stratify=y, random_state=seed)
    parts[0] = parts[0][:n_samples]
    if data != "german":
        return [(X[part], y[part], group[part]) for part in parts]
    preprocessor = tabular_preprocessor().fit(X.iloc[parts[0]])
    return [(preprocessor.transform(X.iloc[p]), y[p], group[p]) for p in parts]


def records(data, seed, samples, ways, by, values):
    """Yield a record for each way to train and each point."""
    training, held_out = folds(data, seed, **samples)
    n_samples = samples["n_samples"]
    estimator = FairBiNNClassifier(device="cpu", random_state=seed)
    for way, options in ways.items():
        path = fairness_path(*training, **{by: values}, estimator=estimator, **options)
        evaluated = path.evaluate(*held_out[:2], sensitive_features=held_out[2]).to_frame()
        for k, value in enumerate(values):
            yield {
                "data": data if n_samples is None else f"{data}, {n_samples:,} samples",
                "by": by,
                "value": value,
                "seed": seed,
                "way": way,
                "training": path.figures[DIFFERENCE][k],
                "held out": evaluated[DIFFERENCE][k],
                "accuracy": evaluated["accuracy"][k],
            }


def effects(table):
    """Return mean differences by point and way, and how many seeds agree with `fit`."""
    wide = table.pivot_table(
        index=["data", "by", "value", "seed"], columns="way", values="training"
    )
    scratch = wide.pop("fit")
    agree = wide.sub(scratch, axis=0).abs().le(np.maximum(scratch / 4, 0.005), axis=0)
    keys = ["data", "by", "value"]
    means = wide.assign(fit=scratch).groupby(level=keys).mean()
    return means.join(agree.groupby(level=keys).sum(), rsuffix=": seeds that agree")


def trade_offs(table):
    """Return hypervolume, and accuracy within bounds, on the held-out samples."""
    from moocore import hypervolume

    for (data, by, way), part in table.groupby(["data", "by", "way"], sort=False):
        reference = REFERENCE[data.split(",")[0]]
        corner = [reference[0], -reference[1]]
        areas = [
            1000
            * hypervolume(np.column_stack([points["held out"], -points["accuracy"]]), ref=corner)
            for _, points in part.groupby("seed")
        ]
        means = part.groupby("value")[["held out", "accuracy"]].mean()
        within = {
            f"accuracy within {bound:g}": means[means["held out"] <= bound]["accuracy"].max()
            for bound in BOUNDS
        }
        area = {"hypervolume": np.mean(areas), "std": np.std(areas)}
        yield {"data": data, "by": by, "way": way, **area, **within}


def main():
    """Train, print and save the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--data", nargs="+", choices=REFERENCE, default=["adult", "german"])
    parser.add_argument("--file", help="Heritage Health table, for --data health")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    parser.add_argument("--n-samples", type=int, help="train on the first samples only")
    parser.add_argument("--epochs-per-point", type=int, nargs="+", default=[])
    parser.add_argument("--by", nargs="+", default=["etas", "targets"])
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    if "health" in args.data and args.file is None:
        parser.error("--data health needs --file")
    samples = {"n_samples": args.n_samples, "file": args.file}
    warnings.simplefilter("ignore")
    ways = {"continued": {"warm_start": True}, "fit": {"warm_start": False}}
    for epochs in args.epochs_per_point:
        ways[f"continued, {epochs} epochs"] = {"epochs_per_point": epochs}
    values = {"etas": ETAS, "targets": TARGETS}
    rows = []
    for data in args.data:
        for seed in args.seeds:
            for by in args.by:
                rows += records(data, seed, samples, ways, by, values[by])
                print(f"{data}, seed {seed}, {by}", flush=True)
    table = pd.DataFrame(rows)
    tables = {"effects": effects(table), "trade_offs": pd.DataFrame(trade_offs(table))}
    for name, summary in tables.items():
        print(summary.round(4).to_string())
        if args.save:
            summary.round(4).to_csv(RESULTS / f"continuation_{name}.csv", index=name == "effects")


if __name__ == "__main__":
    main()
