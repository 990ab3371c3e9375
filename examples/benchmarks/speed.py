"""Compare the estimator's time with a bare loop, another method and a raw forward pass.

Run ``python examples/benchmarks/speed.py``. Ratios are computed in pairs, A B A B ..., and their
median, minimum and maximum are reported. ``--save FILE`` writes them as CSV. The milliseconds of a
scorer and the seconds of the import depend on the machine.

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

import numpy as np
import pandas as pd
import torch
from adult_features import adult_features
from fairlearn.adversarial import AdversarialFairnessClassifier
from sklearn.base import clone
from torch import nn

from fairbinn_sklearn import FairBiNNClassifier, fairness_path
from fairbinn_sklearn.metrics import FairnessScorer

ETA, WINDOW, MAX_STEP = 10.0, 10_000, 0.01


def bare_loop(X, y, group, *, epochs, batch_size, seed=0):
    """Train the default network with the default update rule in plain eager torch."""
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


def seconds(function):
    """Return the wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def ratios(function, reference, repeats):
    """Return ratios of the times of two functions, called in turns after a warm-up."""
    function(), reference()
    return np.array([seconds(function) / seconds(reference) for _ in range(repeats)])


def summarise(name, values):
    """Print median and range; return them as a dict."""
    record = {
        "measurement": name,
        "median": np.median(values).round(2),
        "smallest": np.min(values).round(2),
        "largest": np.max(values).round(2),
    }
    print(*record.values(), sep=", ", flush=True)
    return record


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


def serving_ratios(threads, clf, data, repeats=200):
    """Yield the ratio for one sample, and the milliseconds of scorers on 2,000 samples."""
    X, y, sex = (values[:2_000] for values in data)
    yield summarise(
        f"predict_proba / raw forward pass, 1 sample, {threads} thread(s)",
        ratios(lambda: clf.predict_proba(X[:1]), raw_forward(clf, X[:1]), repeats),
    )
    scorer, forward = FairnessScorer(), raw_forward(clf, X)
    functions = {
        "FairnessScorer": lambda: scorer(clf, X, y, sensitive_features=sex),
        "raw forward pass": forward,
    }
    times = [[1000 * seconds(f) for f in functions.values()] for _ in range(repeats)]  # in turns
    for name, values in zip(functions, np.transpose(times), strict=True):
        yield summarise(f"{name}, 2,000 samples, milliseconds, {threads} thread(s)", values)


def compute_ratios(threads, epochs, repeats, data):
    """Yield ratios of fit and predict_proba for a number of threads."""
    torch.set_num_threads(threads)
    X, y, sex = data
    tensors = (
        torch.tensor(X),
        torch.tensor(y, dtype=torch.float32),
        torch.tensor(sex == "Male", dtype=torch.long),
    )
    clf = FairBiNNClassifier(eta=ETA, max_epochs=epochs, device="cpu", random_state=0)
    yield summarise(
        f"fit / bare loop, {epochs} epochs of 256, {threads} thread(s)",
        ratios(
            lambda: clf.fit(X, y, sensitive_features=sex),
            lambda: bare_loop(*tensors, epochs=epochs, batch_size=256),
            repeats,
        ),
    )
    yield summarise(
        f"fit / its matrix products, {epochs} epochs of 256, {threads} thread(s)",
        ratios(
            lambda: clf.fit(X, y, sensitive_features=sex),
            lambda: matrix_products(tensors[0], epochs=epochs, batch_size=256),
            repeats,
        ),
    )
    yield summarise(
        f"path of 16 etas / bare loop of one fit, 20 epochs of 256, {threads} thread(s)",
        ratios(
            lambda: fairness_path(
                X,
                y,
                sex,
                etas=np.geomspace(0.1, 30, 16),
                estimator=clone(clf).set_params(max_epochs=20),
            ),
            lambda: bare_loop(*tensors, epochs=20, batch_size=256),
            max(1, repeats // 4),
        ),
    )
    plain = FairBiNNClassifier(eta=0, max_epochs=epochs, device="cpu", random_state=0)
    yield summarise(
        f"fit / fit for accuracy only, {epochs} epochs of 256, {threads} thread(s)",
        ratios(lambda: clf.fit(X, y, sensitive_features=sex), lambda: plain.fit(X, y), repeats),
    )
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
    yield summarise(
        f"fit / AdversarialFairnessClassifier, {epochs} epochs of 256, {threads} thread(s)",
        ratios(
            lambda: clf.fit(X, y, sensitive_features=sex),
            lambda: adversarial.fit(X, y, sensitive_features=sex),
            repeats,
        ),
    )
    for n_samples in (30_000, 1_000_000):
        X_new = np.resize(X, (n_samples, X.shape[1]))
        yield summarise(
            f"predict_proba / raw forward pass, {n_samples:,} samples, {threads} thread(s)",
            ratios(lambda X_new=X_new: clf.predict_proba(X_new), raw_forward(clf, X_new), repeats),
        )
    yield from serving_ratios(threads, clf, data)


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
            env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        return float(process.stdout.split()[-1])

    return [
        seconds(lambda: clf.fit(X, y, sensitive_features=sex)) / epochs / released_seconds()
        for _ in range(repeats)
    ]


def main():
    """Print, and optionally save, the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--released", help="folder with the authors' code")
    parser.add_argument("--save", help="CSV file to write")
    args = parser.parse_args()
    data = adult_features()[:3]
    records = []
    for threads in args.threads:
        records += compute_ratios(threads, args.epochs, args.repeats, data)
        if args.released:
            label = f"epoch / epoch of the released code, batches of 200, {threads} thread(s)"
            records.append(summarise(label, released_ratios(args.released, 3, data)))
    records.append(summarise("import, seconds after torch and scikit-learn", import_times()))
    if args.save:
        pd.DataFrame(records).to_csv(args.save, index=False)


if __name__ == "__main__":
    main()
