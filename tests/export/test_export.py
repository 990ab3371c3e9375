"""Files: pickle, joblib, skops, our own, ONNX."""

import copy
import json
import os
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from conftest import make_data
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from test_faults import Dropped

from fairbinn_sklearn import FairBiNNClassifier, export, fairness_path
from fairbinn_sklearn.export import load, save, to_onnx
from fairbinn_sklearn.losses import DemographicParity, EqualizedOdds, FairnessLoss
from fairbinn_sklearn.preprocessing import PiecewiseLinearEncoder, tabular_preprocessor

SETTINGS = {"eta": 3.0, "batch_size": 100, "max_epochs": 4, "device": "cpu", "random_state": 0}


pytestmark = pytest.mark.filterwarnings("ignore:The running difference ended")


@pytest.fixture(scope="module")
def rows():
    return make_data(600)


def fit(rows, **params):
    X, y, group = rows
    return FairBiNNClassifier(**{**SETTINGS, **params}).fit(X, y, sensitive_features=group)


KINDS = {
    "default": {},
    "alone": {"eta": 0},
    "target": {"eta": 1.0, "fairness_target": 0.3, "violation": "both"},
    "losses": {"constraint": [DemographicParity(), EqualizedOdds(0.5, aggregation="max")]},
    "classes of torch": {
        "activation": torch.nn.Softsign,
        "optimizer": torch.optim.Adagrad,
        "optimizer__eps": 1e-8,
        "lr_schedule": torch.optim.lr_scheduler.StepLR,
        "lr_schedule__step_size": 2,
    },
    "sizes": {
        "hidden_layer_sizes": 16,
        "fairness_layer_sizes": [8, 16],
        "fairness_position": 0,
        "fairness_optimizer": "adam",
        "lr": np.float32(1e-3),
        "batch_size": np.int64(64),
    },
    "weights": {"class_weight": {0: 1.0, 1: 2.0}, "early_stopping": True},
}
WAYS = {
    "pickle": lambda clf, folder: pickle.loads(pickle.dumps(clf)),
    "joblib": lambda clf, folder: joblib.load(joblib.dump(clf, folder / "model")[0]),
    "deepcopy": lambda clf, folder: copy.deepcopy(clf),
    "save": lambda clf, folder: (save(clf, folder / "model"), load(folder / "model"))[1],
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("params", KINDS.values(), ids=KINDS)
def test_a_model_that_was_loaded_is_the_model(rows, tmp_path, params, way):
    X, y, group = rows
    clf = fit(rows, **params)
    loaded = way(clf, tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert loaded.history_ == clf.history_
    assert (loaded.eta_, loaded.n_iter_) == (clf.eta_, clf.n_iter_)
    assert loaded.classes_.dtype == clf.classes_.dtype
    pd.testing.assert_index_equal(loaded.groups_, clf.groups_)
    assert repr(loaded) == repr(clf)
    for one in (loaded, clf):
        one.set_params(early_stopping=False)
        one.partial_fit(X, y, sensitive_features=group)
    assert loaded.history_ == clf.history_
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_labels_and_groups_of_any_kind_come_back(rows, tmp_path, way):
    X, y, group = rows
    labels = np.where(y == 1, "ja", "nein")
    kinds = [
        pd.DataFrame({"sex": group, "age": np.arange(600.0) % 77}),
        pd.DataFrame({"sex": group, "ward": np.arange(600) % 3}),
        np.arange(600) % 3,
        pd.Series(pd.to_datetime(["2020-01-01", "2021-01-01"] * 300), name="since"),
        pd.Series([True, False] * 300),
        pd.Series([("a", 1), ("b", 2)] * 300),
        pd.Series([1, "unknown", None and 2] * 200).fillna("x"),
    ]
    for sensitive in kinds:
        for combine in ("intersection", "each"):
            clf = FairBiNNClassifier(**SETTINGS, n_bins={"age": 3}, combine=combine)
            if "age" not in getattr(sensitive, "columns", ()):
                clf.set_params(n_bins=None)
            clf.fit(X, labels, sensitive_features=sensitive)
            try:
                loaded = way(clf, tmp_path)
            except ValueError as error:  # tuples have no word in JSON, and say so
                assert "cannot be saved" in str(error)
                continue
            pd.testing.assert_index_equal(loaded.groups_, clf.groups_)
            assert loaded.bin_edges_.keys() == clf.bin_edges_.keys()
            np.testing.assert_array_equal(loaded.predict(X), clf.predict(X))
            clf.partial_fit(X, labels, sensitive_features=sensitive)
            loaded.partial_fit(X, labels, sensitive_features=sensitive)
            np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_a_model_of_a_path_is_saved_with_its_own_eta(rows, tmp_path):
    X, y, group = rows
    path = fairness_path(
        X, y, group, etas=[1, 7], estimator=FairBiNNClassifier(**SETTINGS | {"eta": 1})
    )
    save(path[1], tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.eta == loaded.eta_ == 7
    np.testing.assert_array_equal(loaded.predict_proba(X), path[1].predict_proba(X))


def test_parameters_set_since_the_fit_do_not_spoil_the_file(rows, tmp_path):
    clf = fit(rows)
    expected = clf.predict_proba(rows[0])
    clf.set_params(hidden_layer_sizes=(5,), eta=100.0, violation="score")
    for way in WAYS.values():
        np.testing.assert_array_equal(way(clf, tmp_path).predict_proba(rows[0]), expected)


def test_a_pickle_is_loaded_in_another_process(rows, tmp_path):
    clf = fit(rows)
    joblib.dump((clf, rows[0]), tmp_path / "model")
    save(clf, tmp_path / "model.safetensors")
    code = """if True:
        import sys, joblib, numpy as np
        from fairbinn_sklearn.export import load
        clf, X = joblib.load(sys.argv[1])
        other = load(sys.argv[1] + ".safetensors")
        np.save(sys.argv[2], [clf.predict_proba(X), other.predict_proba(X)])
    """
    command = [sys.executable, "-c", code, tmp_path / "model", tmp_path / "scores.npy"]
    subprocess.run(command, check=True)
    for scores in np.load(tmp_path / "scores.npy"):
        np.testing.assert_array_equal(scores, clf.predict_proba(rows[0]))


@pytest.mark.parametrize(
    "params", [{}, {"eta": 1.0, "fairness_target": 0.3}], ids=["eta", "target"]
)
def test_skops_needs_one_class_to_be_trusted(rows, params):
    io = pytest.importorskip("skops.io")
    clf = fit(rows, **params)
    data = io.dumps(clf)
    trusted = ["fairbinn_sklearn._classifier.FairBiNNClassifier"]
    assert io.get_untrusted_types(data=data) == trusted
    loaded = io.loads(data, trusted=trusted)
    np.testing.assert_array_equal(loaded.predict_proba(rows[0]), clf.predict_proba(rows[0]))


def test_a_model_of_a_device_that_is_gone_is_loaded_where_it_can(rows):
    clf = fit(rows)
    state = clf.__getstate__()
    state["net_"][0]["device"] = "cuda:77"
    other = FairBiNNClassifier.__new__(FairBiNNClassifier)
    other.__setstate__(state)
    np.testing.assert_allclose(other.predict_proba(rows[0]), clf.predict_proba(rows[0]), atol=1e-5)


class Affine(torch.nn.Module):
    """Tensors and a module as parameters; it draws random numbers."""

    def __init__(self, n_features, n_outputs, shift, scale, back):
        super().__init__()
        self.shift, self.scale, self.back = shift, scale, back
        self.fair, self.drop = torch.nn.Linear(4, 4), torch.nn.Dropout(0.2)
        self.head = torch.nn.Linear(4, n_outputs)

    def forward(self, X):
        return self.head(self.drop(self.fair(self.back(X * self.scale + self.shift))))


def test_tensors_and_modules_as_parameters(rows, tmp_path):
    X, y, group = rows
    back = torch.nn.Linear(4, 4)
    first = back.weight.detach().clone()
    given = {"shift": torch.tensor([5.0]), "scale": torch.tensor([2.0]), "back": back}
    params = {f"module__{name}": value for name, value in given.items()}
    clf = fit(rows, module=Affine, fairness_modules="fair", **params)
    assert torch.equal(back.weight, first)  # the user's own is not trained
    before = clf.module_.back.weight.detach().clone()
    save(clf, tmp_path / "model")
    loaded = load(tmp_path / "model", module=Affine, module__back=back)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    for one in (clf, loaded, pickle.loads(pickle.dumps(clf))):
        one.partial_fit(X, y, sensitive_features=group)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert not torch.equal(clf.module_.back.weight, before)  # and that of the net is


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_net_that_draws_random_numbers_goes_on_drawing_them(rows, tmp_path, way):
    X, y, group = rows
    clf = fit(rows, activation=torch.nn.RReLU)
    loaded = way(clf, tmp_path)
    for one in (clf, loaded):
        one.partial_fit(X, y, sensitive_features=group)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_nested_parameters_set_since_the_fit(rows, tmp_path):
    clf = fit(rows, lr_schedule=torch.optim.lr_scheduler.StepLR, lr_schedule__step_size=2)
    clf.set_params(optimizer="sgd", optimizer__momentum=0.9, lr_schedule="cosine", max_epochs=3)
    save(clf, tmp_path / "model")
    loaded = load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(rows[0]), clf.predict_proba(rows[0]))
    assert (loaded.optimizer, loaded.lr_schedule, loaded.max_epochs) == ("adam", "cosine", 3)
    loaded.fit(rows[0], rows[1], sensitive_features=rows[2])


# Our own files


class Named(FairBiNNClassifier):
    pass


class Odd(FairnessLoss):
    def events(self, y, n_classes):
        return (y == 1)[None]


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"module": Dropped, "fairness_modules": "fair"}, ["module"]),
        ({"constraint": Odd()}, ["constraint"]),
        ({"random_state": np.random.RandomState(0)}, ["random_state"]),
    ],
)
def test_code_is_not_saved_but_asked_for(rows, tmp_path, params, names):
    clf = fit(rows, **params)
    save(clf, tmp_path / "model")
    with pytest.raises(
        ValueError, match="has no code, .* pass " + ", ".join(f"{n}=" for n in names)
    ):
        load(tmp_path / "model")
    loaded = load(tmp_path / "model", **{name: params[name] for name in names})
    np.testing.assert_array_equal(loaded.predict_proba(rows[0]), clf.predict_proba(rows[0]))


