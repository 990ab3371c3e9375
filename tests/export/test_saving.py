"""Tests that a fitted classifier can be saved and loaded: pickle, joblib, skops, safetensors."""

import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.losses import DemographicParity, EqualizedOdds

PARAMS = {"batch_size": 100, "max_epochs": 4, "device": "cpu", "random_state": 0}
TRUSTED = ["fairbinn_sklearn._classifier.FairBiNNClassifier"]

pytestmark = pytest.mark.filterwarnings("ignore:The difference on the training samples")


def fit(biased, **params):
    X, y, group = biased
    return FairBiNNClassifier(**{**PARAMS, **params}).fit(X, y, sensitive_features=group)


def through_pickle(clf, folder):
    return pickle.loads(pickle.dumps(clf))


def through_joblib(clf, folder):
    joblib.dump(clf, folder / "model.joblib")
    return joblib.load(folder / "model.joblib")


def through_deepcopy(clf, folder):
    return copy.deepcopy(clf)


def through_skops(clf, folder):
    sio = pytest.importorskip("skops.io")
    sio.dump(clf, folder / "model.skops")
    trusted = sio.get_untrusted_types(file=folder / "model.skops")
    return sio.load(folder / "model.skops", trusted=trusted)


def each_copy(*functions):
    """Parametrize a test over functions that return a copy of a classifier."""
    ids = [function.__name__.removeprefix("through_") for function in functions]
    return pytest.mark.parametrize("make_copy", functions, ids=ids)


SETTINGS = {
    "default": {},
    "without fairness": {"eta": 0},
    "target": {"fairness_target": 0.3},
    "losses": {"constraint": [DemographicParity(), EqualizedOdds(0.5, aggregation="max")]},
    "torch classes": {
        "activation": torch.nn.Softsign,
        "optimizer": torch.optim.Adagrad,
        "optimizer__eps": 1e-8,
        "lr_schedule": torch.optim.lr_scheduler.StepLR,
        "lr_schedule__step_size": 2,
    },
    "random activation": {"activation": torch.nn.RReLU},
    "layers": {
        "hidden_layer_sizes": 16,
        "fairness_layer_sizes": [8, 16],
        "fairness_position": 0,
        "fairness_optimizer": "adam",
        "lr": np.float32(1e-3),
        "batch_size": np.int64(64),
    },
    "weights": {"class_weight": {0: 1.0, 1: 2.0}, "early_stopping": True},
}


