"""
Compare accuracy and parity of FairBiNN and other methods on the same samples, features and seeds.

    python examples/benchmarks/frontier.py --data adult
    python examples/benchmarks/frontier.py --data health --file HHP.csv --methods bilevel hgb

Each method is fitted twice for each of its settings and each seed: on 80 % of the training samples,
to choose settings on the other 20 %, and on all training samples, to be evaluated on the test
samples. No choice uses the test samples. Results are appended to a CSV file by method and seed, so
an interrupted run can be resumed. ``--report`` makes tables and figure from the existing results.

Networks and linear models use the features of `tabular_preprocessor`. Gradient boosting uses the
original columns. The sensitive feature is among the features. "on boosted scores" adds one feature:
the log-odds of unmitigated gradient boosting, cross-fitted on the training samples by
`CrossFittedScores`. Times are CPU seconds of a fit with one thread; the time of a path, including
gradient boosting, is divided by its number of points.
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
# Chosen on folds of Adult's training samples by frontier_settings.py.
NET = {"lr": 3e-3, "batch_size": 1024, "max_epochs": 20, "device": "cpu"}
TARGETS = (0.001, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.14)
EXTRA_TARGETS = (0.0025, 0.0075, 0.0125, 0.0175, 0.025, 0.035, 0.04, 0.045, 0.06, 0.09)
# For each data set: bounds to report at, reference point of the area (difference, accuracy),
# settings of the methods, of the encoder and of the network.
PLANS = {
    "adult": {
        "bounds": (0.01, 0.02, 0.05, 0.10),
        "reference": (0.20, 0.75),
        "targets": TARGETS,
        "fine targets": sorted(TARGETS + EXTRA_TARGETS),
        "etas": (0.5, 1, 1.5, 2, 4, 8, 12, 16, 24, 32, 48),
        "difference_bound": (0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.065, 0.08),
        "tol": (0, 0.01, 0.02, 0.035, 0.05, 0.065, 0.08, 0.1),
        "encoder": {"n_tail_bins": 128},
        "net": NET,
    },
    "german": {
        "bounds": (0.02, 0.05, 0.10),
        "reference": (0.20, 0.65),
        "targets": (0.01, 0.03, 0.05, 0.1),
        "fine targets": (0.01, 0.03, 0.05, 0.1),
        "etas": (0.5, 2, 8, 32),
        "difference_bound": (0.01, 0.03, 0.05, 0.1),
        "tol": (0, 0.03, 0.05, 0.1),
        "encoder": {"n_bins": 4, "n_tail_bins": 0},
        "net": {"lr": 1e-3, "batch_size": 64, "max_epochs": 20, "device": "cpu"},
    },
    "health": {
        "bounds": (0.05, 0.1, 0.2, 0.3),
        "reference": (0.60, 0.68),
        "targets": (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
        "fine targets": (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
        "etas": (0.1, 0.3, 0.5, 1, 2, 4, 8),
        "difference_bound": (0.05, 0.1, 0.2, 0.3),
        "tol": (0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
        "encoder": {"n_bins": 16, "n_tail_bins": 0},
        "net": {**NET, "constraint": DemographicParity(aggregation="max")},
    },
}


def load(data, file):
    """Return the training and the test samples as features, labels 0 and 1, and groups."""
    if data == "adult":
        parts = [load_adult(subset=subset, dropna=True) for subset in ("train", "test")]
        return [
            (
                part.data.drop(columns="fnlwgt"),  # sampling weight, not a feature
                part.target.to_numpy(),
                part.data["sex"].astype(str).to_numpy(),
            )
            for part in parts
        ]
    if data == "german":
        german = load_german(sensitive_features="age")
        group = np.where(german.data["age"] > 25, "over 25", "25 or younger")
        y = german.target.to_numpy()
        parts = train_test_split(np.arange(len(y)), test_size=0.3, stratify=y, random_state=0)
        return [(german.data.iloc[part], y[part], group[part]) for part in parts]
    health = load_health(file, sensitive_features="age")
    age = health.sensitive_features["age"].astype(str).to_numpy()
    masks = [(health.split == subset) for subset in ("train", "test")]
    return [(health.data[mask], health.target.to_numpy()[mask], age[mask]) for mask in masks]


def encoded_features(X, y, **bins):
    """Return the encoded features, and the function that encodes other samples."""
    encoder = PiecewiseLinearEncoder(**bins, handle_missing="median", dtype=np.float32)
    preprocessor = tabular_preprocessor(encoder=encoder)
    return preprocessor.fit_transform(X), preprocessor.transform


def boosted_features(X, y, **bins):
    """Return the encoded features with the cross-fitted log-odds of gradient boosting added."""
    encoded, transform = encoded_features(X, y, **bins)
    scores = CrossFittedScores(gradient_boosting(0))

    def join(*parts):
        return np.column_stack(parts).astype(np.float32)

    features = join(encoded, scores.fit_transform(X, y))
    return features, lambda X: join(transform(X), scores.transform(X))


def paths(encode=encoded_features, by="targets", **settings):
    """Return a method: FairBiNN with one path over targets or etas, and without fairness loss."""

    def fit(X, y, group, seed, plan):
        start = time.process_time()
        X, transform = encode(X, y, **plan["encoder"])
        estimator = FairBiNNClassifier(**{**plan["net"], **settings}, random_state=seed)
        points = {by.split()[-1]: plan[by]}
        path = fairness_path(X, y, group, estimator=estimator, **points)
        plain = estimator.set_params(eta=0).fit(X, y)
        seconds = (time.process_time() - start) / (len(path) + 1)
        for clf in (plain, *path):
            setting = clf.eta if by == "etas" else clf.fairness_target or 1
            yield setting, seconds, lambda X, _, clf=clf: clf.predict_proba(transform(X))[:, 1]

    return fit


def boosted(X, y, group, seed, plan):
    """Fit gradient boosting without mitigation."""
    start = time.process_time()
    model = gradient_boosting(seed).fit(X, y)
    yield 0, time.process_time() - start, lambda X, _: model.predict_proba(X)[:, 1]


def thresholds(X, y, group, seed, plan):
    """Fit ThresholdOptimizer on gradient boosting; it needs the group to predict, has no scores."""
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


def original_columns(X, y, **bins):
    """Return the columns unchanged, for gradient boosting."""
    return X, lambda X: X


def reduction(make, encode, every=1):
    """Return a method: ExponentiatedGradient with every k-th bound; it predicts at random."""

    def fit(X, y, group, seed, plan):
        X, transform = encode(X, y, **plan["encoder"])
        for bound in plan["difference_bound"][::every]:
            start = time.process_time()
            parity = reductions.DemographicParity(difference_bound=bound)
            model = reductions.ExponentiatedGradient(make(seed), parity)
            model.fit(X, y, sensitive_features=group)

            def predict(X, _, model=model):
                scores = model._pmf_predict(transform(X))[:, 1]
                return scores, np.random.default_rng(seed).random(len(scores)) < scores

            yield bound, time.process_time() - start, predict

    return fit


def adversarial(X, y, group, seed, plan):
    """Fit AdversarialFairnessClassifier with one layer; deeper networks predict a constant."""
    X, transform = encoded_features(X, y, **plan["encoder"])
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
        except RuntimeError:  # raised when its scores become NaN
            print(f"adversarial: training failed at alpha {alpha}, seed {seed}")
            continue
        seconds = time.process_time() - start
        yield alpha, seconds, lambda X, _, m=model: np.ravel(m._raw_predict(transform(X)))


def penalised(X, y, group, seed, plan):
    """Train in plain torch on the cross-entropy plus a penalty on the score gap of the batch."""
    X, transform = encoded_features(X, y, **plan["encoder"])
    settings, X, y = plan["net"], torch.as_tensor(X), torch.as_tensor(y, dtype=torch.float32)
    codes = torch.as_tensor(np.unique(group, return_inverse=True)[1])
    for factor in (0.1, 0.3, 1.0, 3.0, 10.0):
        torch.manual_seed(seed)
        start = time.process_time()
        layers = []
        for width in (X.shape[1], 128, 128):
            layers += [nn.Linear(width, 128), nn.ReLU()]
        net = nn.Sequential(*layers, nn.Linear(128, 1))
        adam = torch.optim.Adam(net.parameters(), lr=settings["lr"], weight_decay=3e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, settings["max_epochs"])
        for _ in range(settings["max_epochs"]):
            for index in torch.randperm(len(y)).split(settings["batch_size"]):
                logits = net(X[index])[:, 0]
                scores, group_codes = logits.sigmoid(), codes[index]
                means = torch.stack([scores[group_codes == g].mean() for g in group_codes.unique()])
                loss = nn.functional.binary_cross_entropy_with_logits(logits, y[index])
                adam.zero_grad()
                (loss + factor * (means.max() - means.min())).backward()
                adam.step()
            schedule.step()
        seconds = time.process_time() - start

        def predict(X, _, net=net):
            with torch.no_grad():
                return net(torch.as_tensor(transform(X)))[:, 0].sigmoid().numpy()

        yield factor, seconds, predict


def gradient_boosting(seed):
    """Return gradient boosting with native categories."""
    return HistGradientBoostingClassifier(random_state=seed, categorical_features="from_dtype")


def logistic_regression(seed):
    """Return logistic regression for the encoded features."""
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
        paths(boosted_features, "fine targets", equalize="both", fairness_position=1),
    ),
    "lagrangian": ("FairBiNN, lagrangian", paths(equalize="both", method="lagrangian")),
    "hgb": ("HistGradientBoosting, unmitigated", boosted),
    "thresholds": ("ThresholdOptimizer on HGB (needs group)", thresholds),
    "reduction_hgb": ("ExponentiatedGradient, HGB", reduction(gradient_boosting, original_columns)),
    "reduction_lr": (
        "ExponentiatedGradient, LR",
        reduction(logistic_regression, encoded_features, every=2),  # one fit takes a minute
    ),
    "adversarial": ("AdversarialFairnessClassifier", adversarial),
    "penalty": ("torch, gap penalty", penalised),
}


def measure(predictions, y, group):
    """Return accuracy, and the largest differences of decisions and of scores between groups.

    `predictions` are scores, or a tuple of scores and decisions.
    """
    if isinstance(predictions, tuple):
        scores, decisions = predictions
    else:
        scores, decisions = predictions, predictions > 0.5
    only_decisions = set(np.unique(scores)) <= {0, 1}
    groups = pd.Series(group)

    def difference(values):
        means = pd.Series(np.asarray(values, float)).groupby(groups).mean()
        return means.max() - means.min()

    soft = np.nan if only_decisions else difference(scores)
    return {"accuracy": np.mean(decisions == y), "hard": difference(decisions), "soft": soft}


def run(method, seed, train, test, plan):
    """Yield the rows of the table for one method and seed."""
    X, y, group = train
    strata = pd.Series(y).astype(str) + pd.Series(group)
    fit, valid = train_test_split(
        np.arange(len(y)), test_size=0.2, stratify=strata, random_state=seed
    )
    stages = {
        "validation": [(X.iloc[part], y[part], group[part]) for part in (fit, valid)],
        "test": [train, test],
    }
    for stage, (fit_part, (X_new, y_new, group_new)) in stages.items():
        for setting, seconds, predict in METHODS[method][1](*fit_part, seed, plan):
            yield {
                **{"method": method, "setting": setting, "seed": seed, "stage": stage},
                **measure(predict(X_new, group_new), y_new, group_new),
                "seconds": seconds,
            }


def choose(means, stds, names, bounds):
    """Return the test metrics of the best setting on validation samples by method and bound."""
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
    """Print and save the choices and the areas; draw the fronts on the test samples."""
    import matplotlib.pyplot as plt
    from moocore import hypervolume

    keys = ["method", "stage", "setting"]
    grouped = table.groupby(keys, sort=False)[["accuracy", "hard", "soft", "seconds"]]
    means, stds = grouped.mean(), grouped.std(ddof=0)
    for names in (["hard"], ["hard", "soft"]):
        choices = choose(means, stds, names, PLANS[data]["bounds"])
        print(f"\nSettings chosen on validation samples by {' and '.join(names)}; test metrics:")
        print(choices.to_string(index=False))
        choices.to_csv(RESULTS / f"frontier_{data}_{'_'.join(names)}.csv", index=False)
    reference = PLANS[data]["reference"]
    areas = []
    test_table = table[table["stage"] == "test"]

    def area(points):
        values = np.column_stack([points["hard"], -points["accuracy"]])
        return 1000 * hypervolume(values, ref=[reference[0], -reference[1]])

    for method, rows in test_table.groupby("method", sort=False):
        seed_areas = [area(points) for _, points in rows.groupby("seed")]
        areas.append(
            {
                "method": METHODS[method][0],
                "area of means": area(means.loc[(method, "test")]),
                "mean of areas": np.mean(seed_areas),
                "std": np.std(seed_areas),
                "seeds": len(seed_areas),
                "CPU s per fit": rows["seconds"].mean(),
            }
        )
    areas = pd.DataFrame(areas).round(2)
    print(f"\nArea dominated on test samples, in thousandths, relative to {reference}:")
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
    ax.set_ylim(bottom=accuracies.quantile(0.05) - 0.005)  # leave out constant predictions
    n_seeds = sorted(table.groupby("method")["seed"].nunique().unique())
    ax.set_title(
        f"{data.capitalize()}, test samples: mean and std of {' or '.join(map(str, n_seeds))} seeds"
    )
    fig.savefig(RESULTS / f"frontier_{data}.png", dpi=110)


def main():
    """Run the missing methods and seeds, then report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--data", choices=sorted(PLANS), default="adult")
    parser.add_argument("--file", help="the Heritage Health table, for --data health")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--report", action="store_true", help="only report the existing results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    file = RESULTS / f"frontier_{args.data}.csv"
    table = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=["method", "seed"])
    if not args.report:
        train, test = load(args.data, args.file)
        plan = PLANS[args.data]
        done = set(zip(table["method"], table["seed"], strict=True))
        todo = [
            (method, seed)
            for seed in range(args.seeds)
            for method in args.methods
            if (method, seed) not in done
        ]
        with Progress() as progress:
            task = progress.add_task("fits", total=len(todo))
            for method, seed in todo:
                progress.update(task, description=f"{method}, seed {seed}")
                rows = pd.DataFrame(run(method, seed, train, test, plan)).round(5)
                rows.to_csv(file, mode="a", header=not file.exists(), index=False)
                progress.advance(task)
    report(args.data, pd.read_csv(file))


if __name__ == "__main__":
    main()