def test_the_file_is_safetensors_and_json(rows, tmp_path):
    from safetensors import safe_open

    clf = fit(rows)
    save(clf, tmp_path / "model")
    with safe_open(tmp_path / "model", framework="np") as file:
        content = json.loads(file.metadata()["fairbinn_sklearn"])
        weight = file.get_tensor("state.module.head.0.weight")
    np.testing.assert_array_equal(weight, clf.module_.head[0].weight.detach().numpy())
    assert (content["format"], content["code"]) == (1, [])


def spoiled(content):
    return lambda data: data.replace(b'\\"format\\": 1', content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: b"", "is no safetensors file, or damaged"),
        (lambda data: data[: len(data) // 2], "is no safetensors file, or damaged"),
        (lambda data: b"what else" * 1000, "is no safetensors file, or damaged"),
        (
            lambda data: data.replace(b'"fairbinn_sklearn"', b'"fairbinn_SKLEARN"'),
            "was not written",
        ),
        (spoiled(b'\\"format\\": 2'), "has the format 2, .* install a newer one"),
    ],
)
def test_damaged_and_newer_files_are_told(rows, tmp_path, spoil, message):
    file = tmp_path / "model"
    save(fit(rows), file)
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(ValueError, match=message):
        load(file)


def test_what_cannot_be_saved_or_loaded(rows, tmp_path):
    with pytest.raises(TypeError, match="classifier must be a FairBiNNClassifier, got Pipeline"):
        save(make_pipeline(fit(rows)), tmp_path / "model")
    with pytest.raises(NotFittedError):
        save(FairBiNNClassifier(), tmp_path / "model")
    X, y, _ = rows
    with pytest.raises(TypeError, match="pickle one of a subclass"):
        save(Named(**SETTINGS), tmp_path / "model")
    strange = pd.Series([complex(0, k % 2) for k in range(600)], dtype=object)
    clf = FairBiNNClassifier(**SETTINGS).fit(X, y, sensitive_features=strange)
    with pytest.raises(ValueError, match="classifier cannot be saved"):
        save(clf, tmp_path / "model")
    assert not list(tmp_path.iterdir())
    with pytest.raises(OSError):
        save(fit(rows), tmp_path / "nowhere" / "model")
    with pytest.raises(OSError):
        load(tmp_path / "nowhere")


