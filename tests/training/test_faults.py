"""Interrupts, kills, full disks, threads: what is left is usable, and nothing is lost."""

import errno
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_data
from sklearn.model_selection import GridSearchCV

from fairbinn_sklearn import FairBiNNClassifier, FairBiNNClassifierCV, _checkpoint, fairness_path
from fairbinn_sklearn._training.callbacks import ForwardToSklearn
from fairbinn_sklearn._training.checkpoint import Checkpoint

SETTINGS = {"eta": 3.0, "batch_size": 100, "max_epochs": 6, "device": "cpu", "random_state": 0}


@pytest.fixture(scope="module")
def rows():
    return make_data(600)


def fit(rows, **params):
    X, y, group = rows
    return FairBiNNClassifier(**{**SETTINGS, **params}).fit(X, y, sensitive_features=group)


def after_epochs(monkeypatch, n_epochs, action):
    """Do something within the epoch behind the first `n_epochs`."""
    begin = ForwardToSklearn.on_epoch_begin

    def watched(self, net, **kwargs):
        begin(self, net, **kwargs)
        if len(net.history) > n_epochs:
            action()

    monkeypatch.setattr(ForwardToSklearn, "on_epoch_begin", watched)


@pytest.fixture(autouse=True)
def interruptible():
    """Shells start what runs in the background with interrupts switched off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt():
    signal.raise_signal(signal.SIGINT)


class Dropped(torch.nn.Module):
    """A net that draws random numbers while it trains."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.base = torch.nn.Sequential(torch.nn.Linear(n_features, 8), torch.nn.ReLU())
        self.fair = torch.nn.Linear(8, 8)
        self.drop, self.head = torch.nn.Dropout(0.3), torch.nn.Linear(8, n_outputs)

    def forward(self, X):
        return self.head(self.drop(self.fair(self.base(X))))


KINDS = {
    "default": {},
    "target": {"eta": None, "fairness_target": 0.1, "equalize": "both"},
    "fairness batches": {"fairness_batch_size": 70, "fairness_optimizer": "adam"},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2, "tol": 0.05},
    "plateau": {
        "lr_schedule": torch.optim.lr_scheduler.ReduceLROnPlateau,
        "lr_schedule__patience": 0,
    },
    "float64": {"batch_size": 600},
    "unrolled": {"method": "unrolled", "constraint": "equalized_odds"},
    "own net": {"module": Dropped, "fairness_modules": "fair"},
    "alone": {"eta": 0.0},
}


@pytest.mark.filterwarnings("ignore:The running difference ended")
@pytest.mark.parametrize("params", KINDS.values(), ids=KINDS)
def test_a_fit_that_goes_on_is_the_fit_that_was_never_interrupted(
    rows, tmp_path, monkeypatch, params
):
    expected = fit(rows, **params)
    file = tmp_path / "fit.checkpoint"

    class Killed(BaseException):
        pass

    def kill():
        raise Killed

    for n_epochs in (0, 2, 3):  # killed again and again, further on each time
        if n_epochs < expected.n_iter_:
            with monkeypatch.context() as patched, pytest.raises(Killed):
                after_epochs(patched, n_epochs, kill)
                fit(rows, checkpoint=file, **params)
            assert file.exists()
    clf = fit(rows, checkpoint=file, **params)
    assert not list(tmp_path.iterdir())
    assert clf.history_ == expected.history_
    np.testing.assert_array_equal(clf.predict_proba(rows[0]), expected.predict_proba(rows[0]))
    X, y, group = rows
    if not params.get("early_stopping"):
        for one in (clf, expected):
            one.partial_fit(X, y, sensitive_features=group)
        assert clf.history_ == expected.history_


def test_a_checkpoint_is_written_each_few_epochs(rows, tmp_path, monkeypatch):
    written, write = [], _checkpoint.write_whole
    monkeypatch.setattr(
        _checkpoint, "write_whole", lambda *given: (written.append(1), write(*given))
    )
    fit(rows, checkpoint=str(tmp_path / "fit"), checkpoint_every=4, max_epochs=10)
    assert len(written) == 3  # at the beginning, and after 4 and 8


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}])
def test_an_interrupt_leaves_the_model_of_the_last_epoch(rows, monkeypatch, params, tmp_path):
    # With a constant rate a training of 3 epochs begins as one of 6 does, but for `decided`.
    params = {"equalize": "scores", "lr_schedule": "constant", **params}
    file = tmp_path / "fit.checkpoint"
    whole = fit(rows, **params)
    with monkeypatch.context() as patched:
        after_epochs(patched, 3, interrupt)
        with pytest.warns(UserWarning, match="interrupted in epoch 4 of 6; .* that of epoch 3"):
            clf = fit(rows, checkpoint=file, **params)
    assert clf.history_ == whole.history_[:3]
    expected = fit(rows, max_epochs=3, **params)
    np.testing.assert_array_equal(clf.predict_proba(rows[0]), expected.predict_proba(rows[0]))
    assert pickle.loads(pickle.dumps(clf)).n_iter_ == 3
    assert fit(rows, checkpoint=file, **params).history_ == whole.history_  # it can go on


