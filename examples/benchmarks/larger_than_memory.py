"""
Measure memory and time of a fit on data that stay on disk, in CSR, or in chunks.

    python examples/benchmarks/larger_than_memory.py --rows 10000000 --folder FOLDER

The data are synthetic rows of 100 columns in float32; 10 million rows take 4 GB. They are written
in chunks if the files do not exist. Each way of reading them runs in a separate process. The
process trains for one epoch, calls predict_proba on all rows, and reports the peak memory of both,
less the memory after all imports with labels and groups loaded. "anonymous" is the memory that the
process allocates; "resident" also counts the file pages that the system maps and can reclaim. Both
are the highest values in /proc/self/status, read 50 times a second. Linux only.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd

RESULTS = Path(__file__).parents[2] / "docs/results"
COLUMNS, CHUNK = 100, 100_000
WAYS = ("memmap", "spans", "parquet", "partial_fit", "csr")


def write(folder, n_rows):
    """Write rows, labels and groups in chunks; some columns differ between the groups."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "group.npy").exists() and len(np.load(folder / "group.npy")) == n_rows:
        return
    rng = np.random.default_rng(0)
    X = np.memmap(folder / "X.f32", np.float32, "w+", shape=(n_rows, COLUMNS))
    y, group = np.empty(n_rows, np.int8), np.empty(n_rows, np.int8)
    for start in range(0, n_rows, CHUNK):
        part = slice(start, min(start + CHUNK, n_rows))
        n = part.stop - part.start
        group[part] = rng.random(n) < 0.4
        rows = rng.standard_normal((n, COLUMNS), dtype=np.float32)
        rows[:, :5] += group[part, None]
        y[part] = rows[:, :10].sum(1) + 2 * rng.standard_normal(n) > 2
        X[part] = rows
    X.flush()
    np.save(folder / "y.npy", y)
    np.save(folder / "group.npy", group)


def write_parquet(folder):
    """Write the same rows to one Parquet file with row groups of 10,000."""
    import pyarrow as pa
    from pyarrow import parquet

    if (folder / "X.parquet").exists():
        return
    X = read_mapped(folder)
    names = [f"x{j}" for j in range(COLUMNS)]
    schema = pa.schema([(name, pa.float32()) for name in names])
    with parquet.ParquetWriter(
        folder / "part", schema, compression="none", use_dictionary=False
    ) as file:
        for start in range(0, len(X), 10_000):
            columns = np.ascontiguousarray(X[start : start + 10_000].T)
            file.write_table(pa.table(list(columns), schema=schema), row_group_size=10_000)
    (folder / "part").rename(folder / "X.parquet")


def read_mapped(folder):
    """Return X as a memory-mapped array."""
    n_rows = len(np.load(folder / "y.npy", mmap_mode="r"))
    return np.memmap(folder / "X.f32", np.float32, "r", shape=(n_rows, COLUMNS))


class PeakMemory(threading.Thread):
    """Record the peak memory of this process in MB."""

    def __init__(self):
        super().__init__(daemon=True)
        self.before = self.peak = self.read()
        self.stopped = threading.Event()

    def read(self):
        """Return the anonymous and the resident memory."""
        lines = Path("/proc/self/status").read_text().splitlines()
        kilobytes = {line.split(":")[0]: line.split()[1] for line in lines if "kB" in line}
        return np.array([float(kilobytes[name]) for name in ("RssAnon", "VmRSS")]) / 1024

    def run(self):
        """Read the memory until `stop` is called."""
        while not self.stopped.wait(0.02):
            self.peak = np.maximum(self.peak, self.read())

    def stop(self):
        """Stop, and return the increase of both values."""
        self.stopped.set()
        self.join()
        return np.maximum(self.peak, self.read()) - self.before


def measure(folder, way, threads):
    """Train for one epoch and predict; return memory and time of both."""
    import torch

    from fairbinn_sklearn import FairBiNNClassifier
    from fairbinn_sklearn.datasets import ArrayRows, ParquetRows

    torch.set_num_threads(threads)
    small = np.random.default_rng(0).normal(size=(3000, COLUMNS)).astype(np.float32)
    settings = {"device": "cpu", "max_epochs": 1, "random_state": 0}
    warm_up = FairBiNNClassifier(**settings)  # the first fit loads code, which is not counted
    warm_up.fit(small, np.arange(3000) % 2, sensitive_features=np.arange(3000) % 3)
    y, group = np.load(folder / "y.npy"), np.load(folder / "group.npy")
    clf = FairBiNNClassifier(**settings, batch_size=4096, lr=3e-3)
    if way == "csr":
        import scipy.sparse as sp

        # One value in a hundred is not 0.
        n_rows = len(y) // 10
        X = sp.random(n_rows, 2000, 0.01, "csr", dtype=np.float32, rng=np.random.default_rng(0))
        y, group = np.ravel(X[:, :1000].sum(1) > X[:, 1000:].sum(1)), group[:n_rows]
    else:
        X = read_mapped(folder)
    watch = PeakMemory()
    watch.start()
    start = time.perf_counter()
    if way == "parquet":
        X = ParquetRows(folder / "X.parquet", [f"x{j}" for j in range(COLUMNS)])
    elif way == "spans":
        X = ArrayRows(X)
    if way == "partial_fit":
        for k in range(0, len(y), CHUNK):
            part = slice(k, k + CHUNK)
            clf.partial_fit(X[part], y[part], [0, 1], sensitive_features=group[part])
    else:
        clf.fit(X, y, sensitive_features=group)
    fit_seconds = time.perf_counter() - start
    after_fit = np.maximum(watch.peak, watch.read()) - watch.before
    start = time.perf_counter()
    scores = clf.predict_proba(X)
    predict_seconds = time.perf_counter() - start
    anonymous, resident = watch.stop()
    return {
        "way": way,
        "samples": len(y),
        "features": X.shape[1] if hasattr(X, "shape") else COLUMNS,
        "fit, MB anonymous": after_fit[0],
        "fit, MB resident": after_fit[1],
        "with predict_proba, MB anonymous": anonymous,
        "with predict_proba, MB resident": resident,
        "fit s": fit_seconds,
        "predict_proba s": predict_seconds,
        "accuracy": np.mean((scores[:, 1] > 0.5) == y),
    }


def main():
    """Write the rows, and measure each way in a separate process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--measure", choices=WAYS, help="measure this way in this process")
    parser.add_argument("--save", action="store_true", help="write the table for the docs")
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.folder, args.measure, args.threads)))
        return
    write(args.folder, args.rows)
    if "parquet" in args.ways:
        write_parquet(args.folder)
    rows = []
    for way in args.ways:
        process = subprocess.run(
            [sys.executable, "-W", "ignore", __file__, "--measure", way]
            + ["--folder", str(args.folder), "--threads", str(args.threads)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        rows.append(json.loads(process.stdout))
        print(
            {k: v if isinstance(v, str) else round(v, 3) for k, v in rows[-1].items()}, flush=True
        )
    table = pd.DataFrame(rows)
    measurements = table.columns[3:9]
    table[measurements] = table[measurements].round(1)
    print(table.round(4).to_string(index=False))
    if args.save:
        table.round(4).to_csv(RESULTS / "larger_than_memory.csv", index=False)


if __name__ == "__main__":
    main()
