"""
Accuracy against parity: FairBiNN and its peers on the same rows, columns and seeds.

    python examples/benchmarks/frontier.py --data adult
    python examples/benchmarks/frontier.py --data health --file HHP.csv --methods bilevel hgb

Each method is fitted at each of its settings and for each seed twice: on 80 % of the training rows,
to choose settings by the other 20 %, and on all training rows, to be measured on the test rows. No
choice looks at the test rows. Results are appended to a CSV method by method and seed by seed, so
an interrupted run goes on where it stopped; ``--report`` makes tables and picture from what there
is.

Nets and linear models get the columns of `tabular_preprocessor`, gradient boosting the columns as
they are; the sensitive column is among them. "on boosted scores" adds a column: the log-odds of
unmitigated gradient boosting, cross-fitted on the training rows by `CrossFittedScores`. Times are
CPU seconds of a fit with one thread; those of a path, gradient boosting included, are divided by
its points.
"""

import argparse
import os
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from fairlearn import reductions
from fairlearn.adversarial import AdversarialFairnessClassifier
from fairlearn.postprocessing import ThresholdOptimizer
from rich.progress import Progress
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from torch import nn

from fairbinn_sklearn import FairBiNNClassifier, fairness_path
from fairbinn_sklearn.datasets import load_adult, load_german, load_health
from fairbinn_sklearn.inspection import ParetoFrontDisplay
from fairbinn_sklearn.losses import DemographicParity
from fairbinn_sklearn.preprocessing import (
    CrossFittedScores,
    PiecewiseLinearEncoder,
    tabular_preprocessor,
)