def test_an_interrupt_before_any_epoch_changes_nothing(rows, monkeypatch):
    clf = fit(rows)
    before = vars(clf).copy()
    after_epochs(monkeypatch, 0, interrupt)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(rows[0], rows[1], sensitive_features=rows[2])
    assert vars(clf) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eta": 2.0}, "another fit: eta differ"),
        ({"constraint": "equal_opportunity", "lr": 0.1}, "another fit: constraint, lr differ"),
    ],
)
def test_a_checkpoint_of_other_parameters_is_refused(rows, tmp_path, monkeypatch, change, message):
    file = tmp_path / "fit"
    interrupted(rows, file, monkeypatch)
    with pytest.raises(ValueError, match=message):
        fit(rows, checkpoint=file, **change)


def interrupted(rows, file, monkeypatch):
    with monkeypatch.context() as patched:
        after_epochs(patched, 2, interrupt)
        with pytest.warns(UserWarning, match="Training was interrupted in epoch 3 of 6"):
            fit(rows, checkpoint=file)
    assert file.exists()


def test_a_checkpoint_of_other_rows_is_refused(rows, tmp_path, monkeypatch):
    file = tmp_path / "fit"
    interrupted(rows, file, monkeypatch)
    X, y, group = rows
    others = {
        "X": (X + 1, y, group),
        "y": (X, 1 - y, group),
        "sensitive_features": (X, y, group[::-1]),
    }
    for name, other in others.items():
        with pytest.raises(ValueError, match=f"another fit: {name} differ"):
            fit(other, checkpoint=file)


def test_a_checkpoint_that_is_none_is_refused(rows, tmp_path, monkeypatch):
    file = tmp_path / "fit"
    interrupted(rows, file, monkeypatch)
    whole = file.read_bytes()
    for data in (
        b"",
        b"what else",
        whole[: len(whole) // 2],
        pickle.dumps({"format": 1}, protocol=2),
    ):
        file.write_bytes(data)
        with pytest.raises(ValueError, match="is no checkpoint, or damaged"):
            fit(rows, checkpoint=file)
        assert file.read_bytes() == data
    file.write_bytes(whole)
    monkeypatch.setattr(_checkpoint, "FORMAT", 0)
    with pytest.raises(ValueError, match="format 1, and this version knows up to 0"):
        fit(rows, checkpoint=file)


def test_what_is_printed_and_how_often_is_written_may_change(rows, tmp_path, monkeypatch, capsys):
    file = tmp_path / "fit"
    interrupted(rows, file, monkeypatch)
    clf = fit(rows, checkpoint=file, checkpoint_every=3, verbose=1)
    assert clf.history_ == fit(rows).history_


def test_the_first_of_two_fits_does_not_take_the_checkpoint_of_the_second(
    rows, tmp_path, monkeypatch
):
    file, (X, y, group) = tmp_path / "fit", rows
    clf = FairBiNNClassifier(**{**SETTINGS, "warm_start": True}, checkpoint=file)
    clf.fit(X, y, sensitive_features=group)
    with monkeypatch.context() as patched, pytest.warns(UserWarning, match="was interrupted"):
        after_epochs(patched, 2, interrupt)
        clf.fit(X, y, sensitive_features=group)
    with pytest.raises(ValueError, match="another fit: last fit differ"):
        FairBiNNClassifier(**clf.get_params()).fit(X, y, sensitive_features=group)


def test_functions_without_a_name_have_no_checkpoint(rows, tmp_path):
    with pytest.raises(ValueError, match="checkpoint needs to tell whether constraint is the same"):
        fit(rows, checkpoint=tmp_path / "fit", constraint=lambda scores, y, groups: scores.var())


def test_a_checkpoint_needs_a_seed_and_one_fit(rows, tmp_path):
    X, y, group = rows
    for seed in (None, np.random.RandomState(0)):
        with pytest.raises(ValueError, match="random_state must be an integer where checkpoint"):
            fit(rows, checkpoint=tmp_path / "fit", random_state=seed)
    clf = FairBiNNClassifier(checkpoint=tmp_path / "fit", random_state=0)
    with pytest.raises(ValueError, match="checkpoint must be None"):
        fairness_path(X, y, group, etas=[1, 2], estimator=clf)
    with pytest.raises(ValueError, match="checkpoint must be None"):
        FairBiNNClassifierCV(etas=[1, 2], estimator=clf, cv=2).fit(X, y, sensitive_features=group)


def test_a_folder_that_is_not_there_is_told_before_any_work(rows, tmp_path):
    clf = fit(rows)
    before = vars(clf).copy()
    clf.checkpoint = tmp_path / "nowhere" / "fit"
    with pytest.raises(
        OSError, match=r"checkpoint='.*nowhere.fit' cannot be written: No such file"
    ):
        clf.fit(rows[0], rows[1], sensitive_features=rows[2])
    assert {**vars(clf), "checkpoint": None} == before


def test_training_goes_on_when_the_disk_is_full(rows, tmp_path, monkeypatch):
    file, write = tmp_path / "fit", _checkpoint.write_whole
    sizes = []

    def limited(path, data):
        sizes.append(len(data))
        if len(sizes) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, data)

    monkeypatch.setattr(_checkpoint, "write_whole", limited)
    with pytest.warns(RuntimeWarning, match="could not be written after epoch .*No space left"):
        clf = fit(rows, checkpoint=file)
    assert clf.history_ == fit(rows).history_


