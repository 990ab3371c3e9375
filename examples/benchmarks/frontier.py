"""
Compare accuracy and parity of FairBiNN and other methods on the same samples, features and seeds.

    python examples/benchmarks/frontier.py --data adult --blind
    python examples/benchmarks/frontier.py --data adult --blind --criterion equalized_odds
    python examples/benchmarks/frontier.py --data german --aware --methods boosted thresholds

With ``--blind`` the sensitive feature is not among the features of any method. With ``--aware`` it
is, and methods that need it to predict are compared too. Names of files and titles say which.

Each method is fitted twice for each of its settings and each seed: on 80 % of the training samples,
to choose settings on the other 20 %, and on all training samples, to be evaluated on the test
samples. No choice uses the test samples. Results are appended to a CSV file by method and seed, so
an interrupted run can be resumed. ``--report`` makes tables and figure from the existing results.

Networks and linear models use the features of `tabular_preprocessor`, with default parameters.
Gradient boosting uses the original columns. "on boosted scores" adds one feature: the log-odds of
unmitigated gradient boosting, cross-fitted on the training samples by `CrossFittedScores`. Times
are CPU seconds with one thread and include gradient boosting. `tables.py` names the tables and
their files.
"""

import argparse
import importlib
import os
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.append(str(Path(__file__).parents[1]))

import numpy as np
import pandas as pd
import torch
from closed_form import EVENTS, ClosedFormClassifier
from fairlearn import reductions
from fairlearn.adversarial import AdversarialFairnessClassifier
from fairlearn.postprocessing import ThresholdOptimizer
from rich.progress import Progress
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from tables import SENSITIVE, load_table
from torch import nn

from fairbinn_sklearn import FairBiNNClassifier, fairness_path
from fairbinn_sklearn.inspection import ParetoFrontDisplay
from fairbinn_sklearn.preprocessing import CrossFittedScores, tabular_preprocessor