def test_a_failed_write_leaves_the_file_that_was_there(rows, tmp_path, monkeypatch):
    file = tmp_path / "model"
    clf = fit(rows)
    save(clf, file)
    before = file.read_bytes()

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(fit(rows, max_epochs=1), file)
    assert file.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["model"]


# ONNX


def run(model, inputs):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    (found,) = session.run(["probabilities"], inputs)
    return found


class Recurrent(torch.nn.Module):
    def __init__(self, shape, n_outputs):
        super().__init__()
        self.gru = torch.nn.GRU(shape[-1], 8, batch_first=True)
        self.fair, self.head = torch.nn.Linear(8, 8), torch.nn.Linear(8, n_outputs)

    def forward(self, X):
        return self.head(torch.relu(self.fair(self.gru(X)[1][0])))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("activation", ["relu", "gelu", "softplus", torch.nn.Mish])
def test_onnx_predicts_as_the_net_does(rows, activation, n_classes):
    pytest.importorskip("onnxruntime")
    X, y, group = rows
    y = y if n_classes == 2 else np.array(["x", "y", "z"])[y + (X[:, 1] > 0)]
    clf = fit((X, y, group), activation=activation)
    found = run(to_onnx(clf), {"X": X[:77]})
    np.testing.assert_allclose(found, clf.predict_proba(X[:77]), atol=1e-6)
    assert found.shape == (77, n_classes)
    assert clf.module_.head[0].weight.requires_grad  # the model is as it was