def test_a_full_device_leaves_the_file_that_was_there(tmp_path):
    """A real device without room, where there is one."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    file = tmp_path / "fit"
    file.write_bytes(b"before")
    (tmp_path / "fit.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        _checkpoint.write_whole(file, b"x" * 100_000)
    assert file.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["fit"]


KILLED = """
import sys
import numpy as np, torch
from conftest import make_data
from fairbinn_sklearn import FairBiNNClassifier
torch.set_num_threads(1)
X, y, group = make_data(600)
clf = FairBiNNClassifier(
    eta=3.0, batch_size=20, max_epochs=40, device="cpu", random_state=0, checkpoint=sys.argv[1]
)
print("ready", flush=True)
clf.fit(X, y, sensitive_features=group)
np.save(sys.argv[2], clf.predict_proba(X))
"""


def killed_until_done(folder, n_kills, seed):
    """Kill a real process at random moments, and run it again; the scores in the end."""
    rng = np.random.default_rng(seed)
    file, result = folder / "fit", folder / "scores.npy"
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(file), str(result)]
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(__file__), "OMP_NUM_THREADS": "1"}
    kills = 0
    while not result.exists():
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        process.stdout.readline()
        if kills < n_kills:
            time.sleep(rng.uniform(0, 0.5))
            if process.poll() is None:
                process.kill()
                kills += 1
        process.wait()
        process.stdout.close()
    return np.load(result), kills


@pytest.mark.once
def test_a_killed_process_goes_on(tmp_path):
    n_kills = int(os.environ.get("FAIRBINN_KILLS", 3))
    X, y, group = make_data(600)
    survived = 0
    expected = FairBiNNClassifier(
        eta=3.0, batch_size=20, max_epochs=40, device="cpu", random_state=0
    )
    expected = expected.fit(X, y, sensitive_features=group).predict_proba(X)
    for seed in range(1000):
        if survived >= n_kills:
            break
        folder = tmp_path / str(seed)
        folder.mkdir()
        scores, kills = killed_until_done(folder, n_kills - survived, seed)
        np.testing.assert_array_equal(scores, expected)
        assert [one.name for one in folder.iterdir()] in (
            ["scores.npy"],
            ["fit.part", "scores.npy"],
            ["scores.npy", "fit.part"],
        )
        survived += kills
    assert survived >= n_kills


def test_fits_in_two_threads_do_not_disturb_each_other(rows):
    params = [{"eta": 1.0}, {"eta": 10.0, "random_state": 1}]
    expected = [fit(rows, **one) for one in params]
    found = [None, None]

    def train(k):
        with warnings.catch_warnings():
            found[k] = [fit(rows, **params[k]).history_ for _ in range(3)]

    threads = [threading.Thread(target=train, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(2):
        assert found[k] == 3 * [expected[k].history_]


class Dying(FairBiNNClassifier):
    """Its process ends in the middle of a fit with a large eta."""

    def fit(self, X, y, *, sensitive_features=None):
        if self.eta > 5:
            os._exit(1)
        return super().fit(X, y, sensitive_features=sensitive_features)


def test_a_search_whose_worker_dies_ends_with_an_error(rows):
    X, y, _ = rows
    with joblib.parallel_config("loky", n_jobs=2):
        search = GridSearchCV(Dying(**{**SETTINGS, "max_epochs": 1}), {"eta": [0, 10]}, cv=2)
        with pytest.raises(joblib.externals.loky.process_executor.TerminatedWorkerError):
            search.fit(X, y)


def test_checkpoints_read_back_what_they_wrote(rows, tmp_path, monkeypatch):
    file = tmp_path / "fit"
    interrupted(rows, file, monkeypatch)
    found = torch.load(file, weights_only=True)
    assert set(found) == {"format", "fingerprint", "state"}
    pd.testing.assert_frame_equal(
        pd.DataFrame(found["state"]["history"])[["epoch"]], pd.DataFrame({"epoch": [1, 2]})
    )
    assert Checkpoint(tmp_path / "none", 1, {}).read() is None