RESULTS = Path(__file__).parents[2] / "docs/results"
# Chosen on samples held out from Adult's training samples.
NET = {"lr": 6e-3, "batch_size": 1024, "max_epochs": 20, "device": "cpu"}
PATH = {"epochs_per_point": 2}
# Equalized odds on Adult: train longer per point, because the multipliers of several events move
# more slowly. Both values were chosen on validation samples of the first seed.
ODDS = {"net": {**NET, "lr": 3e-3}, "path": {"epochs_per_point": 10}}
# The target 0.9 is met without a fairness loss.
TARGETS = (0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025)
TARGETS += (0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.9)
FEW_TARGETS = (0.01, 0.03, 0.05, 0.1, 0.15, 0.2, 0.9)
# For each table: bounds to report at, settings of the methods, the network and the path. The
# default network and path suit tables of fewer than about 20,000 samples.
SMALL = {
    "bounds": (0.02, 0.05, 0.10, 0.15),
    "targets": FEW_TARGETS,
    "difference_bound": (0.01, 0.03, 0.05, 0.1),
    "tol": (0, 0.03, 0.05, 0.1, 0.15),
    "net": {"device": "cpu"},
    "path": {},
}
PLANS = {
    "adult": {
        "bounds": (0.01, 0.02, 0.05, 0.10),
        "targets": TARGETS,
        "difference_bound": (0.001, 0.01, 0.03, 0.05, 0.08),
        "tol": (0, 0.01, 0.02, 0.035, 0.05, 0.065, 0.08, 0.1),
        "net": NET,
        "path": PATH,
    },
    "german": SMALL,
    "law": SMALL,
    "credit": {**SMALL, "bounds": (0.005, 0.01, 0.02), "targets": (0.0025, 0.005, 0.01, 0.02, 0.9)},
    "compas": SMALL,
    "crime": SMALL,
    "acs": {**SMALL, "bounds": (0.01, 0.02, 0.05), "net": NET},
    "health": {
        "bounds": (0.05, 0.1, 0.2, 0.3),
        "targets": (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.9),
        "difference_bound": (0.05, 0.1, 0.2, 0.3),
        "tol": (0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
        "net": NET,
        "path": {},
    },
}
# Names of the criteria in fairlearn and error-parity.
THRESHOLD_CONSTRAINTS = {
    "demographic_parity": "demographic_parity",
    "equal_opportunity": "true_positive_rate_parity",
    "equalized_odds": "equalized_odds",
}
MOMENTS = {
    "demographic_parity": reductions.DemographicParity,
    "equal_opportunity": reductions.TruePositiveRateParity,
    "equalized_odds": reductions.EqualizedOdds,
}


def encoded_features(X, y, group):
    """Return the encoded features, and the function that encodes other samples."""
    preprocessor = tabular_preprocessor()
    return preprocessor.fit_transform(X), preprocessor.transform


def boosted_features(X, y, group):
    """Return the encoded features with the cross-fitted log-odds of gradient boosting added."""
    encoded, transform = encoded_features(X, y, group)
    scores = CrossFittedScores(gradient_boosting(0))

    def join(*parts):
        return np.column_stack(parts).astype(np.float32)

    features = join(encoded, scores.fit_transform(X, y))
    return features, lambda X: join(transform(X), scores.transform(X))


def original_columns(X, y, group):
    """Return the columns unchanged, for gradient boosting."""
    return X, lambda X: X


def paths(encode, equalize):
    """Return a method: FairBiNN, one path over targets."""

    def fit(X, y, group, seed, plan):
        start = time.process_time()
        X, transform = encode(X, y, group)
        estimator = FairBiNNClassifier(
            **plan["net"],
            constraint=plan["criterion"],
            equalize=equalize,
            fairness_position=1,
            random_state=seed,
        )
        path = fairness_path(
            X, y, group, targets=plan["targets"], estimator=estimator, **plan["path"]
        )
        seconds = (time.process_time() - start) / len(path)
        for clf in path:
            yield (
                clf.fairness_target,
                seconds,
                lambda X, _, clf=clf: clf.predict_proba(transform(X))[:, 1],
            )

    return fit


def closed(make, encode):
    """Return a method: the closed form of the optimal rule; all bounds cost one fit."""

    def fit(X, y, group, seed, plan):
        start = time.process_time()
        X, transform = encode(X, y, group)
        clf = ClosedFormClassifier(make(seed), criterion=plan["criterion"], random_state=seed)
        clf.fit(X, y, sensitive_features=group)
        for bound in plan["targets"]:
            clf.set_bound(bound)
            seconds = time.process_time() - start
            yield bound, seconds, lambda X, _: clf.predict(transform(X)).astype(float)
            start = time.process_time()

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
            constraints=THRESHOLD_CONSTRAINTS[plan["criterion"]],
            predict_method="predict_proba",
            **({"tol": tol} if tol else {}),
        ).fit(X, y, sensitive_features=group)
        yield (
            tol,
            time.process_time() - start,
            lambda X, group, m=model: m.predict(X, sensitive_features=group, random_state=seed),
        )


def error_parity(X, y, group, seed, plan):
    """Fit error-parity on gradient boosting; it needs the group to predict, has no scores."""
    from error_parity import RelaxedThresholdOptimizer

    start = time.process_time()
    model = gradient_boosting(seed).fit(X, y)
    names = np.unique(group)
    for tol in plan["tol"]:
        relaxed = RelaxedThresholdOptimizer(
            predictor=lambda X: model.predict_proba(X)[:, 1],
            constraint=THRESHOLD_CONSTRAINTS[plan["criterion"]],
            tolerance=tol,
            seed=seed,
        )
        relaxed.fit(X=X, y=y, group=np.searchsorted(names, group))
        seconds = time.process_time() - start
        yield (
            tol,
            seconds,
            lambda X, group, m=relaxed: np.asarray(
                m(X, group=np.searchsorted(names, group)), dtype=float
            ),
        )
        start = time.process_time()


def oxonfair(X, y, group, seed, plan):
    """Fit OxonFair on gradient boosting with groups inferred by gradient boosting.

    Its thresholds are fitted on a quarter of the samples, which the models do not use.
    """
    from oxonfair import DataDict, FairPredictor, group_metrics

    start = time.process_time()
    codes = np.unique(group, return_inverse=True)[1]
    train, held_out = train_test_split(
        np.arange(len(y)), test_size=0.25, stratify=2 * codes + y, random_state=seed
    )
    label, inferred = (
        gradient_boosting(seed).fit(X.iloc[train], target[train]) for target in (y, codes)
    )
    data = DataDict(y[held_out], X.iloc[held_out], codes[held_out])
    predictor = FairPredictor(label, data, inferred_groups=inferred)
    metric = getattr(group_metrics, plan["criterion"])
    for k, bound in enumerate(plan["targets"]):
        predictor.fit(group_metrics.accuracy, metric, bound, recompute=k == 0)
        seconds = time.process_time() - start
        yield bound, seconds, lambda X, _: np.asarray(predictor.predict({"data": X}), float)
        start = time.process_time()


