"""
Compare a GPU with the CPU, and with a bare loop on the same GPU, by batch size.

    python examples/benchmarks/gpu.py

The data are copies of Adult's training samples. The times are milliseconds per training step: the
additional time of a fit with more epochs, divided by its additional steps. A step includes its
share of the work of an epoch, such as shuffling. The number of epochs is chosen so that at least
``--steps`` steps are added. Times on the device are medians over ``--repeats``; the time on the CPU
is a single measurement of at least 40 steps.

Four methods are timed. The estimator with the default network runs on the CPU and on the device.
The CPU time is the shorter of one thread and all threads. The bare loop of ``speed.py`` runs on the
device. A path over 16 values of eta runs on the device, too; a GPU trains its networks side by
side.

The share in kernels is measured with torch's profiler: the time during which the device computes,
divided by the time of the fit. ``--device cpu`` runs the script without a GPU.
"""

import argparse
import math
import time
import warnings

import numpy as np
import pandas as pd
import torch
from adult_features import adult_features
from sklearn.exceptions import ConvergenceWarning
from speed import ETA, bare_loop
from torch.profiler import ProfilerActivity, profile

from fairbinn_sklearn import FairBiNNClassifier, fairness_path

SIZES = (256, 1024, 4096, 16_384, 65_536)
MAX_STEPS_PER_EPOCH = 64  # limit the samples, because full epochs take too long
CPU_STEPS = 40


def seconds(function):
    """Return the wall time of a call, including the work queued on a GPU."""
    start = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def milliseconds_per_step(fit, steps_per_epoch, steps, repeats):
    """Return the median time per additional step of a longer fit, in milliseconds."""
    epochs = math.ceil(steps / steps_per_epoch)
    fit(1)
    times = [seconds(lambda: fit(1 + epochs)) - seconds(lambda: fit(1)) for _ in range(repeats)]
    return 1e3 * float(np.median(times)) / (epochs * steps_per_epoch)


def share_in_kernels(fit, device):
    """Return the fraction of the fit time during which the device computes."""
    activity = ProfilerActivity.CPU if device == "cpu" else ProfilerActivity.CUDA
    with profile(activities=[activity], acc_events=True) as profiler:
        total = seconds(fit)
    name = "self_cpu_time_total" if device == "cpu" else "self_device_time_total"
    return sum(getattr(event, name) for event in profiler.key_averages()) / 1e6 / total


def measure(data, batch_size, device, steps, repeats):
    """Return a row of the table."""
    n_samples = min(len(data[0]), MAX_STEPS_PER_EPOCH * batch_size)
    X, y, sex = (values[:n_samples] for values in data)
    steps_per_epoch = math.ceil(n_samples / batch_size)
    settings = {"batch_size": batch_size, "random_state": 0}
    tensors = [
        torch.tensor(X, device=device),
        torch.tensor(y, dtype=torch.float32, device=device),
        torch.tensor(sex == "Male", dtype=torch.long, device=device),
    ]

    def fit(epochs, device=device):
        clf = FairBiNNClassifier(ETA, max_epochs=epochs, device=device, **settings)
        clf.fit(X, y, sensitive_features=sex)

    def path(epochs):
        clf = FairBiNNClassifier(max_epochs=epochs, device=device, **settings)
        fairness_path(X, y, sex, etas=np.geomspace(0.5, 50, 16), estimator=clf)

    def bare(epochs):
        bare_loop(*tensors, epochs=epochs, batch_size=batch_size)

    def on_cpu(threads):
        all_threads = torch.get_num_threads()
        torch.set_num_threads(threads)
        time = milliseconds_per_step(
            lambda epochs: fit(epochs, "cpu"), steps_per_epoch, CPU_STEPS, 1
        )
        torch.set_num_threads(all_threads)
        return time

    on_device, loop, networks = (
        milliseconds_per_step(function, steps_per_epoch, steps, repeats)
        for function in (fit, bare, path)
    )
    cpu = min(on_cpu(threads) for threads in {1, torch.get_num_threads()})
    epochs = math.ceil(steps / steps_per_epoch)
    return {
        "batch size": batch_size,
        "samples": n_samples,
        "CPU, ms": cpu,
        "device, ms": on_device,
        "bare loop, ms": loop,
        "path of 16, ms": networks,
        "CPU / device": cpu / on_device,
        "device / bare loop": on_device / loop,
        "path / device": networks / on_device,
        "share in kernels": share_in_kernels(lambda: fit(epochs), device),
    }


def main():
    """Print, and optionally save, one row per batch size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--copies", type=int, default=8, help="copies of the training samples")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--save", help="CSV file to write")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # short fits do not converge
    data = [np.concatenate([values] * args.copies) for values in adult_features()[:3]]
    records = []
    for batch_size in args.sizes:
        records.append(measure(data, batch_size, args.device, args.steps, args.repeats))
        print({name: round(value, 3) for name, value in records[-1].items()}, flush=True)
        if args.save:
            pd.DataFrame(records).round(3).to_csv(args.save, index=False)
    print(pd.DataFrame(records).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
