"""
Measure the distance of methods to the exact optimum, where all probabilities are known.

    python examples/benchmarks/known_optimum.py

The features are those of Adult and of German credit without the sensitive feature, with their
training and test samples. P(y=1|x) and P(g|x) are fitted on all samples: the means of gradient
boosting and logistic regression, both calibrated. For each seed, labels and groups of the training
samples are drawn anew from these probabilities, and each method is fitted. Its accuracy and its
demographic parity difference are the expected values on the test features, so they have no sampling
error. The optimum at each difference is a linear program with the known probabilities.

Results are appended to a CSV file, so an interrupted run can be resumed. ``--report`` makes table
and figure from the existing results. Settings are those of frontier.py.
"""

import argparse
import itertools
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
    logistic_regression,
    with_std,
)
from sklearn.calibration import CalibratedClassifierCV
from tables import load_table

DATA = ("adult", "german")
BOUNDS = (0.01, 0.02, 0.05, 0.10)
COMPARED = ("boosted", "bilevel", "closed_hgb", "closed_lr", "reduction_hgb")


def known_probabilities(data):
    """Return P(y=1|x) and P(g|x) of the training and test samples, and their features."""
    parts = load_table(data, blind=True)
    X = pd.concat([part[0] for part in parts])
    y, group = (np.concatenate([part[k] for part in parts]) for k in (1, 2))
    encoded, _ = encoded_features(X, y, group)
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


def draw(X, label, groups, rng):
    """Return samples with labels and groups drawn from their probabilities."""
    y = (rng.random(len(X)) < label).astype(int)
    codes = (groups.cumsum(axis=1) < rng.random((len(X), 1))).sum(axis=1)
    return X, y, np.array([f"group {code}" for code in codes])


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


def run(data, method, seed, train, test):
    """Yield the rows of the table for one data set, method and seed."""
    plan = {**PLANS[data], "blind": True, "criterion": "demographic_parity"}
    X, y, group = draw(*train, np.random.default_rng(seed))
    for setting, _, predict in METHODS[method][1](X, y, group, seed, plan):
        predictions = predict(test[0], None)
        if isinstance(predictions, tuple):
            decisions = predictions[0]  # the probability of a random prediction
        else:
            decisions = (predictions > 0.5).astype(float)
        yield {
            **{"data": data, "method": method, "seed": seed, "setting": setting},
            **expected(decisions, *test[1:]),
        }


def distances(runs, differences, best):
    """Return the distances to the optimum by seed and difference.

    Accuracies are interpolated between neighbouring settings. Beyond the largest difference of a
    method, its accuracy there counts.
    """
    rows = []
    for _, points in runs.groupby("seed"):
        points = points.sort_values("hard")
        rows.append(best - np.interp(differences, points["hard"], points["accuracy"], left=np.nan))
    return np.array(rows)


def report(table, known):
    """Print and save the distances to the optimum; draw them."""
    import matplotlib.pyplot as plt

    rows, grid = [], np.linspace(0.005, 0.12, 47)
    figure, axes = plt.subplots(
        *(1, len(known)), figsize=(5 * len(known), 4), layout="constrained", squeeze=False
    )
    lines = {}
    for ax, (data, (_, test)) in zip(axes[0], known.items(), strict=True):
        best, fine = (optimum(*test[1:], differences) for differences in (BOUNDS, grid))
        for method, runs in table[table["data"] == data].groupby("method", sort=False):
            by_seed = distances(runs, BOUNDS, best)
            pairs = zip(BOUNDS, by_seed.mean(axis=0), by_seed.std(axis=0), strict=True)
            row = {f"at {bound}": with_std(mean, std) for bound, mean, std in pairs}
            rows.append({"data": data, "method": METHODS[method][0], **row, "seeds": len(by_seed)})
            curve = distances(runs, grid, fine).mean(axis=0)
            color = f"C{list(METHODS).index(method) % 10}"
            (lines[METHODS[method][0]],) = ax.plot(grid, curve, color=color)
        row = {f"at {bound}": f"{value:.4f}" for bound, value in zip(BOUNDS, best, strict=True)}
        rows.append({"data": data, "method": "accuracy of the optimum", **row, "seeds": ""})
        ax.set(xlabel="demographic parity difference", title=f"{data.capitalize()}, blind")
        ax.set_ylim(bottom=0)
    axes[0, 0].set_ylabel("accuracy below the optimum")
    figure.legend(lines.values(), lines, loc="outside lower center", ncols=3)
    frame = pd.DataFrame(rows)
    print(frame.to_string(index=False))
    frame.to_csv(RESULTS / "known_optimum.csv", index=False)
    plt.savefig(RESULTS / "known_optimum.png", dpi=110)


def main():
    """Run the missing methods and seeds, then report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(COMPARED))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--report", action="store_true", help="only report the existing results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    file = RESULTS / "known_optimum_runs.csv"
    done = set()
    if file.exists():
        done = set(pd.read_csv(file)[["data", "method", "seed"]].itertuples(index=False, name=None))
    names = {*args.data, *(data for data, _, _ in done)}  # report saved data sets, too
    known = {data: known_probabilities(data) for data in DATA if data in names}
    todo = itertools.product(args.data, range(args.seeds), args.methods)
    for data, seed, method in () if args.report else todo:
        if (data, method, seed) not in done:
            rows = pd.DataFrame(run(data, method, seed, *known[data])).round(5)
            rows.to_csv(file, mode="a", header=not file.exists(), index=False)
            print(f"{data}: {method}, seed {seed}", flush=True)
    report(pd.read_csv(file), known)


if __name__ == "__main__":
    main()
