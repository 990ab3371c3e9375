"""
Compare a GPU with the CPU, and with a bare loop on the same GPU, by batch size.

    python examples/benchmarks/gpu.py

The data are 64 batches of repeated copies of Adult's training samples. The times are milliseconds
per training step: the time of the training loop divided by its steps, after a fit as warm-up. A
step includes its share of the work of an epoch, such as shuffling, but not the checks before the
training and the predictions after it. The number of epochs is chosen so that there are at least
``--steps`` steps. Times are medians over ``--repeats``.

Four methods are timed. The estimator with the default network runs on the CPU, where it uses one
thread for small batches, and on the device. The bare loop of ``speed.py`` runs on the device. On a
GPU, a path over 16 values of eta runs, too, whose networks are trained side by side; its steps are
those of all networks together.

The share in kernels is measured with torch's profiler: the time of kernels, without copies, divided
by the time of the training loop without the profiler. ``--device cpu`` runs the script without a
GPU.
"""

import argparse
import contextlib
import math
import time
import warnings

import numpy as np
import pandas as pd
import torch
from adult_features import adult_features
from sklearn.exceptions import ConvergenceWarning
from speed import ETA, bare_loop
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from fairbinn_sklearn import FairBiNNClassifier, fairness_path
from fairbinn_sklearn._training.net import TwoPlayerNet

SIZES = (256, 1024, 4096, 16_384, 65_536)
MAX_STEPS_PER_EPOCH = 64  # limit the samples, because full epochs take too long


class TrainingClock:
    """Adds up the time of training loops, including the work queued on the device."""

    def __init__(self, device):
        self.device = torch.device(device)
        self.seconds = 0.0

    def synchronize(self):
        """Wait for a GPU."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @contextlib.contextmanager
    def running(self):
        """Add the time of a block."""
        self.synchronize()
        start = time.perf_counter()
        yield
        self.synchronize()
        self.seconds += time.perf_counter() - start

    def of(self, function):
        """Return the seconds that training loops take during a call."""
        train, self.seconds = TwoPlayerNet.train, 0.0

        def timed(net, *args, **kwargs):
            with self.running():
                return train(net, *args, **kwargs)

        TwoPlayerNet.train = timed
        try:
            function()
        finally:
            TwoPlayerNet.train = train
        return self.seconds


def share_in_kernels(function, seconds):
    """Return the time of kernels during a call, relative to some seconds."""
    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as profiler:
        function()
    kernels = [
        event.self_device_time_total
        for event in profiler.key_averages()
        if event.device_type == DeviceType.CUDA and not event.key.startswith("Mem")
    ]
    return sum(kernels) / 1e6 / seconds


def measure(data, batch_size, device, steps, repeats):
    """Return a row of the table."""
    n_samples = min(len(data[0]), MAX_STEPS_PER_EPOCH * batch_size)
    X, y, sex = (values[:n_samples] for values in data)
    steps_per_epoch = math.ceil(n_samples / batch_size)
    epochs = math.ceil(steps / steps_per_epoch)
    settings = {"batch_size": batch_size, "random_state": 0}
    clock = TrainingClock(device)

    def fit(device):
        clf = FairBiNNClassifier(ETA, max_epochs=epochs, device=device, **settings)
        clf.fit(X, y, sensitive_features=sex)

    def path():
        clf = FairBiNNClassifier(max_epochs=epochs, device=device, **settings)
        fairness_path(X, y, sex, etas=np.geomspace(0.5, 50, 16), estimator=clf)

    def bare():
        tensors = [
            torch.tensor(X, device=device),
            torch.tensor(y, dtype=torch.float32, device=device),
            torch.tensor(sex == "Male", dtype=torch.long, device=device),
        ]
        with clock.running():
            bare_loop(*tensors, epochs=epochs, batch_size=batch_size)

    def milliseconds(function):
        function()
        seconds = np.median([clock.of(function) for _ in range(repeats)])
        return 1e3 * float(seconds) / (epochs * steps_per_epoch)

    on_cpu, on_device, loop = map(milliseconds, (lambda: fit("cpu"), lambda: fit(device), bare))
    row = {
        "batch size": batch_size,
        "samples": n_samples,
        "CPU, ms": on_cpu,
        "device, ms": on_device,
        "bare loop, ms": loop,
        "CPU / device": on_cpu / on_device,
        "device / bare loop": on_device / loop,
    }
    if clock.device.type == "cuda":
        networks = milliseconds(path)
        seconds = 1e-3 * on_device * epochs * steps_per_epoch
        row["path of 16, ms"] = networks
        row["path / device"] = networks / on_device
        row["share in kernels"] = share_in_kernels(lambda: fit(device), seconds)
    return row


def main():
    """Print, and optionally save, one row per batch size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
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
