"""
Draw the trade-off on Adult, a chosen model and its audit, for the README.

    python examples/benchmarks/trade_off.py --save docs/static/trade_off.png

A path is trained on three quarters of Adult's training samples. The model is chosen on the other
quarter: the most accurate one whose difference is at most 0.05. The orange line is the closed form,
with probabilities estimated by gradient boosting. It uses the same training and validation samples
as the path, and shows the highest accuracy among the bounds with at most this difference. The audit
shows the test samples, which were used for neither. Sex is among the features; the sampling weight
fnlwgt is not. The script takes about a minute on one core.
"""

import argparse
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

import matplotlib.pyplot as plt
import numpy as np
from closed_form import ClosedFormClassifier
from fairlearn.metrics import demographic_parity_difference
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from fairbinn_sklearn import FairBiNNClassifier, fairness_path
from fairbinn_sklearn.datasets import load_adult
from fairbinn_sklearn.inspection import AuditDisplay, ParetoFrontDisplay
from fairbinn_sklearn.preprocessing import tabular_preprocessor

BOUND = 0.05
ETAS = [0, 0.3, 1, 2, 4, 8, 16, 32]
RULE_BOUNDS = [0.001, 0.01, 0.02, 0.05, 0.1, 0.15, 1]


def fit():
    """Return the path and the closed form's curve on validation samples, and the test samples."""
    train, test = load_adult(subset="train"), load_adult(subset="test")
    sex = train.sensitive_features["sex"]
    X, X_test = (part.data.drop(columns="fnlwgt") for part in (train, test))
    X, X_valid, y, y_valid, sex, sex_valid = train_test_split(
        X, train.target, sex, stratify=train.target, random_state=0
    )
    model = make_pipeline(tabular_preprocessor(), FairBiNNClassifier(random_state=0))
    path = fairness_path(X, y, sex, etas=ETAS, estimator=model)
    path = path.evaluate(X_valid, y_valid, sensitive_features=sex_valid)
    boosting = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)
    rule = ClosedFormClassifier(boosting).fit(X, y, sensitive_features=sex)
    points = []
    for bound in RULE_BOUNDS:
        y_pred = rule.set_bound(bound).predict(X_valid)
        difference = demographic_parity_difference(y_valid, y_pred, sensitive_features=sex_valid)
        points.append((difference, np.mean(y_pred == y_valid)))
    differences, accuracies = np.transpose(sorted(points))
    closed_form = differences, np.maximum.accumulate(accuracies)
    return path, closed_form, (X_test, test.target, test.sensitive_features["sex"])


def draw(path, closed_form, X, y, sex):
    """Draw the path with the chosen point and the closed form, and the audit beside it."""
    fig = plt.figure(figsize=(12, 4), layout="constrained")
    left, right = fig.subfigures(1, 2, width_ratios=[1, 1.2])
    ax, chosen, table = left.subplots(), path.best_under(BOUND), path.to_frame()
    ParetoFrontDisplay.from_path(path, bound=BOUND, ax=ax)
    ax.plot(*closed_form, color="tab:orange", zorder=1, label="closed form, estimated")
    point = table.loc[table["eta"] == chosen[-1].eta]
    ax.plot(
        *(point["demographic_parity_difference"], point["accuracy"], "o"),
        **{"markersize": 15, "markeredgewidth": 2, "fillstyle": "none", "color": "tab:red"},
        label=f"chosen: eta {chosen[-1].eta:g}",
    )
    ax.legend(loc="lower right")
    ax.set(xlabel="demographic parity difference", ylabel="accuracy", xlim=(-0.03, None))
    ax.set_title("1. Train a path, choose on validation samples")
    axes = right.subplots(1, 3, sharey=True)
    audit = AuditDisplay.from_estimator(
        chosen, X, y, sensitive_features=sex, baseline=path[0], random_state=0, ax=axes
    )
    for ax, column in zip(axes, audit.differences["after"].index, strict=True):
        before, after = (audit.differences[k]["difference"][column] for k in ("before", "after"))
        name = column.replace("_", " ").capitalize()
        ax.set_title(f"{name}\ndifference {before:.2f} to {after:.2f}", fontsize="medium")
        ax.set(xlabel="", xlim=(0, 1.3 * ax.dataLim.x1))
        if ax.get_legend():
            ax.get_legend().remove()
    handles, _ = axes[0].get_legend_handles_labels()
    names = ["accuracy only", f"chosen: eta {chosen[-1].eta:g}"]
    right.legend(handles, names, loc="outside lower center", ncols=2)
    right.suptitle("2. Audit on test samples, with 95 % intervals")
    return fig, chosen, audit


def main():
    """Draw, print the numbers in the picture, and save it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--save", help="path of the PNG file")
    args = parser.parse_args()
    path, closed_form, test = fit()
    fig, chosen, audit = draw(path, closed_form, *test)
    print(path.to_frame().round(4).to_string())
    print("closed form:", *(f"{a:.4f} at {d:.4f}" for d, a in zip(*closed_form, strict=True)))
    for name, model in (("accuracy only", path[0]), ("chosen", chosen)):
        print(f"{name}: test accuracy {model.score(test[0], test[1]):.4f}")
    for name, table in audit.differences.items():
        print(name, table.round(4).to_string(), sep="\n")
    if args.save:
        fig.savefig(args.save, dpi=110)
    else:
        plt.show()


if __name__ == "__main__":
    main()
