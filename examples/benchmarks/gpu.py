"""
Compare a GPU with the CPU, and with a bare loop on the same GPU, by batch size.

    python examples/benchmarks/gpu.py

The data are 8 copies of Adult's training samples. The script measures seconds per epoch over 3
epochs, after a warm-up of one: of the estimator with the default network on the CPU and on the
device, of the bare loop of ``speed.py`` on the device, and of a path over 16 values of eta. It also
measures the share of an epoch in which kernels run, with torch's profiler.
``--device cpu`` runs the script without a GPU.
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
    """Return the wall time of a call, including the work queued on the device."""
    start = time.perf_counter()
    function()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def seconds_per_epoch(fit, epochs, device):
    """Return the additional time of a longer training, divided by its additional epochs."""
    fit(1)
    return (seconds(lambda: fit(1 + epochs), device) - seconds(lambda: fit(1), device)) / epochs


def share_in_kernels(fit, device):
    """Return the share of an epoch in which the device computes."""
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CUDA if device != "cpu" else ProfilerActivity.CPU]
    fit(1)
    with profile(activities=activities) as profiler:
        total = seconds(lambda: fit(1), device)
    name = "self_device_time_total" if device != "cpu" else "self_cpu_time_total"
    return sum(getattr(event, name) for event in profiler.key_averages()) / 1e6 / total


def main():
    """Print, and optionally save, one row per batch size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--times", type=int, default=8, help="copies of the training samples")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--save", help="CSV file to write")
    args = parser.parse_args()
    X, y, sex = (np.concatenate([values] * args.times) for values in adult_features()[:3])
    tensors = [
        torch.tensor(X, device=args.device),
        torch.tensor(y, dtype=torch.float32, device=args.device),
        torch.tensor(sex == "Male", dtype=torch.long, device=args.device),
    ]
    records = []
    for batch_size in args.sizes:
        settings = {"batch_size": batch_size, "random_state": 0}

        def fit(epochs, device, settings=settings):
            clf = FairBiNNClassifier(ETA, max_epochs=epochs, device=device, **settings)
            clf.fit(X, y, sensitive_features=sex)

        def path(epochs, settings=settings):
            clf = FairBiNNClassifier(max_epochs=epochs, device=args.device, **settings)
            fairness_path(X, y, sex, etas=np.geomspace(0.5, 50, 16), estimator=clf)

        def bare(epochs, batch_size=batch_size):
            bare_loop(*tensors, epochs=epochs, batch_size=batch_size)

        times = {
            "CPU": seconds_per_epoch(lambda epochs: fit(epochs, "cpu"), args.epochs, "cpu"),
            args.device: seconds_per_epoch(
                lambda epochs: fit(epochs, args.device), args.epochs, args.device
            ),
            "bare loop": seconds_per_epoch(bare, args.epochs, args.device),
            "path of 16": seconds_per_epoch(path, args.epochs, args.device),
        }
        records.append(
            {
                "batch size": batch_size,
                **{f"{name}, s per epoch": value for name, value in times.items()},
                "CPU / device": times["CPU"] / times[args.device],
                "device / bare loop": times[args.device] / times["bare loop"],
                "share in kernels": share_in_kernels(
                    lambda epochs: fit(epochs, args.device), args.device
                ),
            }
        )
        print({name: round(value, 4) for name, value in records[-1].items()}, flush=True)
    table = pd.DataFrame(records).round(4)
    print(table.to_string(index=False))
    if args.save:
        table.to_csv(args.save, index=False)


if __name__ == "__main__":
    main()