RESULTS = Path(__file__).parents[2] / "docs/results"
# Chosen on folds of Adult's training rows by frontier_settings.py.
NET = {"lr": 3e-3, "batch_size": 1024, "max_epochs": 20, "device": "cpu"}
TARGETS = (0.001, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.14)
BETWEEN = (0.0025, 0.0075, 0.0125, 0.0175, 0.025, 0.035, 0.04, 0.045, 0.06, 0.09)
# For each data set: differences to report at, the worst point of the area (difference, accuracy),
# settings of the methods, of the columns and of the net.
PLANS = {
    "adult": {
        "bounds": (0.01, 0.02, 0.05, 0.10),
        "corner": (0.20, 0.75),
        "targets": TARGETS,
        "fine targets": sorted(TARGETS + BETWEEN),
        "etas": (0.5, 1, 1.5, 2, 4, 8, 12, 16, 24, 32, 48),
        "difference_bound": (0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.065, 0.08),
        "tol": (0, 0.01, 0.02, 0.035, 0.05, 0.065, 0.08, 0.1),
        "columns": {"n_tail_bins": 128},
        "net": NET,
    },
    "german": {
        "bounds": (0.02, 0.05, 0.10),
        "corner": (0.20, 0.65),
        "targets": (0.01, 0.03, 0.05, 0.1),
        "fine targets": (0.01, 0.03, 0.05, 0.1),
        "etas": (0.5, 2, 8, 32),
        "difference_bound": (0.01, 0.03, 0.05, 0.1),
        "tol": (0, 0.03, 0.05, 0.1),
        "columns": {"n_bins": 4, "n_tail_bins": 0},
        "net": {"lr": 1e-3, "batch_size": 64, "max_epochs": 20, "device": "cpu"},
    },
    "health": {
        "bounds": (0.05, 0.1, 0.2, 0.3),
        "corner": (0.60, 0.68),
        "targets": (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
        "fine targets": (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
        "etas": (0.1, 0.3, 0.5, 1, 2, 4, 8),
        "difference_bound": (0.05, 0.1, 0.2, 0.3),
        "tol": (0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
        "columns": {"n_bins": 16, "n_tail_bins": 0},
        "net": {**NET, "constraint": DemographicParity(aggregation="max")},
    },
}


def load(data, file):
    """Rows for training and for the test: columns, labels as 0 and 1, groups."""
    if data == "adult":
        parts = [load_adult(subset=subset, dropna=True) for subset in ("train", "test")]
        return [
            (
                part.data.drop(columns="fnlwgt"),  # a weight of the sample, no attribute
                part.target.to_numpy(),
                part.data["sex"].astype(str).to_numpy(),
            )
            for part in parts
        ]
    if data == "german":
        german = load_german(sensitive_features="age")
        old = np.where(german.data["age"] > 25, "above 25", "25 at most")
        y = german.target.to_numpy()
        parts = train_test_split(np.arange(len(y)), test_size=0.3, stratify=y, random_state=0)
        return [(german.data.iloc[part], y[part], old[part]) for part in parts]
    health = load_health(file, sensitive_features="age")
    age = health.sensitive_features["age"].astype(str).to_numpy()
    parts = [(health.split == subset) for subset in ("train", "test")]
    return [(health.data[rows], health.target.to_numpy()[rows], age[rows]) for rows in parts]


def encoded_columns(X, y, **bins):
    """Columns of the preprocessor, and the function that makes those of other rows."""
    encoder = PiecewiseLinearEncoder(**bins, handle_missing="median", dtype=np.float32)
    preprocessor = tabular_preprocessor(encoder=encoder)
    return preprocessor.fit_transform(X), preprocessor.transform


def boosted_columns(X, y, **bins):
    """The same, and the log-odds of gradient boosting, cross-fitted for these rows."""
    columns, encoded = encoded_columns(X, y, **bins)
    scores = CrossFittedScores(gradient_boosting(0))

    def join(*parts):
        return np.column_stack(parts).astype(np.float32)

    own = join(columns, scores.fit_transform(X, y))
    return own, lambda X: join(encoded(X), scores.transform(X))


def paths(columns=encoded_columns, by="targets", **settings):
    """FairBiNN at all targets, or etas, by one path, and without fairness."""

    def fit(X, y, group, seed, plan):
        start = time.process_time()
        X, encoded = columns(X, y, **plan["columns"])
        estimator = FairBiNNClassifier(**{**plan["net"], **settings}, random_state=seed)
        points = {by.split()[-1]: plan[by]}
        path = fairness_path(X, y, group, estimator=estimator, **points)
        plain = estimator.set_params(eta=0).fit(X, y)
        seconds = (time.process_time() - start) / (len(path) + 1)
        for one in (plain, *path):
            setting = one.eta if by == "etas" else one.fairness_target or 1
            yield setting, seconds, lambda X, _, one=one: one.predict_proba(encoded(X))[:, 1]

    return fit


def boosted(X, y, group, seed, plan):
    """Gradient boosting without any mitigation."""
    start = time.process_time()
    model = gradient_boosting(seed).fit(X, y)
    yield 0, time.process_time() - start, lambda X, _: model.predict_proba(X)[:, 1]


def thresholds(X, y, group, seed, plan):
    """ThresholdOptimizer on gradient boosting; needs the group to predict, and has no scores."""
    for tol in plan["tol"]:
        start = time.process_time()
        model = ThresholdOptimizer(
            estimator=gradient_boosting(seed),
            constraints="demographic_parity",
            predict_method="predict_proba",
            **({"tol": tol} if tol else {}),
        ).fit(X, y, sensitive_features=group)
        yield (
            tol,
            time.process_time() - start,
            lambda X, group, m=model: m.predict(X, sensitive_features=group, random_state=seed),
        )


def as_they_are(X, y, **bins):
    """Columns of the table, which gradient boosting takes."""
    return X, lambda X: X


def reduction(make, columns, every=1):
    """ExponentiatedGradient, whose decisions are drawn at random, by every k-th of the bounds."""

    def fit(X, y, group, seed, plan):
        X, encoded = columns(X, y, **plan["columns"])
        for bound in plan["difference_bound"][::every]:
            start = time.process_time()
            parity = reductions.DemographicParity(difference_bound=bound)
            model = reductions.ExponentiatedGradient(make(seed), parity)
            model.fit(X, y, sensitive_features=group)

            def drawn(X, _, model=model):
                share = model._pmf_predict(encoded(X))[:, 1]
                return share, np.random.default_rng(seed).random(len(share)) < share

            yield bound, time.process_time() - start, drawn

    return fit


def adversarial(X, y, group, seed, plan):
    """AdversarialFairnessClassifier; nets of two layers and more decide the same for everybody."""
    X, encoded = encoded_columns(X, y, **plan["columns"])
    for alpha in (0.1, 0.3, 1.0, 3.0, 10.0):
        torch.manual_seed(seed)
        start = time.process_time()
        model = AdversarialFairnessClassifier(
            backend="torch",
            predictor_model=[16, "leaky_relu"],
            adversary_model=[32, "relu"],
            batch_size=256,
            epochs=10,
            learning_rate=1e-3,
            alpha=alpha,
            random_state=seed,
        )
        try:
            model.fit(X, y, sensitive_features=group)
        except RuntimeError:  # its scores have become NaN
            print(f"adversarial: training failed at alpha {alpha}, seed {seed}")
            continue
        seconds = time.process_time() - start
        yield alpha, seconds, lambda X, _, m=model: np.ravel(m._raw_predict(encoded(X)))


def penalised(X, y, group, seed, plan):
    """Plain torch: cross-entropy plus a factor times the gap of mean scores in the batch."""
    X, encoded = encoded_columns(X, y, **plan["columns"])
    settings, rows = plan["net"], (torch.as_tensor(X), torch.as_tensor(y, dtype=torch.float32))
    codes = torch.as_tensor(np.unique(group, return_inverse=True)[1])
    for factor in (0.1, 0.3, 1.0, 3.0, 10.0):
        torch.manual_seed(seed)
        start = time.process_time()
        layers = []
        for width in (rows[0].shape[1], 128, 128):
            layers += [nn.Linear(width, 128), nn.ReLU()]
        net = nn.Sequential(*layers, nn.Linear(128, 1))
        adam = torch.optim.Adam(net.parameters(), lr=settings["lr"], weight_decay=3e-4)
        course = torch.optim.lr_scheduler.CosineAnnealingLR(adam, settings["max_epochs"])
        for _ in range(settings["max_epochs"]):
            for index in torch.randperm(len(y)).split(settings["batch_size"]):
                logits = net(rows[0][index])[:, 0]
                scores, own = logits.sigmoid(), codes[index]
                means = torch.stack([scores[own == g].mean() for g in own.unique()])
                loss = nn.functional.binary_cross_entropy_with_logits(logits, rows[1][index])
                adam.zero_grad()
                (loss + factor * (means.max() - means.min())).backward()
                adam.step()
            course.step()
        seconds = time.process_time() - start

        def scored(X, _, net=net):
            with torch.no_grad():
                return net(torch.as_tensor(encoded(X)))[:, 0].sigmoid().numpy()

        yield factor, seconds, scored


def gradient_boosting(seed):
    """Gradient boosting that takes categories as they are."""
    return HistGradientBoostingClassifier(random_state=seed, categorical_features="from_dtype")


def logistic_regression(seed):
    """Logistic regression on the encoded columns."""
    return LogisticRegression(max_iter=300)


METHODS = {
    "bilevel": (
        "FairBiNN, bilevel",
        paths(equalize="both", fairness_position=1, max_epochs=40, lr=2e-3),
    ),
    "bilevel_eta": (
        "FairBiNN, bilevel, etas",
        paths(by="etas", fairness_position=1, max_epochs=40, lr=2e-3),
    ),
    "boosted": (
        "FairBiNN, bilevel, on boosted scores",
        paths(boosted_columns, "fine targets", equalize="both", fairness_position=1),
    ),
    "lagrangian": ("FairBiNN net, lagrangian", paths(equalize="both", method="lagrangian")),
    "hgb": ("HistGradientBoosting, unmitigated", boosted),
    "thresholds": ("ThresholdOptimizer on HGB (needs group)", thresholds),
    "reduction_hgb": ("ExponentiatedGradient, HGB", reduction(gradient_boosting, as_they_are)),
    "reduction_lr": (
        "ExponentiatedGradient, LR",
        reduction(logistic_regression, encoded_columns, every=2),  # minutes each
    ),
    "adversarial": ("AdversarialFairnessClassifier", adversarial),
    "penalty": ("torch, gap penalty", penalised),
}


def measure(answer, y, group):
    """Accuracy, and the largest difference of decisions and of scores between groups."""
    scores, decisions = answer if isinstance(answer, tuple) else (answer, answer > 0.5)
    only_decisions = set(np.unique(scores)) <= {0, 1}
    groups = pd.Series(group)

    def difference(values):
        means = pd.Series(np.asarray(values, float)).groupby(groups).mean()
        return means.max() - means.min()

    soft = np.nan if only_decisions else difference(scores)
    return {"accuracy": np.mean(decisions == y), "hard": difference(decisions), "soft": soft}


def run(method, seed, train, test, plan):
    """Rows of the table for one method and seed."""
    X, y, group = train
    strata = pd.Series(y).astype(str) + pd.Series(group)
    fit, valid = train_test_split(
        np.arange(len(y)), test_size=0.2, stratify=strata, random_state=seed
    )
    stages = {
        "validation": [(X.iloc[part], y[part], group[part]) for part in (fit, valid)],
        "test": [train, test],
    }
    for stage, (fitted_on, (X_new, y_new, group_new)) in stages.items():
        for setting, seconds, answer in METHODS[method][1](*fitted_on, seed, plan):
            figures = measure(answer(X_new, group_new), y_new, group_new)
            yield {
                **{"method": method, "setting": setting, "seed": seed, "stage": stage},
                **figures,
                "seconds": seconds,
            }


def chosen(means, stds, names, bounds):
    """Test figures of the setting that does best on validation rows, by method and bound."""
    rows = []
    for method in means.index.unique("method"):
        on_valid, mean, std = (
            table.loc[(method, stage)]
            for table, stage in ((means, "validation"), (means, "test"), (stds, "test"))
        )
        for bound in bounds:
            within = on_valid[on_valid[names].max(axis=1, skipna=False) <= bound]
            if len(within) and (setting := within["accuracy"].idxmax()) in mean.index:
                row = {"method": METHODS[method][0], "at most": bound, "setting": setting}
                for name in ("accuracy", "hard", "soft"):
                    value = mean.loc[setting, name]
                    row[name] = (
                        f"{value:.4f} ± {std.loc[setting, name]:.4f}" if value == value else ""
                    )
                rows.append(row)
    return pd.DataFrame(rows)


def report(data, table):
    """Print and save the choices and the areas; draw the fronts on test rows."""
    import matplotlib.pyplot as plt
    from moocore import hypervolume

    keys = ["method", "stage", "setting"]
    grouped = table.groupby(keys, sort=False)[["accuracy", "hard", "soft", "seconds"]]
    means, stds = grouped.mean(), grouped.std(ddof=0)
    for names in (["hard"], ["hard", "soft"]):
        found = chosen(means, stds, names, PLANS[data]["bounds"])
        print(f"\nSettings chosen on validation rows by {' and '.join(names)}; test rows:")
        print(found.to_string(index=False))
        found.to_csv(RESULTS / f"frontier_{data}_{'_'.join(names)}.csv", index=False)
    corner = PLANS[data]["corner"]
    areas = []
    of_test = table[table["stage"] == "test"]
    for method, rows in of_test.groupby("method", sort=False):
        by_seed = [
            1000
            * hypervolume(
                np.column_stack([one["hard"], -one["accuracy"]]), ref=[corner[0], -corner[1]]
            )
            for _, one in rows.groupby("seed")
        ]
        mean = means.loc[(method, "test")]
        of_means = hypervolume(
            np.column_stack([mean["hard"], -mean["accuracy"]]), ref=[corner[0], -corner[1]]
        )
        areas.append(
            {
                "method": METHODS[method][0],
                "area of means": 1000 * of_means,
                "mean of areas": np.mean(by_seed),
                "std": np.std(by_seed),
                "seeds": len(by_seed),
                "CPU s a fit": rows["seconds"].mean(),
            }
        )
    areas = pd.DataFrame(areas).round(2)
    print(f"\nArea dominated on test rows, thousandths, from {corner}:")
    print(areas.to_string(index=False))
    areas.to_csv(RESULTS / f"frontier_{data}_area.csv", index=False)

    fig, ax = plt.subplots(figsize=(8, 5.5), layout="constrained")
    for method in means.index.unique("method"):
        mean, std = means.loc[(method, "test")], stds.loc[(method, "test")]
        ParetoFrontDisplay(
            mean["hard"],
            mean["accuracy"],
            difference_std=std["hard"],
            score_std=std["accuracy"],
            label=METHODS[method][0],
        ).plot(ax)
    accuracies = means.xs("test", level="stage")["accuracy"]
    ax.set_ylim(bottom=accuracies.quantile(0.05) - 0.005)  # nets that tell nothing lie below
    n_seeds = sorted(table.groupby("method")["seed"].nunique().unique())
    ax.set_title(
        f"{data.capitalize()}, test rows: mean and std of {' or '.join(map(str, n_seeds))} seeds"
    )
    fig.savefig(RESULTS / f"frontier_{data}.png", dpi=110)


def main():
    """Run what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--data", choices=sorted(PLANS), default="adult")
    parser.add_argument("--file", help="the Heritage Health table, for --data health")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--report", action="store_true", help="only report what there is")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    file = RESULTS / f"frontier_{given.data}.csv"
    table = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=["method", "seed"])
    if not given.report:
        train, test = load(given.data, given.file)
        plan = PLANS[given.data]
        done = set(zip(table["method"], table["seed"], strict=True))
        todo = [
            (method, seed)
            for seed in range(given.seeds)
            for method in given.methods
            if (method, seed) not in done
        ]
        with Progress() as progress:
            task = progress.add_task("fits", total=len(todo))
            for method, seed in todo:
                progress.update(task, description=f"{method}, seed {seed}")
                rows = pd.DataFrame(run(method, seed, train, test, plan)).round(5)
                rows.to_csv(file, mode="a", header=not file.exists(), index=False)
                progress.advance(task)
    report(given.data, pd.read_csv(file))


if __name__ == "__main__":
    main()