def test_onnx_of_a_net_of_ones_own(rows):
    pytest.importorskip("onnxruntime")
    X, y, group = rows
    series = X.reshape(600, 2, 2)
    clf = fit((series, y, group), module=Recurrent, fairness_modules="fair")
    np.testing.assert_allclose(
        run(to_onnx(clf), {"X": series}), clf.predict_proba(series), atol=1e-6
    )


def test_an_onnx_model_that_predicts_otherwise_is_refused(rows, monkeypatch):
    pytest.importorskip("onnxruntime")
    clf = fit(rows)
    export_of_torch = torch.onnx.export

    def spoiled(module, *args, **kwargs):
        other = copy.deepcopy(module)
        with torch.no_grad():
            other.module.head[0].bias += 0.01
        return export_of_torch(other, *args, **kwargs)

    monkeypatch.setattr(torch.onnx, "export", spoiled)
    with pytest.raises(RuntimeError, match=r"probabilities are off by 0\.0"):
        to_onnx(clf)


def check_pipeline(steps, X, fresh=None):
    """Fit a pipeline, export it, and compare both on other rows."""
    pytest.importorskip("skl2onnx")
    y = np.arange(X.shape[0]) % 2
    pipeline = make_pipeline(steps, FairBiNNClassifier(0, max_epochs=1, random_state=0)).fit(X, y)
    fresh = X if fresh is None else fresh
    found = run(to_onnx(pipeline, X), inputs_of(fresh))
    np.testing.assert_allclose(found, pipeline.predict_proba(fresh), atol=1e-6)


