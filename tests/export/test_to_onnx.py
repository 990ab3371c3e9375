"""Tests of to_onnx: the model predicts in onnxruntime as the classifier or pipeline does."""

import copy
import logging

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
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

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.export import to_onnx
from fairbinn_sklearn.export._steps import model_inputs
from fairbinn_sklearn.preprocessing import PiecewiseLinearEncoder, tabular_preprocessor

pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

PARAMS = {"eta": 0, "max_epochs": 1, "device": "cpu", "random_state": 0}


def run(model, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    (probabilities,) = session.run(["probabilities"], inputs)
    return probabilities


def inputs_of(X):
    """Return the inputs of a model as the docstring of to_onnx describes them."""
    if not isinstance(X, pd.DataFrame):
        return {"X": X}
    inputs = {}
    for name, dtype in X.dtypes.items():
        if not pd.api.types.is_numeric_dtype(dtype):
            text = X[[name]].astype(object).fillna("nan").astype(str)
            inputs[name] = text.to_numpy(object)
        else:
            inputs[name] = X[[name]].to_numpy(None if isinstance(dtype, np.dtype) else float)
    return inputs


def check_pipeline(transformer, X, X_new=None):
    """Fit a pipeline, export it, and compare both on new samples."""
    y = np.arange(X.shape[0]) % 2
    pipeline = make_pipeline(transformer, FairBiNNClassifier(**PARAMS)).fit(X, y)
    X_new = X if X_new is None else X_new
    expected = pipeline.predict_proba(X_new)
    probabilities = run(to_onnx(pipeline, X), inputs_of(X_new))
    assert np.ptp(expected[:, 1]) > 1e-4
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


@pytest.fixture(scope="module")
def mixed():
    """Return a DataFrame with columns of all types, most with missing values."""
    rng = np.random.default_rng(0)
    n_samples = 400
    numbers = rng.normal(1e3, 10, (n_samples, 2))
    codes = rng.integers(0, 4, n_samples)
    texts = rng.choice(["x", "y", "z"], n_samples, p=[0.5, 0.47, 0.03])
    missing = rng.random(n_samples) < 0.1
    return pd.DataFrame(
        {
            "int64": rng.integers(-50, 50, n_samples),
            "float64": np.where(missing, np.nan, numbers[:, 0]),
            "float32": numbers[:, 1].astype(np.float32),
            "int8": rng.integers(0, 9, n_samples).astype(np.int8),
            "bool": rng.random(n_samples) < 0.5,
            "nullable": pd.array(np.where(missing, None, codes), dtype="Int64"),
            "object": pd.Series(np.where(missing, None, texts), dtype=object),
            "category": pd.Categorical(texts),
            "string": pd.array(texts, dtype="string"),
        }
    )


# Classifiers


@pytest.mark.parametrize(
    ("activation", "n_classes"),
    [
        ("relu", 2),
        (torch.nn.Mish, 3),
        pytest.param("gelu", 2, marks=pytest.mark.slow),
        pytest.param("softplus", 3, marks=pytest.mark.slow),
    ],
    ids=["relu", "Mish", "gelu", "softplus"],
)
def test_classifier(biased, caplog, activation, n_classes):
    X, y, group = biased
    y = y if n_classes == 2 else np.array(["x", "y", "z"])[y + (X[:, 1] > 0)]
    clf = FairBiNNClassifier(**PARAMS | {"eta": 3, "activation": activation})
    clf.fit(X, y, sensitive_features=group)
    model = to_onnx(clf)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    probabilities = run(model, {"X": X[:77]})
    assert probabilities.shape == (77, n_classes)
    np.testing.assert_allclose(probabilities, clf.predict_proba(X[:77]), atol=1e-6)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["classes"] == repr(clf.classes_.tolist())


class Recurrent(torch.nn.Module):
    def __init__(self, shape, n_outputs):
        super().__init__()
        self.gru = torch.nn.GRU(shape[-1], 8, batch_first=True)
        self.fair, self.head = torch.nn.Linear(8, 8), torch.nn.Linear(8, n_outputs)

    def forward(self, X):
        return self.head(torch.relu(self.fair(self.gru(X)[1][0])))


@pytest.mark.slow
def test_custom_module(biased):
    X, y, group = biased
    X = X.reshape(600, 2, 2)
    clf = FairBiNNClassifier(**PARAMS, module=Recurrent, fairness_modules="fair")
    clf.fit(X, y, sensitive_features=group)
    np.testing.assert_allclose(run(to_onnx(clf), {"X": X}), clf.predict_proba(X), atol=1e-6)


# Pipelines


@pytest.mark.parametrize(
    "dtype",
    [
        np.float64,
        *(pytest.param(t, marks=pytest.mark.slow) for t in (np.float32, np.int64, None)),
    ],
    ids=str,
)
def test_numeric_features(mixed, dtype):
    """Test an array of each type, and a DataFrame whose columns need double precision."""
    X = mixed[["int64", "float32", "int8", "bool"]]
    X = X.assign(float32=X["float32"] - 1000)
    if dtype is None:
        X = X.assign(large=1e5 + X["float32"].astype(float))
    else:
        X = X.to_numpy(dtype)
    check_pipeline(StandardScaler(), X, X[::-1])


@pytest.mark.parametrize("dtype", ["bool[pyarrow]", "boolean"])
def test_booleans_of_any_type_are_numbers(mixed, dtype):
    pytest.importorskip("pyarrow")
    X = mixed[["int64", "bool"]].astype({"bool": dtype})
    inputs = model_inputs(X)
    assert inputs["bool"].dtype == np.float64
    np.testing.assert_array_equal(inputs["bool"][:, 0], mixed["bool"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:X has . feature")
@pytest.mark.parametrize("transformer", [PCA(2), PiecewiseLinearEncoder()], ids=["PCA", "PLE"])
def test_other_numeric_transformers(mixed, transformer):
    check_pipeline(transformer, mixed[["int64", "float32", "int8", "bool"]])


@pytest.mark.slow
def test_sparse_matrix(mixed):
    X = mixed[["int8", "int64"]].to_numpy(np.float32)
    check_pipeline(MaxAbsScaler(), scipy.sparse.csr_array(X), X)
    check_pipeline(MaxAbsScaler(), scipy.sparse.coo_matrix(X), X)


def test_imputer_of_float32_columns(mixed):
    X = mixed[["float64", "float32"]].astype(np.float32)
    check_pipeline(make_pipeline(SimpleImputer(), StandardScaler()), X)


def test_imputer_of_other_columns_is_refused(mixed):
    X = mixed[["float64", "float32"]]
    with pytest.raises(ValueError, match="float32 for SimpleImputer, .* got .*'float64'"):
        check_pipeline(make_pipeline(SimpleImputer(), StandardScaler()), X)


def test_column_transformer(mixed):
    transformer = make_column_transformer(
        (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), ["category"]),
        (OneHotEncoder(), ["string"]),
        (StandardScaler(), ["int8", "int64"]),
        (PiecewiseLinearEncoder(dtype=np.float32), ["float32", "nullable"]),
        remainder="drop",
    )
    check_pipeline(transformer, mixed, mixed[::-1].assign(category="never seen"))


@pytest.mark.slow
def test_passthrough_of_a_column_transformer(mixed):
    transformer = make_column_transformer((StandardScaler(), ["float32"]), remainder="passthrough")
    check_pipeline(make_pipeline(transformer, StandardScaler()), mixed[["int64", "float32"]])


@pytest.mark.filterwarnings("ignore:All categories of the columns")
@pytest.mark.parametrize(
    ("min_frequency", "categorical_columns"),
    [
        (20, ["int8", "bool", "nullable"]),
        # All categories are infrequent.
        pytest.param(300, ["int8", "bool", "nullable"], marks=pytest.mark.slow),
        pytest.param(1, [], marks=pytest.mark.slow),
        pytest.param(20, ["int64", "float32"], marks=pytest.mark.slow),
        pytest.param(None, ["int8"], marks=pytest.mark.slow),
    ],
)
def test_tabular_preprocessor(mixed, min_frequency, categorical_columns):
    X_new = mixed.assign(
        int64=1000,
        nullable=mixed["nullable"].fillna(77),
        category="never seen",
        object=mixed["category"],
    )
    X_new = X_new.astype(mixed.dtypes.drop("category"))
    transformer = tabular_preprocessor(
        categorical_columns=categorical_columns, min_frequency=min_frequency
    )
    check_pipeline(transformer, mixed, X_new)


@pytest.mark.parametrize(
    ("dtype", "handle_missing"),
    [(np.float32, "median"), pytest.param(np.float64, "error", marks=pytest.mark.slow)],
)
def test_piecewise_linear_encoder(biased, dtype, handle_missing):
    """Test missing values, values outside the edges, and features without bins."""
    X, y, _ = biased
    X = np.column_stack([X, np.full(len(X), 3.0), np.full(len(X), np.nan)]).astype(dtype)
    X[::7, 1] = np.nan
    encoder = PiecewiseLinearEncoder(5, handle_missing=handle_missing)
    pipeline = make_pipeline(encoder, FairBiNNClassifier(**PARAMS)).fit(X, y)
    model = to_onnx(pipeline, X)
    X_new = np.vstack([X, 10 * X]).astype(dtype)
    if handle_missing == "median":
        X_new[::5, 0] = np.nan  # no missing value in fit
    expected = pipeline.predict_proba(X_new)
    np.testing.assert_allclose(run(model, {"X": X_new}), expected, atol=1e-6)
    if handle_missing == "error":
        X_new[3, 0] = np.nan
        is_nan = np.isnan(run(model, {"X": X_new})).all(axis=1)
        np.testing.assert_array_equal(np.flatnonzero(is_nan), [3])


@pytest.mark.parametrize(
    "names", [["variable", "a-b", "a_b"], ["X", "a b", "naïve"], ["float32", "network", "merged"]]
)
@pytest.mark.slow
def test_unusual_column_names(mixed, names):
    """Test names that skl2onnx, or the merged model, use for values inside the graph."""
    X = mixed[["int64", "bool", "category"]].set_axis(names, axis=1)
    check_pipeline(tabular_preprocessor(), X)
    check_pipeline(StandardScaler(), X[names[:2]])


# Errors


def test_invalid_estimator(biased):
    X, y, _ = biased
    with pytest.raises(TypeError, match="estimator must be a FairBiNNClassifier or a Pipeline"):
        to_onnx(make_pipeline(StandardScaler()))
    search = GridSearchCV(FairBiNNClassifier(**PARAMS), {"eta": [0.0]}, cv=2).fit(X, y)
    with pytest.raises(TypeError, match="got GridSearchCV. Pass its best_estimator_"):
        to_onnx(search)
    for estimator in (FairBiNNClassifier(), make_pipeline(StandardScaler(), FairBiNNClassifier())):
        with pytest.raises(NotFittedError):
            to_onnx(estimator, X)


def test_transformer_without_converter(biased):
    X, y, _ = biased
    transformer = FunctionTransformer(np.negative)
    pipeline = make_pipeline(transformer, FairBiNNClassifier(**PARAMS)).fit(X, y)
    with pytest.raises(ValueError, match="skl2onnx can convert, got .*FunctionTransformer"):
        to_onnx(pipeline, X)


def test_samples_that_the_pipeline_does_not_take(biased):
    X, y, _ = biased
    pipeline = make_pipeline(StandardScaler(), FairBiNNClassifier(**PARAMS)).fit(X, y)
    with pytest.raises(ValueError, match="X must be samples for the pipeline, got None"):
        to_onnx(pipeline)
    with pytest.raises(ValueError, match="X has 3 features, but"):
        to_onnx(pipeline, X[:, :3])


@pytest.mark.parametrize("transformer", [tabular_preprocessor(), StandardScaler()], ids=type)
def test_array_for_a_pipeline_fitted_on_a_dataframe(mixed, transformer):
    X = mixed[["int64", "bool"]]
    pipeline = make_pipeline(transformer, FairBiNNClassifier(**PARAMS)).fit(X, X["bool"])
    with pytest.raises(ValueError, match=r"X must be a pandas DataFrame, .* got ndarray.*'bool'\]"):
        to_onnx(pipeline, X.to_numpy())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "probabilities"], r"named 'probabilities', .* got \['probabilities'\]"),
        (["net/a", "b"], r"starts with one of .*, got \['net/a'\]"),
        ([7, 8], r"names of type str, got \[7, 8\]"),
    ],
)
def test_invalid_column_names(mixed, names, message):
    X = mixed[["int64", "float32"]].set_axis(names, axis=1)
    with pytest.raises(ValueError, match=message):
        check_pipeline(StandardScaler(), X)


@pytest.mark.slow
def test_network_that_the_exporter_converts_wrongly(biased, monkeypatch):
    X, y, _ = biased
    clf = FairBiNNClassifier(**PARAMS).fit(X, y)
    torch_export = torch.onnx.export

    def export_shifted(module, *args, **kwargs):
        module = copy.deepcopy(module)
        with torch.no_grad():
            module.module.head[0].bias += 0.01
        return torch_export(module, *args, **kwargs)

    monkeypatch.setattr(torch.onnx, "export", export_shifted)
    with pytest.raises(RuntimeError, match=r"differ from predict_proba by 0\.0"):
        to_onnx(clf)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:X has . feature")
def test_transformer_that_skl2onnx_converts_wrongly(mixed):
    X = mixed[["int64", "float32"]].astype(float)
    with pytest.raises(RuntimeError, match="not valid: .* Convert the columns of X to float32"):
        check_pipeline(PolynomialFeatures(), X)
    check_pipeline(PolynomialFeatures(), X.astype(np.float32) / 1000)
