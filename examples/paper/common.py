"""Shared code of the scripts in this folder: data, settings of the paper, runs and tables.

The settings are those of Yazdani-Jahromi et al. (2024), https://arxiv.org/abs/2410.16432, and of
the released code, as far as they are reported. The widths of the layers are not reported.
"""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from adult_features import adult_features  # noqa: E402
from health_features import health_features  # noqa: E402

from fairbinn_sklearn import FairBiNNClassifier, fairness_path  # noqa: E402
from fairbinn_sklearn.inspection import ParetoFrontDisplay  # noqa: E402
from fairbinn_sklearn.losses import DemographicParity  # noqa: E402

RESULTS = Path(__file__).parents[2] / "docs/results"

# Settings of the paper: two layers before the fairness layer, batches of 100, Adam for both
# players, the largest difference of mean scores between two groups, no additions of this
# package except the scale of the features in the first layer.
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
    "max_epochs": 50,
}


def first_group_against_all(scores, y, groups):
    """Return the loss of the released code up to a factor: first group against all samples.

    The sigmoid is applied a second time, as in the released code. An eta of 1,000 there corresponds
    to about 4 times the squared gap.
    """
    scores = torch.sigmoid(scores)
    first = groups[:, 0]
    rate = (first * scores).sum() / first.sum().clamp(min=1)
    return torch.where(first.sum() > 0, (rate - scores.mean()).square(), 0 * rate)


# In the updates of the released code, the leader steps along the gradients of both losses.
RELEASED = {**PAPER, "method": "bilevel", "constraint": first_group_against_all}

# Defaults of the package, batch size and number of epochs included, with the paper's criterion.
OURS = {"constraint": DemographicParity(aggregation="max"), "equalize": "scores"}


def parse_args(description, variants=()):
    """Parse the command line that all scripts share. `variants` are the names of the settings."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", choices=["adult", "health"], default="adult")
    parser.add_argument("--file", help="Heritage Health table, for --data health")
    parser.add_argument("--seeds", type=int, default=3)
    if variants:
        parser.add_argument(
            "--settings",
            nargs="+",
            choices=list(variants),
            default=list(variants),
            help="run these rows only; saved rows of the others stay",
        )
    parser.add_argument("--epochs", type=int, help="number of epochs, instead of each setting's")
    parser.add_argument("--samples", type=int, help="number of training samples, for a trial run")
    args = parser.parse_args()
    if args.data == "health" and args.file is None:
        parser.error("--data health needs --file")
    args.variants = list(variants)
    return args


def load(args):
    """Return X, y and groups of the training samples, then of the test samples."""
    arrays = adult_features() if args.data == "adult" else health_features(args.file)
    return [values[: args.samples] for values in arrays[:3]], arrays[3:]


def measure(model, X, y, group):
    """Return accuracy and the largest differences of decisions and of mean scores."""
    metrics = {"accuracy": model.score(X, y)}
    for name, values in (("hard", model.predict(X)), ("soft", model.predict_proba(X)[:, 1])):
        metrics[name] = np.ptp(pd.Series(values).groupby(group).mean())
    return metrics


def fit_path(settings, etas, args, train):
    """Return a network for each eta and seed, all trained from initial weights as in the paper."""
    if args.epochs is not None:
        settings = {**settings, "max_epochs": args.epochs}
    estimator = FairBiNNClassifier(device="cpu", **settings)
    seeds = range(args.seeds)
    return fairness_path(*train, etas=etas, seeds=seeds, estimator=estimator, warm_start=False)


def sweep(variants, args, data):
    """Return the metrics on the test samples for each variant, eta and seed.

    `variants` maps the name of each variant to its settings and its values of eta.
    """
    train, test = data
    rows = []
    for label, (settings, etas) in variants.items():
        if label in args.settings:
            path = fit_path(settings, etas, args, train)
            print(f"{label}: {len(path)} networks", flush=True)
            rows += [
                {"setting": label, "eta": clf.eta, "seed": clf.random_state, **measure(clf, *test)}
                for clf in path
            ]
    return pd.DataFrame(rows)


def finish(name, args, table, by=("setting", "eta")):
    """Print mean and standard deviation over the seeds; save the table except in a trial run.

    Rows of other settings that are in the file stay there, in the order of the settings.
    """
    grouped = table.drop(columns="seed").groupby(list(by), sort=False)
    summary = grouped.agg(["mean", lambda values: values.std(ddof=0)]).round(4)
    metrics = list(summary.columns.unique(level=0))
    texts = {
        metric.replace("_", " "): [
            f"{mean:.4f} ± {std:.4f}" for mean, std in summary[metric].to_numpy()
        ]
        for metric in metrics
    }
    seeds = table.groupby(list(by), sort=False)["seed"].nunique()
    texts = pd.DataFrame(texts, index=summary.index).assign(seeds=seeds).reset_index()
    file = RESULTS / f"paper_{name}_{args.data}.csv"
    if args.samples is None and file.exists():
        saved = pd.read_csv(file)
        others = [setting for setting in args.variants if setting not in args.settings]
        texts = pd.concat([saved[saved["setting"].isin(others)], texts])
        texts = texts.sort_values(
            "setting", key=lambda s: s.map(args.variants.index), kind="stable"
        )
    print(texts.to_string(index=False))
    if args.samples is None:
        texts.to_csv(file, index=False, float_format="%g")
    return texts


def draw(name, args, texts):
    """Draw accuracy against the difference of mean scores, by setting."""
    _, ax = plt.subplots(figsize=(8, 5), layout="constrained")
    for setting, rows in texts.groupby("setting", sort=False):
        (difference, difference_std), (accuracy, accuracy_std) = (
            rows[metric].str.split(" ± ", expand=True).astype(float).to_numpy().T
            for metric in ("soft", "accuracy")
        )
        ParetoFrontDisplay(
            difference,
            accuracy,
            difference_std=difference_std,
            score_std=accuracy_std,
            label=setting,
        ).plot(ax)
    ax.set(
        xlabel="Difference of mean scores",
        ylabel="Accuracy",
        title=f"{args.data.capitalize()}, test samples",
    )
    if args.samples is None:
        ax.figure.savefig(RESULTS / f"paper_{name}_{args.data}.png", dpi=110)
