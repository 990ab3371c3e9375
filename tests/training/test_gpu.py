"""Training on a CUDA device, skipped without one. Copies to it are tested everywhere."""

import contextlib
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from conftest import difference, make, make_data
from torch.utils._python_dispatch import TorchDispatchMode

from fairbinn_sklearn import FairBiNNClassifierCV, fairness_path
from fairbinn_sklearn._data.batches import _fit_to_memory
from fairbinn_sklearn._data.sources import Source
from fairbinn_sklearn._training.net import TwoPlayerNet
from fairbinn_sklearn.datasets import ArrayRows
from fairbinn_sklearn.losses import DemographicParity

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
SETTINGS = {"eta": 10.0, "max_epochs": 15, "batch_size": 256, "device": "cuda"}


@pytest.fixture(scope="module")
def data():
    return make_data(4000)


def fit(X, data, **params):
    _, y, group = data
    return make(**{**SETTINGS, **params}).fit(X, y, sensitive_features=group)


@needs_cuda
@pytest.mark.filterwarnings("ignore:The difference on the training samples")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"method": "alternating"},
        {"method": "unrolled"},
        {"method": "lagrangian"},
        {"early_stopping": True},
        {"eta": None, "fairness_target": 0.05, "equalize": "both"},
        {"constraint": "equalized_odds", "fairness_optimizer": "adam", "fairness_lr": 1e-4},
    ],
    ids=str,
)
def test_cuda_is_deterministic_and_trains_like_the_cpu(data, params):
    X, y, _ = data
    on_cuda, again = (fit(X, data, **params) for _ in range(2))
    on_cpu = fit(X, data, device="cpu", **params)
    assert next(on_cuda.module_.parameters()).is_cuda
    assert difference(on_cuda, data) == pytest.approx(difference(on_cpu, data), abs=0.05)
    assert on_cuda.score(X, y) == pytest.approx(on_cpu.score(X, y), abs=0.02)
    np.testing.assert_array_equal(again.predict_proba(X), on_cuda.predict_proba(X))


@needs_cuda
def test_paths_and_searches_run_on_cuda(data):
    X, y, group = data
    tables = [
        fairness_path(
            *(X, y, group),
            etas=[0, 1, 10],
            seeds=[0, 1],
            estimator=make(**{**SETTINGS, "eta": None, "device": device}),
        ).to_frame()
        for device in ("cuda", "cpu")
    ]
    on_cuda, on_cpu = (table["demographic_parity_difference"] for table in tables)
    np.testing.assert_allclose(on_cuda, on_cpu, atol=0.05)
    estimator = make(**{**SETTINGS, "eta": None})
    search = FairBiNNClassifierCV([1, 10], bound=0.3, estimator=estimator, cv=2)
    assert search.fit(X, y, sensitive_features=group).score(X, y) > 0.6


@needs_cuda
def test_each_kind_of_x_trains_on_cuda(data, tmp_path, monkeypatch):
    X, y, _ = data
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    expected = fit(X, data).predict_proba(X)
    for other in (mapped, sp.csr_array(X)):
        np.testing.assert_allclose(fit(other, data).predict_proba(other), expected, atol=1e-4)
    assert fit(ArrayRows(mapped), data).score(X, y) > 0.6
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 1000))
    for too_large in (X, mapped):
        probabilities = fit(too_large, data).predict_proba(too_large)
        np.testing.assert_allclose(probabilities, expected, atol=1e-4)


@needs_cuda
def test_a_model_on_cuda_is_pickled(data):
    clf = fit(data[0], data, max_epochs=1)
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.predict_proba(data[0]), clf.predict_proba(data[0]))


TARGET = {"eta": None, "fairness_target": 0.05}
AT_LEAST = {"fairness_target": 0.8, "constraint": DemographicParity(measure="ratio")}
each_rule = pytest.mark.parametrize("method", ["bilevel", "alternating", "unrolled", "lagrangian"])
each_criterion = pytest.mark.parametrize(
    "params",
    [
        {},
        TARGET,
        {**TARGET, "constraint": "predictive_parity"},
        {**TARGET, **AT_LEAST},
        {**TARGET, "equalize": "distribution"},
        {**TARGET, "target_samples": "validation"},
    ],
    ids=str,
)


def run_steps_within(monkeypatch, context):
    """Run each training step within the context."""
    step = TwoPlayerNet.train_step

    def watched(net, batch, **kwargs):
        with context():
            return step(net, batch, **kwargs)

    monkeypatch.setattr(TwoPlayerNet, "train_step", watched)


@contextlib.contextmanager
def error_if_the_host_waits():
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@needs_cuda
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@each_rule
@each_criterion
def test_no_training_step_waits_for_the_device(data, monkeypatch, method, params):
    run_steps_within(monkeypatch, error_if_the_host_waits)
    fit(data[0], data, method=method, max_epochs=2, **params)


class HostValues(TorchDispatchMode):
    """Count the tensors created from Python values.

    On a GPU, the host waits for each copy.
    """

    n_tensors = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        HostValues.n_tensors += function is torch.ops.aten.lift_fresh.default
        return function(*args, **(kwargs or {}))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@each_rule
@each_criterion
def test_no_training_step_copies_values_to_the_device(data, monkeypatch, method, params):
    monkeypatch.setattr(HostValues, "n_tensors", 0)
    run_steps_within(monkeypatch, HostValues)
    fit(data[0], data, method=method, max_epochs=2, device="cpu", **params)
    assert HostValues.n_tensors == 0
    with HostValues():
        torch.tensor(0.05)
    assert HostValues.n_tensors == 1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("points", [{"etas": [1, 10]}, {"targets": [0.02, 0.05]}], ids=str)
def test_no_step_of_networks_side_by_side_copies_values(data, monkeypatch, points):
    monkeypatch.setattr("fairbinn_sklearn._points.SIDE_BY_SIDE", ("cpu",))
    monkeypatch.setattr(HostValues, "n_tensors", 0)
    run_steps_within(monkeypatch, HostValues)
    estimator = make(max_epochs=2, batch_size=256)
    path = fairness_path(*data, **points, warm_start=False, estimator=estimator)
    assert path.reason is None
    assert HostValues.n_tensors == 0


def test_x_is_moved_to_the_device_if_it_takes_at_most_half_of_its_memory(
    data, tmp_path, monkeypatch
):
    X, device = data[0], torch.device("cpu")
    np.save(tmp_path / "X.npy", X)
    mapped = Source(np.load(tmp_path / "X.npy", mmap_mode="r"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * X.nbytes, 0))
    assert _fit_to_memory(X, device) is X
    assert torch.equal(_fit_to_memory(mapped, device), torch.tensor(X))
    with_spans = Source(ArrayRows(X))
    assert _fit_to_memory(with_spans, device) is with_spans
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * X.nbytes - 1, 0))
    assert _fit_to_memory(mapped, device) is mapped
    source = _fit_to_memory(X, device)
    assert isinstance(source, Source)
    np.testing.assert_array_equal(source[[3, 1]], X[[3, 1]])
