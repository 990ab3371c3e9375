"""Time of the estimator as ratios within one run: to bare loops, to peers, to a raw forward pass.

Run ``python examples/benchmarks/speed.py``. Each ratio is taken pair by pair, A B A B ..., and
its median is quoted, with the smallest and the largest. ``--save FILE`` writes them as CSV.

``--released FOLDER`` adds an epoch of the code that the paper's authors released, a copy of which
lies in the folder (github.com/yazdanimehdi/FairBiNN, with its data): its training script runs as it
is, with its net and batches of 200, and tells its mean seconds an epoch from the 12th on; these
hold a look at the test rows and a progress bar. Ours has the same net and batches.
"""

import argparse
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import torch
from adult_features import adult_features
from fairlearn.adversarial import AdversarialFairnessClassifier
from torch import nn

from fairbinn_sklearn import FairBiNNClassifier

ETA, WINDOW, MAX_STEP = 10.0, 10_000, 0.01


def bare_loop(X, y, group, *, epochs, batch_size, seed=0):
    """Train the default net by the default updates, in plain eager torch."""
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
                keep = np.exp(-len(index) / WINDOW)
                batch_counts = members.sum(0)
                counts.mul_(keep).add_(batch_counts)
                values = torch.stack([scores, (logits > 0).float()])
                sums.mul_(keep).add_(values @ members)
                rates = torch.lerp(*(sums / counts), epoch / max(epochs - 1, 1))
                slopes = 4 * (rates - rates.mean())
                per_row = members @ (slopes / batch_counts.clamp(min=1))
            fairness_loss = ETA * (per_row * scores).sum()
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
                share = (MAX_STEP / torch.stack(norms).norm()).clamp(max=1)
                for new, old in zip(follower, before, strict=True):
                    new.copy_(torch.lerp(old, new, share))
    return base, fairness, head


def seconds(function):
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def ratios(ours, other, repeats):
    """Ratios of the times of two functions, taken in turn after a warm-up."""
    ours(), other()
    return np.array([seconds(ours) / seconds(other) for _ in range(repeats)])


def show(what, values):
    """Print median and range; return them as a record."""
    record = {
        "what": what,
        "median": np.median(values).round(2),
        "smallest": np.min(values).round(2),
        "largest": np.max(values).round(2),
    }
    print(*record.values(), sep=", ", flush=True)
    return record


def import_times(repeats=5):
    """Seconds that the package takes to import once all that it needs is there."""
    code = (
        "import time, torch, sklearn, pandas, skorch, fairlearn; start = time.perf_counter();"
        "import fairbinn_sklearn; print(time.perf_counter() - start)"
    )
    return [
        float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)
        for _ in range(repeats)
    ]


def compute_ratios(threads, epochs, repeats, data):
    """Ratios of fit and of predict_proba at a number of threads."""
    torch.set_num_threads(threads)
    X, y, sex = data
    tensors = (
        torch.tensor(X),
        torch.tensor(y, dtype=torch.float32),
        torch.tensor(sex == "Male", dtype=torch.long),
    )
    clf = FairBiNNClassifier(eta=ETA, max_epochs=epochs, device="cpu", random_state=0)
    yield show(
        f"fit / bare loop, {epochs} epochs of 256, {threads} thread(s)",
        ratios(
            lambda: clf.fit(X, y, sensitive_features=sex),
            lambda: bare_loop(*tensors, epochs=epochs, batch_size=256),
            repeats,
        ),
    )
    plain = FairBiNNClassifier(eta=0, max_epochs=epochs, device="cpu", random_state=0)
    yield show(
        f"fit / fit for accuracy alone, {epochs} epochs of 256, {threads} thread(s)",
        ratios(lambda: clf.fit(X, y, sensitive_features=sex), lambda: plain.fit(X, y), repeats),
    )
    adversarial = AdversarialFairnessClassifier(
        backend="torch",
        predictor_model=3 * [128, "relu"],
        adversary_model=[],
        batch_size=256,
        epochs=epochs,
        learning_rate=1e-4,  # with more its scores become NaN
        alpha=0.1,
        random_state=0,
    )
    yield show(
        f"fit / AdversarialFairnessClassifier, {epochs} epochs of 256, {threads} thread(s)",
        ratios(
            lambda: clf.fit(X, y, sensitive_features=sex),
            lambda: adversarial.fit(X, y, sensitive_features=sex),
            repeats,
        ),
    )
    for n_rows in (30_000, 1_000_000):
        rows = np.resize(X, (n_rows, X.shape[1]))
        raw = torch.tensor(rows)

        def forward(raw=raw):
            with torch.inference_mode():
                clf.module_(raw)

        yield show(
            f"predict_proba / raw forward pass, {n_rows:,} rows, {threads} thread(s)",
            ratios(lambda rows=rows: clf.predict_proba(rows), forward, repeats),
        )


def released_ratios(folder, repeats, data):
    """Epoch of the estimator against one of the released code, with its net and batches."""
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
    # Its data loader asks for a name that numpy has dropped.
    code = (
        "import runpy, sys, numpy; numpy.NAN = numpy.nan; sys.path.insert(0, '.');"
        "sys.argv = 'train_tabular.py -m linear -ep 16'.split();"
        "runpy.run_path('train_tabular.py', run_name='__main__')"
    )

    def theirs():
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        return float(done.stdout.split()[-1])

    return [
        seconds(lambda: clf.fit(X, y, sensitive_features=sex)) / epochs / theirs()
        for _ in range(repeats)
    ]


def main():
    """Print the ratios, and save them if asked."""
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
            records.append(show(label, released_ratios(args.released, 3, data)))
    records.append(show("import, seconds beyond its dependencies", import_times()))
    if args.save:
        pd.DataFrame(records).to_csv(args.save, index=False)


if __name__ == "__main__":
    main()
