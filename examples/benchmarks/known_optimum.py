"""
Measure the distance of methods to the exact optimum, where all probabilities are known.

    python examples/benchmarks/known_optimum.py

The features are those of Adult and of German credit without the sensitive feature, with their
training and test samples. P(y=1|x) and P(g|x) are fitted on all samples: the means of gradient
boosting and logistic regression, both calibrated. For each seed, labels and groups of the training
samples are drawn anew from these probabilities, and each method is fitted. Its accuracy and its
demographic parity difference are the expected values on the test features, so they have no sampling
error. The optimum at each difference is a linear program with the known probabilities.

"german, 20,000" draws 20,000 training samples from the features of German credit, with replacement.
Results are appended to a CSV file, so an interrupted run can be resumed. ``--report`` makes table
and figure from the existing results. Settings are those of frontier.py.
"""

import argparse
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.append(str(Path(__file__).parents[1]))

import numpy as np
import pandas as pd
import torch
from closed_form import solve
from frontier import (
    METHODS,
    PLANS,
    RESULTS,
    encoded_features,
    gradient_boosting,
    interpolate,
    load,
    logistic_regression,
    with_std,
)
from sklearn.calibration import CalibratedClassifierCV

BOUNDS = (0.01, 0.02, 0.05, 0.10)
COMPARED = ("boosted", "bilevel", "closed_hgb", "closed_lr", "reduction_hgb")
# Name of a table: data set, number of training samples.
TABLES = {
    "adult": ("adult", None),
    "german": ("german", None),
    "german, 20,000": ("german", 20_000),
}


def known_probabilities(data):
    """Return P(y=1|x) and P(g|x) of the training and test samples, and their features."""
    parts = load(data, None, blind=True)
    X = pd.concat([part[0] for part in parts])
    y, group = (np.concatenate([part[k] for part in parts]) for k in (1, 2))
    encoded, _ = encoded_features(X, y, group, PLANS[data])
    models = ((gradient_boosting(0), X), (logistic_regression(0), encoded))
    label, groups = (
        np.mean(
            [
                CalibratedClassifierCV(model).fit(features, target).predict_proba(features)
                for model, features in models
            ],
            axis=0,
        )
        for target in (y, group)
    )
    n_train = len(parts[0][1])
    train, test = slice(None, n_train), slice(n_train, None)
    return [(X.iloc[part], label[part, 1], groups[part]) for part in (train, test)]


def draw(X, label, groups, n_samples, rng):
    """Return samples with labels and groups drawn from their probabilities."""
    if n_samples:
        rows = rng.integers(len(X), size=n_samples)
        X, label, groups = X.iloc[rows], label[rows], groups[rows]
    y = (rng.random(len(X)) < label).astype(int)
    codes = (groups.cumsum(axis=1) < rng.random((len(X), 1))).sum(axis=1)
    return X.reset_index(drop=True), y, np.array([f"group {code}" for code in codes])


def expected(decisions, label, groups):
    """Return the expected accuracy and the expected difference of decisions in [0, 1]."""
    rates = decisions @ groups / groups.sum(axis=0)
    accuracy = np.mean(decisions * label + (1 - decisions) * (1 - label))
    return {"accuracy": accuracy, "hard": np.ptp(rates)}


def optimum(label, groups, bounds):
    """Return the highest expected accuracy under each bound on the difference."""
    gain, weights = 2 * label - 1, (groups / groups.mean(axis=0))[:, None]
    best = []
    for bound in bounds:
        multipliers = solve(gain, weights, bound)
        reduced = gain - np.einsum("ieg,eg->i", weights, multipliers)
        dual = np.maximum(reduced, 0).mean() + bound * np.maximum(multipliers, 0).sum()
        best.append(np.mean(1 - label) + dual)
    return np.array(best)


def run(name, method, seed, train, test):
    """Yield the rows of the table for one data set, method and seed."""
    data, n_samples = TABLES[name]
    plan = {**PLANS[data], "blind": True, "criterion": "demographic_parity"}
    X, y, group = draw(*train, n_samples, np.random.default_rng(seed))
    for setting, _, predict in METHODS[method][1](X, y, group, seed, plan):
        predictions = predict(test[0], None)
        if isinstance(predictions, tuple):
            decisions = predictions[0]  # the probability of a random prediction
        else:
            decisions = (predictions > 0.5).astype(float)
        yield {
            **{"data": name, "method": method, "seed": seed, "setting": setting},
            **expected(decisions, *test[1:]),
        }


def report(table, best):
    """Print and save the distances to the optimum; draw them."""
    import matplotlib.pyplot as plt

    rows = []
    for (name, method), runs in table.groupby(["data", "method"], sort=False):
        distances = np.array(
            [best[name] - interpolate(points, BOUNDS) for _, points in runs.groupby("seed")]
        )
        pairs = zip(BOUNDS, distances.mean(axis=0), distances.std(axis=0), strict=True)
        row = {f"at {bound}": with_std(mean, std) for bound, mean, std in pairs}
        rows.append({"data": name, "method": METHODS[method][0], **row, "seeds": len(distances)})
    for name, values in best.items():
        row = {f"at {bound}": f"{v:.4f}" for bound, v in zip(BOUNDS, values, strict=True)}
        rows.append({"data": name, "method": "accuracy of the optimum", **row, "seeds": ""})
    frame = pd.DataFrame(rows).sort_values("data", kind="stable")
    print(frame.to_string(index=False))
    frame.to_csv(RESULTS / "known_optimum.csv", index=False)

    fig, axes = plt.subplots(1, len(best), figsize=(4.5 * len(best), 4), layout="constrained")
    grid = np.linspace(0.005, 0.12, 47)
    for ax, (name, fine) in zip(np.atleast_1d(axes), best_on(grid, best).items(), strict=True):
        for method, runs in table[table["data"] == name].groupby("method", sort=False):
            curves = [fine - interpolate(points, grid) for _, points in runs.groupby("seed")]
            ax.plot(grid, np.mean(curves, axis=0), label=METHODS[method][0])
        ax.set(xlabel="demographic parity difference", title=f"{name}, blind", ylim=(0, None))
    np.atleast_1d(axes)[0].set_ylabel("optimal accuracy - accuracy")
    np.atleast_1d(axes)[0].legend()
    fig.savefig(RESULTS / "known_optimum.png", dpi=110)


def best_on(grid, names):
    """Return the optimum on a grid of differences by name of the table."""
    return {name: optimum(*known_probabilities(TABLES[name][0])[1][1:], grid) for name in names}


def main():
    """Run the missing methods and seeds, then report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--data", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(COMPARED))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--report", action="store_true", help="only report the existing results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    file = RESULTS / "known_optimum_runs.csv"
    if not args.report:
        done = set()
        if file.exists():
            done = set(pd.read_csv(file)[["data", "method", "seed"]].itertuples(index=False))
        for name in args.data:
            parts = known_probabilities(TABLES[name][0])
            for seed in range(args.seeds):
                for method in args.methods:
                    if (name, method, seed) not in done:
                        rows = pd.DataFrame(run(name, method, seed, *parts)).round(5)
                        rows.to_csv(file, mode="a", header=not file.exists(), index=False)
                        print(f"{name}: {method}, seed {seed}", flush=True)
    report(pd.read_csv(file), best_on(BOUNDS, pd.read_csv(file)["data"].unique()))


if __name__ == "__main__":
    main()