def inputs_of(X):
    """X as the docstring of `to_onnx` has it."""
    if not isinstance(X, pd.DataFrame):
        return {"X": X}
    text = {name for name in X if not pd.api.types.is_numeric_dtype(X[name].dtype)}
    nullable = {name for name in X if not isinstance(X[name].dtype, np.dtype)} - text
    return {
        name: X[[name]].astype(object).fillna("nan").astype(str).to_numpy(object)
        if name in text
        else X[[name]].to_numpy(float if name in nullable else None)
        for name in X
    }


@pytest.fixture(scope="module")
def mixed():
    """Columns of all types, most with missing values."""
    rng = np.random.default_rng(0)
    n = 400
    numbers = rng.normal(1e3, 10, (n, 2))
    codes = rng.integers(0, 4, n)
    words = rng.choice(["x", "y", "z"], n, p=[0.5, 0.47, 0.03])
    gone = rng.random(n) < 0.1
    return pd.DataFrame(
        {
            "whole": rng.integers(-50, 50, n),
            "float": np.where(gone, np.nan, numbers[:, 0]),
            "single": numbers[:, 1].astype(np.float32),
            "small-int": rng.integers(0, 9, n).astype(np.int8),
            "flag": rng.random(n) < 0.5,
            "nullable": pd.array(np.where(gone, None, codes), dtype="Int64"),
            "word": pd.Series(np.where(gone, None, words), dtype=object),
            "kind": pd.Categorical(words),
            "text": pd.array(words, dtype="string"),
        }
    )


@pytest.mark.parametrize("steps", [StandardScaler(), PCA(2), PiecewiseLinearEncoder()])
@pytest.mark.parametrize("kind", ["array", "single", "whole", "frame"])
def test_onnx_of_numbers(mixed, steps, kind):
    """Columns of several types, of which the first is whole; large ones need double precision."""
    X = mixed[["whole", "single", "small-int", "flag"]]
    X = X.assign(single=X["single"] - 1000)
    X = X.assign(large=1e5 + X["single"].astype(float)) if kind != "single" else X
    if kind != "frame":
        X = X.to_numpy({"array": float, "whole": int, "single": np.float32}[kind])
    check_pipeline(steps, X, X[::-1])


def test_onnx_of_sparse_rows(mixed):
    X = mixed[["small-int", "whole"]].to_numpy(np.float32)
    check_pipeline(MaxAbsScaler(), scipy.sparse.csr_array(X), X)


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values")
@pytest.mark.parametrize("params", [{}, {"strategy": "median", "add_indicator": True}])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_onnx_of_imputers(mixed, params, dtype):
    X = mixed[["float", "single"]].assign(nothing=np.nan).astype(dtype)
    check_pipeline(make_pipeline(SimpleImputer(**params), StandardScaler()), X)
    imputer = SimpleImputer(missing_values=-1, keep_empty_features=True, **params)
    check_pipeline(make_pipeline(imputer, StandardScaler()), X.fillna(-1))


def test_onnx_of_a_column_transformer(mixed):
    words = make_pipeline(
        SimpleImputer(missing_values=None, strategy="most_frequent"),
        OneHotEncoder(sparse_output=False, handle_unknown="ignore"),
    )
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer(
        (words, ["word", "kind"]),
        (OneHotEncoder(), ["text"]),
        (numbers, ["small-int", "float", "whole"]),
        (PiecewiseLinearEncoder(dtype=np.float32), ["single", "nullable"]),
    )
    check_pipeline(columns, mixed, mixed[::-1].assign(kind="never seen"))
    some = make_column_transformer((StandardScaler(), ["single"]), remainder="passthrough")
    check_pipeline(make_pipeline(some, StandardScaler()), mixed[["whole", "single"]])


