"""Interrupts, kills and full disks: a model or a checkpoint is left, and nothing is lost."""

import errno
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make, make_data
from torch.optim.lr_scheduler import ReduceLROnPlateau

from fairbinn_sklearn import FairBiNNClassifierCV, fairness_path
from fairbinn_sklearn._training import checkpoint
from fairbinn_sklearn._training import net as net_file
from fairbinn_sklearn._training.callbacks import ForwardToSklearn
from fairbinn_sklearn._training.options import TrainingOptions
from fairbinn_sklearn._training.setup import training_data
from fairbinn_sklearn._utils.files import write_whole
from fairbinn_sklearn.datasets import ArrayRows

SETTINGS = {"eta": 3.0, "batch_size": 100, "max_epochs": 6}


def fit(data, **params):
    X, y, group = data
    return make(**{**SETTINGS, **params}).fit(X, y, sensitive_features=group)


def after_epochs(monkeypatch, n_epochs, action):
    """Call a function in the epoch after the first `n_epochs`."""
    begin = ForwardToSklearn.on_epoch_begin

    def watched(self, net, **kwargs):
        begin(self, net, **kwargs)
        if len(net.history) > n_epochs:
            action()

    monkeypatch.setattr(ForwardToSklearn, "on_epoch_begin", watched)


@pytest.fixture(autouse=True)
def interruptible():
    """Enable interrupts, which shells disable in background processes."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt():
    signal.raise_signal(signal.SIGINT)


class Killed(BaseException):
    """Ends a fit without any handling."""


def kill():
    raise Killed


@pytest.fixture(scope="module")
def whole(biased):
    """Return the classifier of an uninterrupted fit. Do not change it."""
    return fit(biased)


@pytest.fixture
def file(biased, tmp_path, monkeypatch):
    """Return the checkpoint of a fit that ended after two epochs."""
    file = tmp_path / "fit"
    with monkeypatch.context() as patched, pytest.raises(Killed):
        after_epochs(patched, 2, kill)
        fit(biased, checkpoint=file)
    return file


class WithDropout(torch.nn.Module):
    """A module that draws random numbers while it trains."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.base = torch.nn.Sequential(torch.nn.Linear(n_features, 8), torch.nn.ReLU())
        self.fair = torch.nn.Linear(8, 8)
        self.drop, self.head = torch.nn.Dropout(0.3), torch.nn.Linear(8, n_outputs)

    def forward(self, X):
        return self.head(self.drop(self.fair(self.base(X))))


# Resuming


@pytest.mark.filterwarnings("ignore:The difference on the training samples")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"eta": None, "fairness_target": 0.1, "equalize": "both", "fairness_optimizer": "adam"},
        {"early_stopping": True, "n_iter_no_change": 2, "tol": 0.05},
        {"eta": None, "fairness_target": 0.1, "target_samples": "validation"},
        {"lr_schedule": ReduceLROnPlateau, "lr_schedule__patience": 0},
        {"batch_size": 600, "constraint": "equalized_odds"},  # in float64
        {"module": WithDropout, "fairness_modules": "fair"},
        {"eta": 0.0},
    ],
    ids=str,
)
def test_a_resumed_fit_equals_an_uninterrupted_one(biased, tmp_path, monkeypatch, params):
    expected = fit(biased, **params)
    file = tmp_path / "fit"
    for n_epochs in (0, 2, 3):  # ended three times, each time after more epochs
        if n_epochs < expected.n_iter_:
            with monkeypatch.context() as patched, pytest.raises(Killed):
                after_epochs(patched, n_epochs, kill)
                fit(biased, checkpoint=file, **params)
            assert file.exists()
    clf = fit(biased, checkpoint=file, **params)
    assert not list(tmp_path.iterdir())
    assert clf.history_ == expected.history_
    X, y, group = biased
    np.testing.assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))
    if not params.get("early_stopping"):
        for fitted in (clf, expected):
            fitted.set_params(target_samples="training")
            fitted.partial_fit(X, y, sensitive_features=group)
        assert clf.history_ == expected.history_


def test_verbose_may_change_before_a_fit_resumes(biased, file, whole, capsys):
    assert fit(biased, checkpoint=file, verbose=1).history_ == whole.history_
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 2 and lines[-1].startswith(f"epoch {len(whole.history_)}: ")


SCRIPT = """
import sys
import numpy as np, torch
from conftest import make, make_data
torch.set_num_threads(1)
X, y, group = make_data(600)
clf = make(eta=3.0, batch_size=20, max_epochs=40, checkpoint=sys.argv[1])
print("ready", flush=True)
clf.fit(X, y, sensitive_features=group)
np.save(sys.argv[2], clf.predict_proba(X))
"""


