"""
Compare batch sizes and learning rates on 1,000 to 1,000,000 samples.

    python examples/benchmarks/sizes.py --save docs/results/sizes.csv

Up to 22,162 samples, networks are trained on subsets of Adult's training samples and evaluated on
8,000 others; the test samples are not used. Larger sets are synthetic: values of Adult are
exchanged between samples of the same sex, noise is added to numbers, and labels are drawn from the
probabilities of gradient boosting. 50,000 others are used for evaluation. `tabular_preprocessor`
encodes the features. All other parameters have their defaults. The first batch size and learning
rate of each plan are the defaults.

Times are CPU seconds of `fit` with one thread, relative to the defaults with the most epochs.
"time to quality" is the time of the fewest epochs whose mean accuracy is within 0.001 of the best
of the same data and setting. Under a target, a fit counts only if the difference on the training
samples is at most 0.01 above the target.
"""

import argparse
import os
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from frontier import gradient_boosting, measure
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from tables import load_table

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.preprocessing import tabular_preprocessor

# For each number of samples: seeds, pairs of batch size and learning rate, numbers of epochs.
PLANS = {
    1_000: (3, ((64, 1e-3), (128, 2e-3)), (5, 10, 20)),
    3_000: (3, ((128, 1e-3), (256, 2e-3)), (5, 10, 20)),
    10_000: (2, ((256, 1e-3), (512, 2e-3), (1024, 3e-3)), (5, 10, 20)),
    22_162: (2, ((256, 1e-3), (512, 2e-3), (1024, 3e-3)), (5, 10, 20)),
    100_000: (2, ((256, 1e-3), (1024, 3e-3)), (5, 20)),
    1_000_000: (1, ((512, 1e-3), (4096, 3e-3)), (5,)),
}
SETTINGS = {"eta=0": {"eta": 0}, "fairness_target=0.05": {"fairness_target": 0.05}}
KEYS = ["samples", "setting", "batch size", "lr", "epochs"]


def made_up(X, y, group, n_samples):
    """Return features, labels and groups that resemble those of Adult."""
    rng = np.random.default_rng(0)
    teacher = gradient_boosting(0).fit(X, y)
    index = rng.integers(0, len(X), n_samples)
    other = np.empty_like(index)
    for name in np.unique(group):
        same = group[index] == name
        other[same] = rng.choice(np.flatnonzero(group == name), same.sum())
    made = {}
    for name, column in X.items():
        exchanged = (rng.random(n_samples) < 0.2) & (name != "sex")
        made[name] = column.iloc[np.where(exchanged, other, index)].reset_index(drop=True)
        if pd.api.types.is_numeric_dtype(column):
            made[name] = made[name] * rng.normal(1, 0.05, n_samples)
    made = pd.DataFrame(made)
    labels = rng.random(n_samples) < teacher.predict_proba(made)[:, 1]
    return made, labels.astype(int), group[index]


def parts(size, seed, X, y, group):
    """Return features, labels and groups of the training and of the other samples."""
    strata = pd.Series(y).astype(str) + group
    pool, others = train_test_split(
        np.arange(len(y)), test_size=8_000, stratify=strata, random_state=0
    )
    if size > len(pool):
        X, y, group = made_up(X.iloc[pool], y[pool], group[pool], size + 50_000)
        pool, others = np.split(np.arange(len(y)), [size])
    elif size < len(pool):
        pool, _ = train_test_split(
            pool, train_size=size, stratify=strata.iloc[pool], random_state=seed
        )
    preprocessor = tabular_preprocessor().fit(X.iloc[pool[:50_000]])
    return [(preprocessor.transform(X.iloc[p]), y[p], group[p]) for p in (pool, others)]


def fits(size, seed, steps, numbers_of_epochs, data):
    """Yield one record for each fit."""
    (X, y, group), (X_new, y_new, group_new) = parts(size, seed, *data)
    for setting, fairness in SETTINGS.items():
        for batch_size, lr in steps:
            for epochs in numbers_of_epochs:
                clf = FairBiNNClassifier(
                    **fairness,
                    batch_size=batch_size,
                    lr=lr,
                    max_epochs=epochs,
                    device="cpu",
                    random_state=seed,
                )
                start = time.process_time()
                clf.fit(X, y, sensitive_features=group)
                seconds = time.process_time() - start
                scores = clf.predict_proba(X_new)[:, 1]
                metrics = measure(scores, y_new, group_new)
                yield {
                    **dict(zip(KEYS, (size, setting, batch_size, lr, epochs), strict=True)),
                    "seconds": seconds,
                    "accuracy": metrics["accuracy"],
                    "cross-entropy": log_loss(y_new, scores),
                    "difference": metrics["hard"],
                    "training difference": measure(clf.predict_proba(X)[:, 1], y, group)["hard"],
                }


def summary(table):
    """Return means over the seeds, with times relative to the defaults."""
    means = table.groupby(KEYS, sort=False).mean().reset_index()
    for (_, setting), part in means.groupby(["samples", "setting"], sort=False):
        default = part["batch size"] == part["batch size"].iloc[0]
        means.loc[part.index, "relative time"] = part["seconds"] / part["seconds"][default].iloc[-1]
        limit = SETTINGS[setting].get("fairness_target", 1) + 0.01
        valid = part[part["training difference"] <= limit]
        good = valid[valid["accuracy"] >= valid["accuracy"].max() - 0.001]
        first = good.drop_duplicates("batch size").index
        means.loc[first, "time to quality"] = means.loc[first, "relative time"]
    return means


def main():
    """Fit all networks; print and optionally save means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(PLANS), choices=list(PLANS))
    parser.add_argument("--save", help="CSV file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    data, _ = load_table("adult")
    list(fits(1_000, 0, [(256, 1e-3)], [1], data))  # the first fit takes longer
    rows = []
    for size in args.sizes:
        n_seeds, *plan = PLANS[size]
        for seed in range(n_seeds):
            rows += fits(size, seed, *plan, data)
        table = summary(pd.DataFrame(rows))
        print(table[table["samples"] == size].round(4).to_string(), flush=True)
        if args.save:
            times = dict.fromkeys(["relative time", "time to quality"], 2)
            table = table.drop(columns="seconds").round({**dict.fromkeys(table, 4), **times})
            table.to_csv(args.save, index=False)


if __name__ == "__main__":
    main()