@pytest.mark.parametrize("min_frequency", [1, 20, 300])
def test_onnx_of_the_tabular_preprocessor(mixed, min_frequency):
    """Rare and unseen categories, all of them rare, codes as numbers of all types."""
    fresh = mixed.assign(
        whole=1000, nullable=mixed["nullable"].fillna(77), kind="never seen", word=mixed["kind"]
    )
    fresh = fresh.astype(mixed.dtypes.drop("kind"))
    for codes in ([], ["small-int", "flag", "nullable"], ["whole", "single"]):
        steps = tabular_preprocessor(categorical_columns=codes, min_frequency=min_frequency)
        check_pipeline(steps, mixed, fresh)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("handle_missing", ["error", "median"])
def test_onnx_of_the_encoder(rows, dtype, handle_missing):
    """With a constant column, NaN seen in fit and not, values outside, a column of NaN alone."""
    pytest.importorskip("skl2onnx")
    X, y, group = rows
    X = np.column_stack([X, np.full(len(X), 3.0), np.full(len(X), np.nan)]).astype(dtype)
    X[::7, 1] = np.nan
    encoder = PiecewiseLinearEncoder(5, handle_missing=handle_missing)
    clf = FairBiNNClassifier(**SETTINGS)
    pipeline = make_pipeline(encoder, clf).fit(X, y, fairbinnclassifier__sensitive_features=group)
    fresh = np.vstack([X, 10 * X]).astype(dtype)
    if handle_missing == "median":
        fresh[::5, 0] = np.nan
    model = to_onnx(pipeline, X)
    found = run(model, {"X": fresh})
    np.testing.assert_allclose(found, pipeline.predict_proba(fresh), atol=1e-6)
    if handle_missing == "error":
        fresh[3, 0] = np.nan
        assert np.isnan(run(model, {"X": fresh})[3]).all()


def test_what_onnx_cannot_have_is_told(rows):
    pytest.importorskip("skl2onnx")
    X, y, group = rows
    with pytest.raises(TypeError, match="estimator must be a FairBiNNClassifier, or a Pipeline"):
        to_onnx(make_pipeline(StandardScaler()))
    search = GridSearchCV(fit(rows), {"eta": [0.0]}, cv=2).fit(X, y)
    with pytest.raises(TypeError, match="got GridSearchCV. Pass its best_estimator_"):
        to_onnx(search)
    with pytest.raises(NotFittedError):
        to_onnx(FairBiNNClassifier())
    pipeline = make_pipeline(FunctionTransformer(np.negative), FairBiNNClassifier(**SETTINGS))
    pipeline.fit(X, y, fairbinnclassifier__sensitive_features=group)
    with pytest.raises(ValueError, match="X must be some rows that the pipeline takes, got None"):
        to_onnx(pipeline)
    with pytest.raises(ValueError, match="skl2onnx cannot convert a step .*FunctionTransformer"):
        to_onnx(pipeline, X)
    with pytest.raises(ValueError, match="X has 3 features, but"):
        to_onnx(pipeline, X[:, :3])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "probabilities"], r"named as parts .*, got \['probabilities'\]"),
        (["net/a", "b"], r"named as parts .*, got \['net/a'\]"),
        ([7, 8], r"with names of text, got \[7, 8\]"),
    ],
)
def test_names_of_columns_that_onnx_cannot_have(mixed, names, message):
    X = mixed[["whole", "single"]].set_axis(names, axis=1)
    with pytest.raises(ValueError, match=message):
        check_pipeline(StandardScaler(), X)


@pytest.mark.parametrize("names", [["variable", "a-b", "a_b"], ["X", "a b", "naïve"]])
def test_names_of_columns_that_onnx_can_have(mixed, names):
    X = mixed[["whole", "flag", "kind"]].set_axis(names, axis=1)
    check_pipeline(tabular_preprocessor(), X)
    check_pipeline(StandardScaler(), X[names[:2]])


def test_steps_that_skl2onnx_converts_wrongly_are_told(mixed):
    X = mixed[["whole", "single"]].astype(float)
    with pytest.raises(RuntimeError, match="not valid; columns of float32 may help"):
        check_pipeline(PolynomialFeatures(), X)
    check_pipeline(PolynomialFeatures(), X.astype(np.float32) / 1000)


def test_the_public_names():
    assert export.__all__ == ["load", "save", "to_onnx"]