def run_until_done(folder, n_kills, seed):
    """Kill a process at random times and start it again; return its scores and kills."""
    rng = np.random.default_rng(seed)
    file, result = folder / "fit", folder / "scores.npy"
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(file), str(result)]
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
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


@pytest.mark.slow
@pytest.mark.once
def test_a_killed_process_resumes(tmp_path):
    n_kills = int(os.environ.get("FAIRBINN_KILLS", 3))
    expected = fit(make_data(600), batch_size=20, max_epochs=40).predict_proba(make_data(600)[0])
    total = 0
    for seed in range(1000):
        if total >= n_kills:
            break
        folder = tmp_path / str(seed)
        folder.mkdir()
        scores, kills = run_until_done(folder, n_kills - total, seed)
        np.testing.assert_array_equal(scores, expected)
        assert {path.name for path in folder.iterdir()} - {"fit.part"} == {"scores.npy"}
        total += kills
    assert total >= n_kills


# Interrupts


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}], ids=str)
def test_an_interrupt_leaves_the_model_of_the_last_epoch(biased, monkeypatch, params, tmp_path):
    # At a constant rate and without decisions, 3 epochs equal the first 3 of 6.
    params = {"equalize": "scores", "lr_schedule": "constant", **params}
    file, X = tmp_path / "fit", biased[0]
    whole = fit(biased, **params)
    with monkeypatch.context() as patched:
        after_epochs(patched, 3, interrupt)
        with pytest.warns(UserWarning, match="interrupted in epoch 4 of 6; .* that of epoch 3"):
            clf = fit(biased, checkpoint=file, **params)
    assert clf.history_ == whole.history_[:3]
    expected = fit(biased, max_epochs=3, **params)
    np.testing.assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))
    assert pickle.loads(pickle.dumps(clf)).n_iter_ == 3
    assert fit(biased, checkpoint=file, **params).history_ == whole.history_


@pytest.mark.filterwarnings("ignore:The difference on the training samples")
@pytest.mark.parametrize("params", [{"eta": None, "fairness_target": 0.05}, {"threshold": "rate"}])
def test_an_interrupt_within_an_epoch_leaves_the_model_of_the_last_epoch(
    biased, monkeypatch, params
):
    params = {"lr_schedule": "constant", "equalize": "scores", "batch_size": 100, **params}
    step, n_steps = net_file.TwoPlayerNet.train_step, []

    def interrupted_step(net, batch, **kwargs):
        n_steps.append(1)
        if len(n_steps) == 15:  # in the third epoch of six steps
            raise KeyboardInterrupt
        return step(net, batch, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(net_file.TwoPlayerNet, "train_step", interrupted_step)
        with pytest.warns(UserWarning, match="interrupted in epoch 3 of 6"):
            clf = fit(biased, **params)
    expected = fit(biased, max_epochs=2, **params)
    np.testing.assert_array_equal(clf.predict(biased[0]), expected.predict(biased[0]))
    assert clf.eta_ == expected.eta_


def test_an_interrupt_in_the_first_epoch_leaves_a_fitted_estimator_unchanged(biased, monkeypatch):
    X, y, group = biased
    clf = fit(biased, max_epochs=1)
    before = vars(clf).copy()
    after_epochs(monkeypatch, 0, interrupt)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y, sensitive_features=group)
    assert vars(clf) == before


# Checkpoints of a different fit


@pytest.mark.parametrize(
    ("changes", "names"),
    [({"eta": 2.0}, "eta"), ({"constraint": "equal_opportunity", "lr": 0.1}, "constraint, lr")],
)
def test_a_checkpoint_of_other_parameters_raises(biased, file, changes, names):
    with pytest.raises(ValueError, match=f"written by a different fit: {names} differ"):
        fit(biased, checkpoint=file, **changes)


@pytest.mark.parametrize("name", ["X", "y", "sensitive_features"])
def test_a_checkpoint_of_other_data_raises(biased, file, name):
    data = dict(zip(("X", "y", "sensitive_features"), biased, strict=True))
    data[name] = data[name][::-1]
    with pytest.raises(ValueError, match=f"different fit: (X, |y, )*{name} differ"):
        fit(data.values(), checkpoint=file)


def fingerprint_of(X):
    y, group = np.arange(len(X)) % 2, np.arange(len(X)) % 3
    clf = make()
    options = TrainingOptions.from_estimator(clf)
    data = training_data(clf, X, y, group, None, options=options)
    return checkpoint.fingerprint(clf.get_params(), data)


