"""Measure accuracy and differences on Adult over eta for each update rule.

Run ``python examples/benchmarks/adult_eta.py``. ``--save FILE`` writes one row per fit as CSV,
``--summary FILE`` one row per rule and eta, with means over seeds. All other parameters have their
defaults. Every eta is reported, so nothing is selected on the test samples. Times are CPU seconds
of this process.
"""

import argparse
import time

import pandas as pd
import torch
from adult_features import adult_features
from fairlearn.metrics import MetricFrame, selection_rate

from fairbinn_sklearn import FairBiNNClassifier

ETAS = [0, 1, 3, 10, 30, 100, 1000]
METHODS = ["lagrangian", "bilevel", "alternating", "unrolled"]


def measure(data, *, eta, seed, **params):
    """Fit once; return the metrics on the test samples. `data` is X, y and sex of both parts."""
    X_train, y_train, sex_train, X_test, y_test, sex_test = data
    clf = FairBiNNClassifier(eta=eta, random_state=seed, **params)
    start = time.process_time()
    clf.fit(X_train, y_train, sensitive_features=sex_train)
    seconds = time.process_time() - start
    y_pred, scores = clf.predict(X_test), clf.predict_proba(X_test)[:, 1]
    hard, soft = (
        MetricFrame(
            metrics=selection_rate if kind == "hard" else mean_score,
            y_true=y_test,
            y_pred=values,
            sensitive_features=sex_test,
        ).difference()
        for kind, values in (("hard", y_pred), ("soft", scores))
    )
    return {
        **params,
        "eta": eta,
        "seed": seed,
        "accuracy": (y_pred == y_test).mean(),
        "hard_dp": hard,
        "soft_dp": soft,
        "selection_rate": y_pred.mean(),
        "seconds": seconds,
    }


def mean_score(y_true, y_pred):
    """Return the mean score, with the signature of a fairlearn metric."""
    return y_pred.mean()


def main():
    """Print, and optionally save, one row per rule and eta."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--etas", type=float, nargs="+", default=ETAS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--save", help="CSV file for the metrics of each fit")
    parser.add_argument("--summary", help="CSV file for means and standard deviations")
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = adult_features()
    print(
        f"{data[0].shape[1]} features, {len(data[0])} training samples, {len(data[3])} test samples"
    )
    print("method, eta; mean and std over seeds: accuracy, hard DP, soft DP, selection rate")
    records = []
    for eta in args.etas:
        for seed in range(args.seeds):  # methods take turns, so that their times are comparable
            records += [measure(data, eta=eta, seed=seed, method=method) for method in args.methods]
        table = summary(records[-args.seeds * len(args.methods) :], "method")
        print(table.to_string(index=False, header=False), flush=True)
    records.sort(key=lambda record: args.methods.index(record["method"]))
    if args.save:
        pd.DataFrame(records).to_csv(args.save, index=False, float_format="%.5f")
    table = summary(records, "method")
    if "lagrangian" in args.methods:
        seconds = pd.DataFrame(records).groupby(["method", "eta"], sort=False)["seconds"].median()
        table["time / lagrangian"] = (
            (seconds / seconds["lagrangian"].reindex(seconds.index, level="eta"))
            .map("{:.2f}".format)
            .to_numpy()
        )
    print(table.to_string(index=False))
    if args.summary:
        table.to_csv(args.summary, index=False)


def summary(records, setting):
    """Return mean and standard deviation over the seeds by setting and eta, as text."""
    columns = {
        "accuracy": "accuracy",
        "hard_dp": "hard DP",
        "soft_dp": "soft DP",
        "selection_rate": "selection rate",
    }
    runs = pd.DataFrame(records).groupby([setting, "eta"], sort=False)[list(columns)]
    mean, std = (table.map("{:.4f}".format) for table in (runs.mean(), runs.std()))
    return (mean + " ± " + std).rename(columns=columns).reset_index()


if __name__ == "__main__":
    main()
