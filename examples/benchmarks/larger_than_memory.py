"""
Memory and time of a fit on rows that stay on disk: memory-mapped, Parquet, CSR, or by chunks.

    python examples/benchmarks/larger_than_memory.py --rows 10000000 --folder FOLDER

Made-up rows of 100 columns in float32, 10 million of them 4 GB, written chunk by chunk if they are
not there. Each way of reading them is a process of its own, which tells what training for an epoch
and then predict_proba for all rows add to its memory once everything is imported and label and
group are loaded: of memory of its own ("anonymous"), and with the pages of files that the system
keeps in memory as long as it has room ("resident"), both as the highest value of /proc/self/status,
looked at 50 times a second. Linux only.
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
    """Rows, labels and groups, by chunks; some columns differ between the groups."""
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
    """The same rows as one file, with row groups of 10,000."""
    import pyarrow as pa
    from pyarrow import parquet

    if (folder / "X.parquet").exists():
        return
    X = mapped(folder)
    names = [f"x{j}" for j in range(COLUMNS)]
    schema = pa.schema([(name, pa.float32()) for name in names])
    with parquet.ParquetWriter(
        folder / "part", schema, compression="none", use_dictionary=False
    ) as file:
        for start in range(0, len(X), 10_000):
            columns = np.ascontiguousarray(X[start : start + 10_000].T)
            file.write_table(pa.table(list(columns), schema=schema), row_group_size=10_000)
    (folder / "part").rename(folder / "X.parquet")


def mapped(folder):
    """X, read when it is looked at."""
    n_rows = len(np.load(folder / "y.npy", mmap_mode="r"))
    return np.memmap(folder / "X.f32", np.float32, "r", shape=(n_rows, COLUMNS))


class Watch(threading.Thread):
    """Highest memory of this process while it runs, in MB."""

    def __init__(self):
        super().__init__(daemon=True)
        self.before = self.peak = self.now()
        self.ended = threading.Event()

    def now(self):
        """Memory of its own, and with pages of files."""
        lines = Path("/proc/self/status").read_text().splitlines()
        kilobytes = {line.split(":")[0]: line.split()[1] for line in lines if "kB" in line}
        return np.array([float(kilobytes[name]) for name in ("RssAnon", "VmRSS")]) / 1024

    def run(self):
        """Look until told to end."""
        while not self.ended.wait(0.02):
            self.peak = np.maximum(self.peak, self.now())

    def end(self):
        """Rise of both figures."""
        self.ended.set()
        self.join()
        return np.maximum(self.peak, self.now()) - self.before


def measure(folder, way, threads):
    """Train an epoch and predict; figures of both."""
    import torch

    from fairbinn_sklearn import FairBiNNClassifier
    from fairbinn_sklearn.datasets import ArrayRows, ParquetRows

    torch.set_num_threads(threads)
    small = np.random.default_rng(0).normal(size=(3000, COLUMNS)).astype(np.float32)
    settings = {"device": "cpu", "max_epochs": 1, "random_state": 0}
    warm_up = FairBiNNClassifier(**settings)  # what is loaded with the first fit is no data
    warm_up.fit(small, np.arange(3000) % 2, sensitive_features=np.arange(3000) % 3)
    y, group = np.load(folder / "y.npy"), np.load(folder / "group.npy")
    clf = FairBiNNClassifier(**settings, batch_size=4096, lr=3e-3)
    if way == "csr":
        import scipy.sparse as sp

        # Few numbers that are not 0, as many columns as the dense rows have and 1,900 more.
        n_rows = len(y) // 10
        X = sp.random(n_rows, 2000, 0.01, "csr", dtype=np.float32, rng=np.random.default_rng(0))
        y, group = np.ravel(X[:, :1000].sum(1) > X[:, 1000:].sum(1)), group[:n_rows]
    else:
        X = mapped(folder)
    watch = Watch()
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
    after_fit = np.maximum(watch.peak, watch.now()) - watch.before
    start = time.perf_counter()
    scores = clf.predict_proba(X)
    predict_seconds = time.perf_counter() - start
    anonymous, resident = watch.end()
    return {
        "way": way,
        "rows": len(y),
        "columns": X.shape[1] if hasattr(X, "shape") else COLUMNS,
        "fit, MB anonymous": after_fit[0],
        "fit, MB resident": after_fit[1],
        "with predict_proba, MB anonymous": anonymous,
        "with predict_proba, MB resident": resident,
        "fit s": fit_seconds,
        "predict_proba s": predict_seconds,
        "accuracy": np.mean((scores[:, 1] > 0.5) == y),
    }


def main():
    """Write the rows, and measure each way in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--one", choices=WAYS, help="measure this way in this process")
    parser.add_argument("--save", action="store_true", help="write the table for the docs")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.folder, given.one, given.threads)))
        return
    write(given.folder, given.rows)
    if "parquet" in given.ways:
        write_parquet(given.folder)
    rows = []
    for way in given.ways:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", __file__, "--one", way]
            + ["--folder", str(given.folder), "--threads", str(given.threads)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        rows.append(json.loads(done.stdout))
        print(
            {k: v if isinstance(v, str) else round(v, 3) for k, v in rows[-1].items()}, flush=True
        )
    table = pd.DataFrame(rows)
    figures = table.columns[3:9]
    table[figures] = table[figures].round(1)
    print(table.round(4).to_string(index=False))
    if given.save:
        table.round(4).to_csv(RESULTS / "larger_than_memory.csv", index=False)


if __name__ == "__main__":
    main()