def reduction(make, encode):
    """Return a method: ExponentiatedGradient for each bound; it predicts at random."""

    def fit(X, y, group, seed, plan):
        X, transform = encode(X, y, group)
        for bound in plan["difference_bound"]:
            start = time.process_time()
            moment = MOMENTS[plan["criterion"]](difference_bound=bound)
            model = reductions.ExponentiatedGradient(make(seed), moment)
            model.fit(X, y, sensitive_features=group)

            def predict(X, _, model=model):
                scores = model._pmf_predict(transform(X))[:, 1]
                return scores, np.random.default_rng(seed).random(len(scores)) < scores

            yield bound, time.process_time() - start, predict

    return fit


def adversarial(X, y, group, seed, plan):
    """Fit AdversarialFairnessClassifier with one layer; deeper networks predict a constant."""
    X, transform = encoded_features(X, y, group)
    # Permute the samples, because fairlearn 0.15 trains the same network for every `random_state`.
    # The initial weights are still the same.
    order = np.random.default_rng(seed).permutation(len(y))
    X, y, group = X[order], y[order], group[order]
    for alpha in (0.1, 0.3, 1.0, 3.0, 10.0):
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


def gap_penalty(plan):
    """Return a penalty: the gaps between the mean scores of groups in the batch."""

    def penalty(logits, y, codes):
        scores, gaps = logits.sigmoid(), []
        for labels in EVENTS[plan["criterion"]]:
            event = torch.isin(y, torch.tensor(labels, dtype=y.dtype))
            means = torch.stack([scores[event & (codes == g)].mean() for g in codes.unique()])
            gaps.append(means.max() - means.min())
        return sum(gaps)

    return penalty


def norm_loss(plan):
    """Return a penalty: the NormLoss of fairret."""
    from fairret import statistic
    from fairret.loss import NormLoss

    statistics = {
        "demographic_parity": [statistic.PositiveRate],
        "equal_opportunity": [statistic.TruePositiveRate],
        "equalized_odds": [statistic.TruePositiveRate, statistic.FalsePositiveRate],
    }[plan["criterion"]]
    losses = [NormLoss(make()) for make in statistics]

    def penalty(logits, y, codes):
        one_hot = nn.functional.one_hot(codes).float()
        labels = [] if plan["criterion"] == "demographic_parity" else [y[:, None]]
        return sum(loss(logits[:, None], one_hot, *labels) for loss in losses)

    return penalty


def penalised(make_penalty, factors):
    """Return a method: training in plain torch on the cross-entropy plus a penalty."""

    def fit(X, y, group, seed, plan):
        X, transform = encoded_features(X, y, group)
        settings, X, y = (
            {"lr": 1e-3, "batch_size": 128, "max_epochs": 20, **plan["net"]},
            torch.as_tensor(X),
            torch.as_tensor(y, dtype=torch.float32),
        )
        codes, penalty = (
            torch.as_tensor(np.unique(group, return_inverse=True)[1]),
            make_penalty(plan),
        )
        for factor in factors:
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
                    loss = nn.functional.binary_cross_entropy_with_logits(logits, y[index])
                    adam.zero_grad()
                    (loss + factor * penalty(logits, y[index], codes[index])).backward()
                    adam.step()
                schedule.step()
            seconds = time.process_time() - start

            def predict(X, _, net=net):
                with torch.no_grad():
                    return net(torch.as_tensor(transform(X)))[:, 0].sigmoid().numpy()

            yield factor, seconds, predict

    return fit


def gradient_boosting(seed):
    """Return gradient boosting with native categories."""
    return HistGradientBoostingClassifier(random_state=seed, categorical_features="from_dtype")


def logistic_regression(seed):
    """Return logistic regression for the encoded features."""
    return LogisticRegression(max_iter=300)


