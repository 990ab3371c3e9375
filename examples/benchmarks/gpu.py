"""
A GPU against the CPU, and against a bare loop on the same GPU, by batch size.

    python examples/benchmarks/gpu.py

Adult's training rows 8 times over, the default net, 3 epochs each after a warm-up of one: seconds
an epoch of the estimator on the CPU and on the device, of the bare loop of ``speed.py`` on the
device, and of a path of 16 etas; and the share of an epoch's time in which kernels run, by torch's
profiler.
``--device cpu`` tries the script without one.
"""

import argparse
import time

import numpy as np
import pandas as pd
import torch
from adult_features import adult_features
from speed import ETA, bare_loop

from fairbinn_sklearn import FairBiNNClassifier, fairness_path

SIZES = (256, 1024, 4096, 16_384, 65_536)


def seconds(function, device):
    """Wall time of a call, until the device is done."""
    start = time.perf_counter()
    function()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def an_epoch(fit, epochs, device):
    """Seconds an epoch: what longer training adds, divided by its epochs."""
    fit(1)
    return (seconds(lambda: fit(1 + epochs), device) - seconds(lambda: fit(1), device)) / epochs


def share_in_kernels(fit, device):
    """Share of the time of an epoch in which the device computes."""
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CUDA if device != "cpu" else ProfilerActivity.CPU]
    fit(1)
    with profile(activities=activities) as profiler:
        whole = seconds(lambda: fit(1), device)
    name = "self_device_time_total" if device != "cpu" else "self_cpu_time_total"
    return sum(getattr(event, name) for event in profiler.key_averages()) / 1e6 / whole


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--times", type=int, default=8, help="copies of the training rows")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--save", help="CSV file to write")
    given = parser.parse_args()
    X, y, sex = (np.concatenate([one] * given.times) for one in adult_features()[:3])
    tensors = [
        torch.tensor(X, device=given.device),
        torch.tensor(y, dtype=torch.float32, device=given.device),
        torch.tensor(sex == "Male", dtype=torch.long, device=given.device),
    ]
    records = []
    for batch_size in given.sizes:
        settings = {"batch_size": batch_size, "random_state": 0}

        def fit(epochs, device, settings=settings):
            clf = FairBiNNClassifier(ETA, max_epochs=epochs, device=device, **settings)
            clf.fit(X, y, sensitive_features=sex)

        def path(epochs, settings=settings):
            clf = FairBiNNClassifier(max_epochs=epochs, device=given.device, **settings)
            fairness_path(X, y, sex, etas=np.geomspace(0.5, 50, 16), estimator=clf)

        def bare(epochs, batch_size=batch_size):
            bare_loop(*tensors, epochs=epochs, batch_size=batch_size)

        figures = {
            "CPU": an_epoch(lambda epochs: fit(epochs, "cpu"), given.epochs, "cpu"),
            given.device: an_epoch(
                lambda epochs: fit(epochs, given.device), given.epochs, given.device
            ),
            "bare loop": an_epoch(bare, given.epochs, given.device),
            "path of 16": an_epoch(path, given.epochs, given.device),
        }
        records.append(
            {
                "batch size": batch_size,
                **{f"{name}, s an epoch": one for name, one in figures.items()},
                "CPU / device": figures["CPU"] / figures[given.device],
                "device / bare loop": figures[given.device] / figures["bare loop"],
                "share in kernels": share_in_kernels(
                    lambda epochs: fit(epochs, given.device), given.device
                ),
            }
        )
        print({name: round(value, 4) for name, value in records[-1].items()}, flush=True)
    table = pd.DataFrame(records).round(4)
    print(table.to_string(index=False))
    if given.save:
        table.to_csv(given.save, index=False)


if __name__ == "__main__":
    main()
