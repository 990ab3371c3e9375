"""Training in several processes, by Hugging Face Accelerate."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from train_in_processes import main

pytest.importorskip("accelerate")

from fairbinn_sklearn import FairBiNNClassifier  # noqa: E402
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
            "PYTHONPATH": str(HERE),
            "OMP_NUM_THREADS": "1",
            "ACCELERATE_USE_CPU": "true",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def read(file):
    return pickle.loads(file.read_bytes())


def test_two_processes_train_as_one_with_the_joint_batches(tmp_path):
    files = [tmp_path / name for name in ("one", "two")]
    main(files[0], 0, {"eta": 3.0, "device": "cpu"})
    done = launch(2, HERE / "train_in_processes.py", files[1])
    assert done.returncode == 0, done.stderr
    (logits, *histories, _, none), (others, *other_histories, pickled, shares) = map(read, files)
    assert (none, shares) == (0, 4 * 6 * 3)  # epochs, batches, trainings
    for ours, theirs in zip(logits, others, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-4)
    for one, other in zip(histories, other_histories, strict=True):
        pd.testing.assert_frame_equal(pd.DataFrame(one), pd.DataFrame(other), rtol=1e-3, atol=1e-4)
    loaded = pickle.loads(pickled)
    assert loaded.net_.processes is None is loaded.net_.criterion_.processes


class Two(Processes):
    """Two processes as one of them sees them, the other with as many rows more as told."""

    def __init__(self, more=0):
        self.rank, self.n, self.device, self.more = 0, 2, "cpu", more

    def sum(self, *tensors):
        return [2 * one + self.more for one in tensors]


@pytest.mark.parametrize(
    ("params", "more", "message"),
    [
        ({"random_state": None}, 0, "random_state must be an integer to train in 2 processes"),
        ({"method": "unrolled"}, 0, 'method="unrolled" cannot be used in 2 processes'),
        ({"constraint": lambda scores, y, groups: scores.mean()}, 0, "constraint, as a function"),
        ({}, 7, "X and y must be the same in all 2 processes"),
    ],
)
def test_what_cannot_be_shared_is_refused(biased, monkeypatch, params, more, message):
    X, y, group = biased
    monkeypatch.setattr("fairbinn_sklearn._data.validation.Processes", lambda: Two(more))
    monkeypatch.setattr(
        "fairbinn_sklearn._data.validation.resolve_device", lambda device: torch_cpu()
    )
    clf = FairBiNNClassifier(**{"device": "accelerate", "random_state": 0, **params})
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y, sensitive_features=group)
    assert not hasattr(clf, "net_")


def torch_cpu():
    import torch

    return torch.device("cpu")


def test_without_accelerate_it_says_how_to_install_it(biased, monkeypatch):
    X, y, group = biased
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"fairbinn-sklearn\[distributed\]"):
        FairBiNNClassifier(device="accelerate").fit(X, y, sensitive_features=group)