METHODS = {
    "boosted": ("FairBiNN on boosted scores", paths(boosted_features, "decisions")),
    "boosted_both": (
        "FairBiNN on boosted scores, decisions and scores",
        paths(boosted_features, "both"),
    ),
    "bilevel": ("FairBiNN", paths(encoded_features, "decisions")),
    "closed_hgb": ("closed form, HGB", closed(gradient_boosting, original_columns)),
    "closed_lr": ("closed form, LR", closed(logistic_regression, encoded_features)),
    "hgb": ("HGB, unmitigated", boosted),
    "reduction_hgb": ("ExponentiatedGradient, HGB", reduction(gradient_boosting, original_columns)),
    "reduction_lr": (
        "ExponentiatedGradient, LR",
        reduction(logistic_regression, encoded_features),
    ),
    "oxonfair": ("OxonFair, HGB, inferred groups", oxonfair),
    "thresholds": ("ThresholdOptimizer, HGB (needs group)", thresholds),
    "error_parity": ("error-parity, HGB (needs group)", error_parity),
    "fairret": ("torch, fairret NormLoss", penalised(norm_loss, (0.01, 0.03, 0.1, 0.3, 1.0))),
    "penalty": ("torch, gap penalty", penalised(gap_penalty, (0.1, 0.3, 1.0, 3.0, 10.0))),
    "adversarial": ("AdversarialFairnessClassifier", adversarial),
}
NEEDS_GROUP = {"thresholds", "error_parity"}
PACKAGES = {"fairret": "fairret", "error_parity": "error-parity", "oxonfair": "oxonfair"}


def difference(values, y, group, criterion):
    """Return the largest difference of group means, over the events of the criterion."""
    table = pd.DataFrame({"value": np.asarray(values, float), "y": y, "group": group})
    gaps = []
    for labels in EVENTS[criterion]:
        means = table[table["y"].isin(labels)].groupby("group")["value"].mean()
        gaps.append(means.max() - means.min())
    return max(gaps)


def measure(predictions, y, group, criterion="demographic_parity"):
    """Return accuracy, and the largest differences of decisions and of scores between groups.

    `predictions` are scores, or a tuple of scores and decisions.
    """
    if isinstance(predictions, tuple):
        scores, decisions = predictions
    else:
        scores, decisions = predictions, predictions > 0.5
    only_decisions = set(np.unique(scores)) <= {0, 1}
    return {
        "accuracy": np.mean(decisions == y),
        "hard": difference(decisions, y, group, criterion),
        "soft": np.nan if only_decisions else difference(scores, y, group, criterion),
    }


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
                **measure(predict(X_new, group_new), y_new, group_new, plan["criterion"]),
                "seconds": seconds,
            }


def interpolate(points, bounds):
    """Return the accuracy at each difference, interpolated between neighbouring settings."""
    points = points.sort_values("hard")
    return np.interp(bounds, points["hard"], points["accuracy"], left=np.nan, right=np.nan)


def with_std(mean, std):
    """Return "mean ± std", or nothing if the mean is missing."""
    return f"{mean:.4f} ± {std:.4f}" if mean == mean else ""


def accuracy_at(table, bounds):
    """Return the test accuracy at each difference and the times, by method."""
    rows = []
    for method, runs in table[table["stage"] == "test"].groupby("method", sort=False):
        means = interpolate(runs.groupby("setting")[["hard", "accuracy"]].mean(), bounds)
        seeds = [interpolate(points, bounds) for _, points in runs.groupby("seed")]
        stds = [
            np.nanstd(values) if m == m else 0 for m, *values in zip(means, *seeds, strict=True)
        ]
        n_settings, n_seeds = runs["setting"].nunique(), runs["seed"].nunique()
        rows.append(
            {
                "method": METHODS[method][0],
                **{f"at {b}": with_std(m, s) for b, m, s in zip(bounds, means, stds, strict=True)},
                "settings": n_settings,
                "seeds": n_seeds,
                "CPU s per curve": round(runs["seconds"].sum() / n_seeds, 1),
            }
        )
    return pd.DataFrame(rows)


def choose(table, bounds):
    """Return the test metrics of the best setting on validation samples by method and bound."""
    rows = []
    for method, runs in table.groupby("method", sort=False):
        grouped = runs.groupby(["stage", "setting"])[["accuracy", "hard", "soft"]]
        means, stds = grouped.mean(), grouped.std(ddof=0)
        on_valid, mean, std = means.loc["validation"], means.loc["test"], stds.loc["test"]
        for bound in bounds:
            within = on_valid[on_valid["hard"] <= bound]
            if len(within) and (setting := within["accuracy"].idxmax()) in mean.index:
                names = {"accuracy": "accuracy", "hard": "difference", "soft": "of mean scores"}
                rows.append(
                    {
                        **{"method": METHODS[method][0], "at most": bound, "setting": setting},
                        **{
                            new: with_std(mean.loc[setting, old], std.loc[setting, old])
                            for old, new in names.items()
                        },
                    }
                )
    return pd.DataFrame(rows)


