"""Compare the time of a fit, a path and predictions with the arithmetic and with other methods.

Run ``python examples/benchmarks/speed.py``. CPU times of one process with one thread are taken in
turns, A B A B ..., after a warm-up. Medians, smallest and largest ratios are reported. ``--save
FOLDER`` writes the tables speed_fit.csv, speed_complete.csv and speed_serving.csv.

``--released FOLDER`` adds an epoch of the code released by the paper's authors. FOLDER is a copy of
github.com/yazdanimehdi/FairBiNN with its data. Its training script runs unchanged, with its network
and batches of 200, and reports the mean seconds per epoch from the 12th epoch on, which include an
evaluation on the test samples and a progress bar. The estimator uses the same network and batches.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from adult_features import adult_features
from fairlearn.adversarial import AdversarialFairnessClassifier
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.reductions import DemographicParity, ExponentiatedGradient
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from torch import nn

from fairbinn_sklearn import FairBiNNClassifier, fairness_path
from fairbinn_sklearn.metrics import FairnessScorer

ETA, WINDOW, MAX_STEP = 10.0, 10_000, 0.01


def bare_loop(X, y, group, *, epochs, batch_size, seed=0):
    """Train the default network, without its scale of the features, in plain eager torch."""
    torch.manual_seed(seed)
    base = nn.Sequential(nn.Linear(X.shape[1], 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU())
    fairness = nn.Sequential(nn.Linear(128, 128), nn.ReLU())
    head = nn.Linear(128, 1)
    for part in (base, fairness, head):
        part.to(X.device)
    leader = [*base.parameters(), *head.parameters()]
    follower = list(fairness.parameters())
    adam = torch.optim.Adam(leader, lr=1e-3, weight_decay=3e-4, fused=True)
    sgd = torch.optim.SGD(follower, lr=1e-3, fused=True)
    cross_entropy = nn.BCEWithLogitsLoss()
    names = torch.arange(2, device=X.device)
    counts, sums = torch.zeros(2, device=X.device), torch.zeros(2, 2, device=X.device)
    for epoch in range(epochs):
        factor = (1 + np.cos(np.pi * epoch / epochs)) / 2
        adam.param_groups[0]["lr"] = sgd.param_groups[0]["lr"] = 1e-3 * factor
        for index in torch.randperm(len(X), device=X.device).split(batch_size):
            X_b, y_b, group_b = X[index], y[index], group[index]
            logits = head(fairness(base(X_b)))[:, 0]
            accuracy_loss = cross_entropy(logits, y_b)
            scores = torch.sigmoid(logits)
            with torch.no_grad():
                members = (group_b[:, None] == names).float()
                decay = np.exp(-len(index) / WINDOW)
                batch_counts = members.sum(0)
                counts.mul_(decay).add_(batch_counts)
                values = torch.stack([scores, (logits > 0).float()])
                sums.mul_(decay).add_(values @ members)
                rates = torch.lerp(*(sums / counts), epoch / max(epochs - 1, 1))
                rate_gradient = 4 * (rates - rates.mean())
                score_gradient = members @ (rate_gradient / batch_counts.clamp(min=1))
            fairness_loss = ETA * (score_gradient * scores).sum()
            leader_gradient = torch.autograd.grad(
                accuracy_loss + fairness_loss, leader, retain_graph=True
            )
            follower_gradient = torch.autograd.grad(fairness_loss, follower)
            for parameter, gradient in zip(leader, leader_gradient, strict=True):
                parameter.grad = gradient
            for parameter, gradient in zip(follower, follower_gradient, strict=True):
                parameter.grad = gradient
            before = [parameter.detach().clone() for parameter in follower]
            adam.step()
            sgd.step()
            with torch.no_grad():
                norms = [(new - old).norm() for new, old in zip(follower, before, strict=True)]
                step_size = (MAX_STEP / torch.stack(norms).norm()).clamp(max=1)
                for new, old in zip(follower, before, strict=True):
                    new.copy_(torch.lerp(old, new, step_size))
    return base, fairness, head


def matrix_products(X, *, epochs, batch_size):
    """Compute only the matrix products of the training, into preallocated arrays."""
    widths = [X.shape[1], 128, 128, 128, 1]
    weights = [torch.randn(out, n) for n, out in zip(widths, widths[1:], strict=False)]
    outputs = [torch.empty(batch_size, n) for n in widths[1:]]
    grads = [torch.empty_like(weight) for weight in weights]
    deltas = [torch.full_like(output, 0.1) for output in outputs]
    inputs = [X[:batch_size].contiguous(), *outputs]
    for _ in range(epochs * -(-len(X) // batch_size)):
        for k, weight in enumerate(weights):
            torch.mm(inputs[k], weight.T, out=outputs[k])
        for k in reversed(range(len(weights))):
            torch.mm(deltas[k].T, inputs[k], out=grads[k])
            if k:
                torch.mm(deltas[k], weights[k], out=deltas[k - 1])


def in_turns(functions, repeats, clock=time.process_time):
    """Return seconds of functions of no arguments, called in turns after a warm-up."""
    for function in functions.values():
        function()
    times = []
    for _ in range(repeats):
        edges = [clock()]
        for function in functions.values():
            function()
            edges.append(clock())
        times.append(np.diff(edges))
    return pd.DataFrame(times, columns=list(functions))


def summarise(name, values):
    """Return the median and range of some values as a row of a table."""
    median, smallest, largest = np.percentile(values, [50, 0, 100]).round(2)
    return {"": name, "median": median, "smallest": smallest, "largest": largest}


def import_times(repeats=5):
    """Return the seconds that importing the package adds to importing torch and scikit-learn."""
    code = (
        "import time, torch, sklearn.metrics, sklearn.model_selection, sklearn.pipeline;"
        "start = time.perf_counter();"
        "import fairbinn_sklearn; print(time.perf_counter() - start)"
    )
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **os.environ,
            "PYTHONPYCACHEPREFIX": folder,
        }  # compile once, as in an installed package
        env.pop("PYTHONDONTWRITEBYTECODE", None)

        def import_seconds():
            done = subprocess.run(
                [sys.executable, "-c", code], check=True, capture_output=True, env=env
            )
            return float(done.stdout)

        import_seconds()
        return [import_seconds() for _ in range(repeats)]


def raw_forward(clf, X):
    """Return a function that calls the network of a classifier alone."""
    tensor = torch.tensor(X)

    def forward():
        with torch.inference_mode():
            clf.module_(tensor)

    return forward


def tensors_of(X, y, sex):
    """Return the samples in the form that the bare loop takes."""
    return (
        torch.tensor(X),
        torch.tensor(y, dtype=torch.float32),
        torch.tensor(sex == "Male", dtype=torch.long),
    )


def fit_table(data, epochs, repeats):
    """Compare trainings of the same number of epochs in batches of 256."""
    X, y, sex = data
    tensors = tensors_of(*data)
    params = {"max_epochs": epochs, "batch_size": 256, "device": "cpu", "random_state": 0}
    clf, plain = (FairBiNNClassifier(eta, **params) for eta in (ETA, 0))
    adversarial = AdversarialFairnessClassifier(
        backend="torch",
        predictor_model=3 * [128, "relu"],
        adversary_model=[],
        batch_size=256,
        epochs=epochs,
        learning_rate=1e-4,  # larger values make its scores NaN
        alpha=0.1,
        random_state=0,
    )
    functions = {
        "matrix products only": lambda: matrix_products(tensors[0], epochs=epochs, batch_size=256),
        "FairBiNNClassifier, accuracy only": lambda: plain.fit(X, y),
        "FairBiNNClassifier": lambda: clf.fit(X, y, sensitive_features=sex),
        "bare loop": lambda: bare_loop(*tensors, epochs=epochs, batch_size=256),
        "AdversarialFairnessClassifier": lambda: adversarial.fit(X, y, sensitive_features=sex),
    }
    times = in_turns(functions, repeats)
    ours = times["FairBiNNClassifier"]
    return [
        {
            **summarise(name, times[name] / times["bare loop"]),
            "FairBiNNClassifier / this": np.median(ours / times[name]).round(2),
        }
        for name in times
    ]


def complete_table(data, repeats):
    """Compare complete fits with default settings with a bare loop of 20 epochs."""
    X, y, sex = data
    tensors = tensors_of(*data)
    clf = FairBiNNClassifier(ETA, device="cpu", random_state=0)
    etas = np.geomspace(0.1, 30, 16)
    reduction = ExponentiatedGradient(
        LogisticRegression(max_iter=1000), DemographicParity(difference_bound=0.02)
    )
    thresholds = ThresholdOptimizer(
        estimator=HistGradientBoostingClassifier(random_state=0), predict_method="predict_proba"
    )
    functions = {
        "bare loop, 20 epochs of 256": lambda: bare_loop(*tensors, epochs=20, batch_size=256),
        "FairBiNNClassifier": lambda: clf.fit(X, y, sensitive_features=sex),
        "fairness_path, 16 etas": lambda: fairness_path(X, y, sex, etas=etas, estimator=clf),
        "ExponentiatedGradient, logistic regression, one bound": lambda: reduction.fit(
            X, y, sensitive_features=sex
        ),
        "ThresholdOptimizer, gradient boosting, one point": lambda: thresholds.fit(
            X, y, sensitive_features=sex
        ),
    }
    times = in_turns(functions, repeats)
    return [summarise(name, times[name] / times["bare loop, 20 epochs of 256"]) for name in times]


def serving_table(data, repeats):
    """Compare predictions with the raw forward pass; scorers in milliseconds."""
    X, y, sex = data
    clf = FairBiNNClassifier(ETA, max_epochs=1, device="cpu", random_state=0)
    clf.fit(X, y, sensitive_features=sex)
    table = []
    for n_samples, n_repeats in ((1, 50 * repeats), (30_000, repeats), (1_000_000, repeats)):
        X_new = np.resize(X, (n_samples, X.shape[1]))
        functions = {"ours": lambda X=X_new: clf.predict_proba(X), "raw": raw_forward(clf, X_new)}
        times = in_turns(functions, n_repeats)
        name = f"predict_proba / raw forward pass, {n_samples:,} sample{'s'[: n_samples > 1]}"
        table.append(summarise(name, times["ours"] / times["raw"]))
    X, y, sex = (values[:2_000] for values in data)
    scorer = FairnessScorer()
    functions = {
        "FairnessScorer": lambda: scorer(clf, X, y, sensitive_features=sex),
        "raw forward pass": raw_forward(clf, X),
    }
    times = 1000 * in_turns(functions, 20 * repeats)
    table += [summarise(f"{name}, 2,000 samples, milliseconds", times[name]) for name in times]
    table.append(summarise("import, seconds after torch and scikit-learn", import_times()))
    return table


def released_ratios(folder, repeats, data):
    """Return ratios of an epoch to one of the released code, with its network and batches."""
    epochs = 5
    X, y, sex = data
    clf = FairBiNNClassifier(
        ETA,
        hidden_layer_sizes=(101, 101, 101),
        fairness_position=1,
        batch_size=200,
        max_epochs=epochs,
        device="cpu",
        random_state=0,
    )
    # The released data loader uses numpy.NAN, which numpy 2 has removed.
    code = (
        "import runpy, sys, numpy; numpy.NAN = numpy.nan; sys.path.insert(0, '.');"
        "sys.argv = 'train_tabular.py -m linear -ep 16'.split();"
        "runpy.run_path('train_tabular.py', run_name='__main__')"
    )

    def released_seconds():
        process = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        return float(process.stdout.split()[-1])

    def our_seconds():
        start = time.perf_counter()
        clf.fit(X, y, sensitive_features=sex)
        return (time.perf_counter() - start) / epochs

    return [our_seconds() / released_seconds() for _ in range(repeats)]


def main():
    """Print, and optionally save, the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--released", help="folder with the authors' code")
    parser.add_argument("--save", type=Path, help="folder for the CSV files")
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = adult_features()[:3]
    tables = {"fit": fit_table(data, args.epochs, args.repeats)}
    if args.released:
        ratios = np.array(released_ratios(args.released, 3, data))
        name = "released code, its network and batches of 200"
        row = {"": name, "FairBiNNClassifier / this": np.median(ratios).round(2)}
        tables["fit"].append(row)
    tables["complete"] = complete_table(data, max(1, args.repeats // 4))
    tables["serving"] = serving_table(data, args.repeats)
    for name, rows in tables.items():
        table = pd.DataFrame(rows)
        print(table.to_string(index=False), flush=True)
        if args.save:
            table.to_csv(args.save / f"speed_{name}.csv", index=False)


if __name__ == "__main__":
    main()
