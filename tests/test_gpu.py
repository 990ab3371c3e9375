"""Training on a CUDA device; skipped where there is none, but for what decides where X lies."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from conftest import make_data

from fairbinn_sklearn import FairBiNNClassifier, FairBiNNClassifierCV, fairness_path
from fairbinn_sklearn._data.batches import _as_it_fits
from fairbinn_sklearn._data.sources import Source
from fairbinn_sklearn._training.net import TwoPlayerNet
from fairbinn_sklearn.datasets import ArrayRows

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
SETTINGS = {"eta": 10.0, "max_epochs": 15, "batch_size": 256, "random_state": 0}


@pytest.fixture(scope="module")
def rows():
    return make_data(4000)


def fit(X, rows, device="cuda", **params):
    clf = FairBiNNClassifier(**{**SETTINGS, "device": device, **params})
    return clf.fit(X, rows[1], sensitive_features=rows[2])


def difference(clf, rows):
    decisions = clf.predict(rows[0])
    return np.ptp([decisions[rows[2] == group].mean() for group in ("a", "b")])


@on_gpu
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"method": "alternating"},
        {"method": "unrolled"},
        {"method": "lagrangian"},
        {"fairness_batch_size": 1000},
        {"early_stopping": True},
        {"eta": None, "fairness_target": 0.05, "equalize": "both"},
        {"constraint": "equalized_odds", "fairness_optimizer": "adam", "fairness_lr": 1e-4},
    ],
)
def test_cuda_trains_as_the_cpu_does(rows, params):
    there, here = (fit(rows[0], rows, device, **params) for device in ("cuda", "cpu"))
    assert next(there.module_.parameters()).is_cuda
    assert difference(there, rows) == pytest.approx(difference(here, rows), abs=0.05)
    assert there.score(rows[0], rows[1]) == pytest.approx(here.score(rows[0], rows[1]), abs=0.02)
    again = fit(rows[0], rows, **params)
    np.testing.assert_array_equal(again.predict_proba(rows[0]), there.predict_proba(rows[0]))


@on_gpu
def test_paths_and_searches_on_cuda(rows):
    X, y, group = rows
    estimator = FairBiNNClassifier(**{**SETTINGS, "eta": 1.0, "device": "cuda"})
    path = fairness_path(X, y, group, etas=[0, 1, 10], seeds=[0, 1], estimator=estimator)
    on_cpu = fairness_path(
        X, y, group, etas=[0, 1, 10], seeds=[0, 1], estimator=estimator.set_params(device="cpu")
    )
    column = "demographic_parity_difference"
    found, expected = path.to_frame()[column], on_cpu.to_frame()[column]
    np.testing.assert_allclose(found, expected, atol=0.05)
    search = FairBiNNClassifierCV([1, 10], estimator=estimator.set_params(device="cuda"), cv=2)
    assert search.fit(X, y, sensitive_features=group).score(X, y) > 0.6


@on_gpu
def test_x_of_all_kinds_on_cuda(rows, tmp_path, monkeypatch):
    X = rows[0]
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    expected = fit(X, rows).predict_proba(X)
    for data in (mapped, sp.csr_array(X)):
        np.testing.assert_allclose(fit(data, rows).predict_proba(data), expected, atol=1e-4)
    assert fit(ArrayRows(mapped), rows).score(X, rows[1]) > 0.6
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 1000))
    for data in (X, mapped):  # too large for the device, as it seems
        np.testing.assert_allclose(fit(data, rows).predict_proba(data), expected, atol=1e-4)


@on_gpu
def test_a_model_of_cuda_is_pickled(rows):
    clf = fit(rows[0], rows)
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.predict_proba(rows[0]), clf.predict_proba(rows[0]))


@on_gpu
@pytest.mark.parametrize("method", ["bilevel", "alternating", "unrolled", "lagrangian"])
@pytest.mark.parametrize("target", [None, 0.05])
def test_no_step_waits_for_the_device(rows, monkeypatch, method, target):
    step = TwoPlayerNet.train_step

    def watched(net, batch, **kwargs):
        torch.cuda.set_sync_debug_mode("error")
        try:
            return step(net, batch, **kwargs)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(TwoPlayerNet, "train_step", watched)
    eta = 10.0 if target is None else 1.0
    fit(rows[0], rows, method=method, eta=eta, fairness_target=target, max_epochs=2)


def test_x_lies_on_the_device_if_it_fits(rows, tmp_path, monkeypatch):
    X, device = rows[0], torch.device("cpu")
    np.save(tmp_path / "X.npy", X)
    mapped = Source(np.load(tmp_path / "X.npy", mmap_mode="r"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 * X.nbytes, 0))
    assert _as_it_fits(X, device) is X
    assert torch.equal(_as_it_fits(mapped, device), torch.tensor(X))
    spans = Source(ArrayRows(X))
    assert _as_it_fits(spans, device) is spans
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1.5 * X.nbytes, 0))
    assert _as_it_fits(mapped, device) is mapped
    beside = _as_it_fits(X, device)
    np.testing.assert_array_equal(beside[[3, 1]], X[[3, 1]])
