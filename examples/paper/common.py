"""What the scripts of this folder share: data, the settings of the paper, runs and tables.

The settings are those of Yazdani-Jahromi et al. (2024), https://arxiv.org/abs/2410.16432, and of
the code released with it, as far as they are told there; the widths of layers are not.
"""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from adult_features import adult_features  # noqa: E402
from health_features import health_features  # noqa: E402

from fairbinn_sklearn import FairBiNNClassifier, fairness_path  # noqa: E402
from fairbinn_sklearn.inspection import ParetoFrontDisplay  # noqa: E402
from fairbinn_sklearn.losses import DemographicParity  # noqa: E402

RESULTS = Path(__file__).parents[2] / "docs/results"

# Figures of the paper: two layers before the fairness layer, batches of 100, two Adams, the largest
# difference of mean scores between two groups, nothing that the package adds.
PAPER = {
    "constraint": DemographicParity(aggregation="max"),
    "equalize": "scores",
    "hidden_layer_sizes": (128, 128),
    "optimizer": "adam",
    "lr": 1e-3,
    "weight_decay": 0.0,
    "fairness_optimizer": "adam",
    "fairness_lr": 1e-5,
    "fairness_max_step": 1e6,
    "lr_schedule": "constant",
    "batch_size": 100,
}


def first_group_against_all(scores, y, groups):
    """Loss of the released code: scores squashed again, and the first group against all rows.

    Up to a factor: that code's eta of 1,000 weighs about as much as 4 times the squared gap.
    """
    twice = torch.sigmoid(scores)
    first = groups[:, 0]
    own = (first * twice).sum() / first.sum().clamp(min=1)
    return torch.where(first.sum() > 0, (own - twice.mean()).square(), 0 * own)


# The updates of the released code: the leader steps along the gradients of both losses.
RELEASED = {**PAPER, "method": "bilevel", "constraint": first_group_against_all}

# What the package does unless told otherwise, on batches and epochs of the paper.
OURS = {"constraint": DemographicParity(aggregation="max"), "equalize": "scores", "batch_size": 100}


def arguments(description):
    """Command line that all scripts have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", choices=["adult", "health"], default="adult")
    parser.add_argument("--file", help="Heritage Health table, for --data health")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--rows", type=int, help="take so many training rows only, to try it out")
    given = parser.parse_args()
    if given.data == "health" and given.file is None:
        parser.error("--data health needs --file")
    return given


def load(given):
    """Training rows and test rows: X, y and groups."""
    arrays = adult_features() if given.data == "adult" else health_features(given.file)
    return [one[: given.rows] for one in arrays[:3]], arrays[3:]


def measure(model, X, y, group):
    """Accuracy, and the largest difference between groups of decisions and of mean scores."""
    figures = {"accuracy": model.score(X, y)}
    for name, values in (("hard", model.predict(X)), ("soft", model.predict_proba(X)[:, 1])):
        figures[name] = np.ptp(pd.Series(values).groupby(group).mean())
    return figures


def sweep(label, settings, etas, given, data):
    """Figures on the test rows for each eta and seed."""
    train, test = data
    settings = {"max_epochs": given.epochs, "device": "cpu", **settings}
    path = fairness_path(
        *train, etas=etas, seeds=range(given.seeds), estimator=FairBiNNClassifier(**settings)
    )
    print(f"{label}: {len(path)} nets", flush=True)
    rows = [
        {"setting": label, "eta": one.eta, "seed": one.random_state, **measure(one, *test)}
        for one in path
    ]
    return pd.DataFrame(rows)


def finish(name, given, table, by=("setting", "eta")):
    """Print mean and deviation over the seeds; save the table unless it is a trial."""
    grouped = table.drop(columns="seed").groupby(list(by), sort=False)
    summary = grouped.agg(["mean", lambda one: one.std(ddof=0)]).round(4)
    summary.columns = [
        f"{figure} {what}" for figure in dict(summary.columns) for what in ("mean", "std")
    ]
    print(summary.to_string())
    if given.rows is None:
        told = {
            figure: [
                f"{mean:.4f} ± {std:.4f}" if given.seeds > 1 else f"{mean:.4f}"
                for mean, std in summary[[f"{figure} mean", f"{figure} std"]].to_numpy()
            ]
            for figure in dict(grouped.first())
        }
        file = RESULTS / f"paper_{name}_{given.data}.csv"
        pd.DataFrame(told, index=summary.index).reset_index().to_csv(file, index=False)
    return summary


def draw(name, given, summary):
    """Picture of the trade-off: accuracy against the difference of mean scores, by setting."""
    _, ax = plt.subplots(figsize=(8, 5), layout="constrained")
    for setting, rows in summary.groupby(level="setting", sort=False):
        ParetoFrontDisplay(
            rows["soft mean"],
            rows["accuracy mean"],
            difference_std=rows["soft std"],
            score_std=rows["accuracy std"],
            label=setting,
        ).plot(ax)
    ax.set(xlabel="Difference of mean scores", ylabel="Accuracy", title=f"{given.data}, test rows")
    if given.rows is None:
        ax.figure.savefig(RESULTS / f"paper_{name}_{given.data}.png", dpi=110)