@pytest.mark.parametrize("position", [(0, 0), (2501, 1), (4999, 3)], ids=str)
def test_each_value_of_x_in_memory_identifies_the_fit(position):
    X = np.random.default_rng(0).normal(size=(5000, 4)).astype(np.float32)
    changed = X.copy()
    changed[position] += 1
    before, after = fingerprint_of(X), fingerprint_of(changed)
    assert [name for name in before if before[name] != after[name]] == ["X"]
    assert before == fingerprint_of(X.copy())


def test_about_a_thousand_samples_of_x_on_disk_identify_the_fit():
    X = np.random.default_rng(0).normal(size=(5000, 4)).astype(np.float32)
    assert fingerprint_of(ArrayRows(X + 1)) != fingerprint_of(ArrayRows(X))


def test_a_checkpoint_of_another_warm_start_raises(biased, tmp_path, monkeypatch):
    X, y, group = biased
    clf = make(**SETTINGS, warm_start=True, checkpoint=tmp_path / "fit")
    clf.fit(X, y, sensitive_features=group)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        after_epochs(patched, 2, kill)
        clf.fit(X, y, sensitive_features=group)
    with pytest.raises(ValueError, match="different fit: last fit differ"):
        make(**SETTINGS, warm_start=True, checkpoint=tmp_path / "fit").fit(
            X, y, sensitive_features=group
        )


# Invalid files and parameters


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"text",
        lambda content: content[: len(content) // 2],
        lambda content: pickle.dumps({"format": 1}, protocol=2),
    ],
    ids=["empty", "text", "half", "pickle"],
)
def test_a_damaged_checkpoint_raises_and_is_kept(biased, file, damage):
    content = damage(file.read_bytes())
    file.write_bytes(content)
    with pytest.raises(ValueError, match="exists but is not a valid checkpoint file"):
        fit(biased, checkpoint=file)
    assert file.read_bytes() == content


def test_a_checkpoint_of_another_format_raises(biased, file, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
    with pytest.raises(ValueError, match="has the format 4, this version .* reads 5 only"):
        fit(biased, checkpoint=file)


def test_a_checkpoint_holds_no_code(file):
    content = torch.load(file, weights_only=True)
    assert set(content) == {"format", "fingerprint", "state"}
    assert [record["epoch"] for record in content["state"]["history"]] == [1, 2]


def test_a_function_without_a_name_has_no_checkpoint(biased, tmp_path):
    with pytest.raises(ValueError, match="constraint must be importable by name"):
        fit(biased, checkpoint=tmp_path / "fit", constraint=lambda scores, y, groups: scores.var())


@pytest.mark.parametrize("seed", [None, np.random.RandomState(0)], ids=["None", "RandomState"])
def test_a_checkpoint_needs_an_integer_seed(biased, tmp_path, seed):
    with pytest.raises(ValueError, match="random_state must be an integer with a checkpoint"):
        fit(biased, checkpoint=tmp_path / "fit", random_state=seed)


def test_several_fits_take_no_checkpoint(biased, tmp_path):
    X, y, group = biased
    clf = make(checkpoint=tmp_path / "fit")
    with pytest.raises(ValueError, match="checkpoint must be None"):
        fairness_path(X, y, group, etas=[1, 2], estimator=clf)
    with pytest.raises(ValueError, match="checkpoint must be None"):
        FairBiNNClassifierCV(etas=[1, 2], estimator=clf, cv=2).fit(X, y, sensitive_features=group)


# Files that cannot be written


def test_a_missing_folder_raises_before_training(biased, tmp_path, monkeypatch):
    def train():
        raise AssertionError("training has started")

    after_epochs(monkeypatch, 0, train)
    with pytest.raises(OSError, match=r"checkpoint='.*missing.fit' cannot be written: No such"):
        fit(biased, checkpoint=tmp_path / "missing" / "fit")


def test_training_continues_when_the_disk_is_full(biased, tmp_path, monkeypatch, whole):
    sizes = []

    def limited(path, data):
        sizes.append(len(data))
        if len(sizes) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_whole(path, data)

    monkeypatch.setattr(checkpoint, "write_whole", limited)
    with pytest.warns(RuntimeWarning, match="could not be written after epoch .*No space left"):
        clf = fit(biased, checkpoint=tmp_path / "fit")
    assert clf.history_ == whole.history_


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_keeps_the_last_file(tmp_path):
    file = tmp_path / "fit"
    file.write_bytes(b"before")
    (tmp_path / "fit.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, b"x" * 100_000)
    assert file.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]
