"""Training in several processes, by Hugging Face Accelerate."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make
from train_in_processes import main

pytest.importorskip("accelerate")

from fairbinn_sklearn._data.batches import Batch  # noqa: E402
from fairbinn_sklearn._utils.distributed import Processes  # noqa: E402

HERE = Path(__file__).parent


def launch(n_processes, script, *arguments):
    run = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc_per_node={n_processes}",
    ]
    return subprocess.run(
        [*run, str(script), *map(str, arguments)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": "1",
            "ACCELERATE_USE_CPU": "true",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_two_processes_train_the_model_of_one(tmp_path):
    files = [tmp_path / name for name in ("one", "two")]
    main(files[0], 0, {"eta": 3.0, "device": "cpu"})
    done = launch(2, HERE / "train_in_processes.py", files[1])
    assert done.returncode == 0, done.stderr
    one, two = (pickle.loads(file.read_bytes()) for file in files)
    assert one["n_shards"] == 0
    assert two["n_shards"] == 4 * 6 * 4  # epochs, batches, trainings
    for ours, theirs in zip(one["logits"], two["logits"], strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-4)
    for ours, theirs in zip(one["histories"], two["histories"], strict=True):
        pd.testing.assert_frame_equal(
            pd.DataFrame(ours), pd.DataFrame(theirs), rtol=1e-3, atol=1e-4
        )
    loaded = pickle.loads(two["pickle"])
    assert loaded.net_.criterion_.processes is None


class TwoProcesses(Processes):
    """Two processes seen from one of them; the other one's sums are larger by `excess`."""

    def __init__(self, excess=0, rank=0):
        self.rank, self.n, self.device, self.excess = rank, 2, torch.device("cpu"), excess

    def sum(self, *tensors):
        return [2 * tensor + self.excess for tensor in tensors]


def test_shards_of_a_batch_are_disjoint_and_know_its_size():
    number = torch.arange(5)
    batch = Batch(number[:, None], number, None, number + 0.5, None)
    first, second = (batch.shard(TwoProcesses(rank=rank)) for rank in (0, 1))
    assert first.y.tolist() == [0, 2, 4]
    assert second.y.tolist() == [1, 3]
    assert second.X[:, 0].tolist() == [1, 3]
    assert second.weight.tolist() == [1.5, 3.5]
    assert second.groups is None
    assert first.n_samples == second.n_samples == 5


def test_sums_of_several_tensors_keep_their_shapes():
    processes = TwoProcesses()
    processes._reduce = lambda flat, reduction: 2 * flat
    matrix, vector = Processes.sum(processes, torch.ones(2, 3), torch.arange(2.0))
    assert torch.equal(matrix, torch.full((2, 3), 2.0))
    assert vector.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("params", "excess", "message"),
    [
        ({"random_state": None}, 0, "random_state must be an integer to train in 2 processes"),
        ({"method": "unrolled"}, 0, 'method must not be "unrolled" in 2 processes'),
        ({"constraint": lambda scores, y, groups: scores.mean()}, 0, "a function with 2 processes"),
        ({}, 7, "X and y must be the same in all 2 processes"),
    ],
)
def test_what_processes_cannot_share_raises(biased, monkeypatch, params, excess, message):
    X, y, group = biased
    for module in ("setup", "resolve"):
        monkeypatch.setattr(
            f"fairbinn_sklearn._training.{module}.Processes", lambda: TwoProcesses(excess)
        )
    clf = make(device="accelerate", **params)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y, sensitive_features=group)
    assert not hasattr(clf, "net_")


def test_without_accelerate_the_error_says_how_to_install_it(biased, monkeypatch):
    X, y, group = biased
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"fairbinn-sklearn\[distributed\]"):
        make(device="accelerate").fit(X, y, sensitive_features=group)