def report(table, name, title, bounds):
    """Print and save the two tables; draw the fronts on the test samples."""
    import matplotlib.pyplot as plt

    order = {method: k for k, method in enumerate(METHODS)}
    table = table.sort_values("method", key=lambda column: column.map(order), kind="stable")
    tables = {
        "at": ("Test accuracy at a difference of decisions", accuracy_at(table, bounds)),
        "chosen": ("Test metrics of settings chosen on validation samples", choose(table, bounds)),
    }
    for suffix, (heading, frame) in tables.items():
        print(f"\n{title}. {heading}:\n{frame.to_string(index=False)}")
        frame.to_csv(RESULTS / f"{name}_{suffix}.csv", index=False)

    test = table[table["stage"] == "test"]
    fig, ax = plt.subplots(figsize=(8, 5.5), layout="constrained")
    for method, runs in test.groupby("method", sort=False):
        grouped = runs.groupby("setting")[["hard", "accuracy"]]
        mean, std = grouped.mean(), grouped.std(ddof=0)
        ParetoFrontDisplay(
            mean["hard"],
            mean["accuracy"],
            difference_std=std["hard"],
            score_std=std["accuracy"],
            label=METHODS[method][0],
        ).plot(ax)
    accuracies = test.groupby(["method", "setting"])["accuracy"].mean()
    ax.set_ylim(bottom=accuracies.quantile(0.1) - 0.005)  # leave out constant predictions
    ax.set(title=title, xlabel="Difference of decisions between groups (0 to 1, lower is better)")
    fig.savefig(RESULTS / f"{name}.png", dpi=110)


def available(methods, blind):
    """Return the methods that can run, and print why others cannot."""
    usable = []
    for method in methods:
        package = PACKAGES.get(method)
        if blind and method in NEEDS_GROUP:
            print(f"{method}: left out with --blind, because it needs the group to predict.")
        elif package and importlib.util.find_spec(method) is None:
            print(f"{method}: left out, because it is not installed: pip install {package}")
        else:
            usable.append(method)
    return usable


def main():
    """Run the missing methods and seeds, then report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--data", choices=sorted(PLANS), default="adult")
    parser.add_argument("--folder", help="folder with the file of the table; see tables.py")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--blind", action="store_true", help="drop the sensitive feature from X")
    kind.add_argument("--aware", action="store_true", help="keep the sensitive feature in X")
    parser.add_argument("--criterion", choices=list(EVENTS), default="demographic_parity")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--report", action="store_true", help="only report the existing results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    plan = {**PLANS[args.data], "blind": args.blind, "criterion": args.criterion}
    if (args.data, args.criterion) == ("adult", "equalized_odds"):
        plan.update(ODDS)
    name = f"frontier_{args.data}_{'blind' if args.blind else 'aware'}"
    name += "" if args.criterion == "demographic_parity" else f"_{args.criterion}"
    file = RESULTS / f"{name}.csv"
    table = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=["method", "seed"])
    if not args.report:
        train, test = load_table(args.data, args.folder, blind=args.blind)
        done = set(zip(table["method"], table["seed"], strict=True))
        todo = [
            (method, seed)
            for seed in range(args.seeds)
            for method in available(args.methods, args.blind)
            if (method, seed) not in done
        ]
        with Progress() as progress:
            task = progress.add_task("fits", total=len(todo))
            for method, seed in todo:
                progress.update(task, description=f"{method}, seed {seed}")
                rows = pd.DataFrame(run(method, seed, train, test, plan)).round(5)
                rows.to_csv(file, mode="a", header=not file.exists(), index=False)
                progress.advance(task)
        table = pd.read_csv(file)
    title = (
        f"{args.data.capitalize()}, {'blind' if args.blind else 'aware'}: {SENSITIVE[args.data]} "
        f"{'not among' if args.blind else 'among'} the features; {args.criterion.replace('_', ' ')}"
    )
    report(table, name, title, plan["bounds"])


if __name__ == "__main__":
    main()