@each_copy(through_pickle, through_skops)
@pytest.mark.parametrize("params", SETTINGS.values(), ids=SETTINGS)
def test_copy_has_the_same_state_and_continues_training(biased, tmp_path, params, make_copy):
    X, y, group = biased
    clf = fit(biased, **params)
    loaded = make_copy(clf, tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert loaded.history_ == clf.history_
    assert (loaded.eta_, loaded.n_iter_) == (clf.eta_, clf.n_iter_)
    assert loaded.classes_.dtype == clf.classes_.dtype
    pd.testing.assert_index_equal(loaded.groups_, clf.groups_)
    assert repr(loaded) == repr(clf)

    before = clf.predict_proba(X)
    for model in (loaded, clf):
        model.set_params(early_stopping=False)
        model.partial_fit(X, y, sensitive_features=group)
    assert (clf.predict_proba(X) != before).any()
    assert loaded.history_ == clf.history_
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


GROUPS = {
    "two columns": pd.DataFrame({"sex": ["f", "m"] * 300, "ward": np.arange(600) // 2 % 3}),
    "integers": np.arange(600) % 3,
    "dates": pd.Series(pd.to_datetime(["2020-01-01", "2021-01-01"] * 300), name="since"),
    "booleans": pd.Series([True, False] * 300),
    "tuples": pd.Series([("a", 1), ("b", 2)] * 300),
    "mixed types": pd.Series([1, "unknown", "x"] * 200),
}


@each_copy(through_pickle, through_skops)
@pytest.mark.parametrize("sensitive_features", GROUPS.values(), ids=GROUPS)
def test_copy_has_the_same_labels_and_groups(
    biased, tmp_path, sensitive_features, make_copy, request
):
    if make_copy is through_skops and sensitive_features is GROUPS["dates"]:
        reason = "skops cannot load the pandas.Timestamp objects that it has saved"
        request.applymarker(pytest.mark.xfail(raises=TypeError, strict=True, reason=reason))
    X, y, _ = biased
    y = np.where(y == 1, "yes", "no")
    clf = FairBiNNClassifier(**PARAMS).fit(X, y, sensitive_features=sensitive_features)
    loaded = make_copy(clf, tmp_path)
    pd.testing.assert_index_equal(loaded.groups_, clf.groups_)
    np.testing.assert_array_equal(loaded.predict(X), clf.predict(X))
    for model in (loaded, clf):
        model.partial_fit(X, y, sensitive_features=sensitive_features)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


@each_copy(through_pickle, through_joblib, through_deepcopy, through_skops)
def test_parameters_that_were_set_after_fit(biased, tmp_path, make_copy):
    X, y, group = biased
    clf = fit(biased, lr_schedule=torch.optim.lr_scheduler.StepLR, lr_schedule__step_size=2)
    expected = clf.predict_proba(X)
    clf.set_params(hidden_layer_sizes=(5,), optimizer="sgd", optimizer__momentum=0.9, eta=100.0)
    loaded = make_copy(clf, tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    assert loaded.get_params() == clf.get_params()
    for model in (loaded, clf):
        model.fit(X, y, sensitive_features=group)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


class Affine(torch.nn.Module):
    """Network whose parameters include tensors and a module, and that draws random numbers."""

    def __init__(self, n_features, n_outputs, shift, linear):
        super().__init__()
        self.shift, self.linear = shift, linear
        self.fair, self.dropout = torch.nn.Linear(4, 4), torch.nn.Dropout(0.2)
        self.head = torch.nn.Linear(4, n_outputs)

    def forward(self, X):
        return self.head(self.dropout(self.fair(self.linear(X + self.shift))))


@each_copy(through_pickle, through_deepcopy)
def test_custom_module_with_tensors_and_modules_as_parameters(biased, tmp_path, make_copy):
    X, y, group = biased
    linear = torch.nn.Linear(4, 4)
    initial_weight = linear.weight.detach().clone()
    params = {"module__shift": torch.tensor([5.0]), "module__linear": linear}
    clf = fit(biased, module=Affine, fairness_modules="fair", **params)
    assert torch.equal(linear.weight, initial_weight)
    assert not torch.equal(clf.module_.linear.weight, initial_weight)
    loaded = make_copy(clf, tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    for model in (loaded, clf):
        model.partial_fit(X, y, sensitive_features=group)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


@pytest.mark.slow
def test_joblib_file_is_loaded_in_another_process(biased, tmp_path):
    clf = fit(biased)
    joblib.dump((clf, biased[0]), tmp_path / "model.joblib")
    code = """if True:
        import sys, joblib, numpy as np
        clf, X = joblib.load(sys.argv[1])
        np.save(sys.argv[2], clf.predict_proba(X))
    """
    paths = [tmp_path / "model.joblib", tmp_path / "probabilities.npy"]
    subprocess.run([sys.executable, "-c", code, *paths], check=True)
    np.testing.assert_array_equal(np.load(paths[1]), clf.predict_proba(biased[0]))


def test_model_of_a_missing_device_is_loaded_on_an_available_device(biased):
    clf = fit(biased)
    state = clf.__getstate__()
    state["net_"][0]["device"] = "cuda:77"
    loaded = FairBiNNClassifier.__new__(FairBiNNClassifier)
    loaded.__setstate__(state)
    np.testing.assert_allclose(
        loaded.predict_proba(biased[0]), clf.predict_proba(biased[0]), atol=1e-5
    )


@pytest.mark.parametrize("params", [{}, {"fairness_target": 0.3}], ids=["eta", "target"])
def test_skops_trusts_exactly_one_class(biased, params):
    sio = pytest.importorskip("skops.io")
    clf = fit(biased, **params)
    data = sio.dumps(clf)
    assert sio.get_untrusted_types(data=data) == TRUSTED
    loaded = sio.loads(data, trusted=TRUSTED)
    np.testing.assert_array_equal(loaded.predict_proba(biased[0]), clf.predict_proba(biased[0]))


def test_skops_asks_for_trust_in_objects_that_are_parameters(biased):
    sio = pytest.importorskip("skops.io")
    untrusted = sio.get_untrusted_types(
        data=sio.dumps(fit(biased, constraint=DemographicParity(), activation=torch.nn.Softsign))
    )
    names = {name.rpartition(".")[2] for name in untrusted}
    assert names == {"FairBiNNClassifier", "DemographicParity", "Softsign"}


def test_weights_as_safetensors(biased, tmp_path):
    torch_files = pytest.importorskip("safetensors.torch")
    X, *_ = biased
    clf, second = fit(biased), fit(biased, random_state=1)
    torch_files.save_file(clf.module_.state_dict(), tmp_path / "weights.safetensors")
    assert (second.predict_proba(X) != clf.predict_proba(X)).any()
    second.module_.load_state_dict(torch_files.load_file(tmp_path / "weights.safetensors"))
    np.testing.assert_array_equal(second.predict_proba(X), clf.predict_proba(X))


def test_a_network_of_other_parameters_raises(fitted):
    state = fitted.__getstate__()
    description, lasting = state["net_"]
    module = {name: value for name, value in lasting["module"].items() if "scale" not in name}
    assert len(module) < len(lasting["module"])
    damaged = {**state, "net_": [description, {**lasting, "module": module}]}
    with pytest.raises(ValueError, match="must match the network of this version .* Fit the model"):
        make().__setstate__(damaged)
