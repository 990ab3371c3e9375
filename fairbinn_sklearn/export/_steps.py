"""Convert the transformers of a pipeline to ONNX, and merge them with the network."""

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.compose import ColumnTransformer

from .._data.frames import nan_if_missing
from ..preprocessing._tabular import as_text
from ._converters import MISSING, converters

N_COMPARED = 100
OUTPUT = "probabilities"


def first_samples(pipeline, X):
    """Return the first samples of X, as a DataFrame if the pipeline was fitted on one."""
    if X is None:
        raise ValueError("X must be samples for the pipeline, got None. Pass to_onnx(pipeline, X).")
    if isinstance(X, pd.DataFrame):
        return X.iloc[:N_COMPARED]
    if hasattr(pipeline, "feature_names_in_"):
        raise ValueError(
            "X must be a pandas DataFrame, because the pipeline was fitted on one, got "
            f"{type(X).__name__}. Its columns must be {pipeline.feature_names_in_.tolist()}."
        )
    if issparse(X):
        return X.tocsr()[:N_COMPARED].toarray()
    return nan_if_missing(np.asarray(X[:N_COMPARED]))


def model_inputs(samples):
    """Return the inputs of the model by name: numbers unchanged, all other values as text."""
    if not isinstance(samples, pd.DataFrame):
        is_numeric = samples.dtype.kind in "biuf"
        return {"X": samples if is_numeric else samples.astype(str).astype(object)}
    texts = as_text(samples).fillna(MISSING)
    inputs = {}
    for name, dtype in samples.dtypes.items():
        # pandas does not count the booleans of Arrow as numbers, but those of other types.
        if not (pd.api.types.is_numeric_dtype(dtype) or dtype.kind == "b"):
            inputs[name] = texts[[name]].to_numpy(dtype=object)
        elif isinstance(dtype, np.dtype):
            inputs[name] = samples[[name]].to_numpy()
        else:
            inputs[name] = samples[[name]].to_numpy(dtype=np.float64, na_value=np.nan)
    return inputs


def convert_steps(steps, samples, opset):
    """Return an ONNX model of a pipeline of transformers, with the inputs of `model_inputs`.

    Numbers are cast to float64, or to float32 if all are float32, as scikit-learn does when it
    joins columns. skl2onnx casts to the type of the first column instead. Without a
    ColumnTransformer the columns are concatenated first, because most converters take one input.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    inputs = model_inputs(samples)
    _check_input_names(inputs)
    dtypes = {array.dtype for array in inputs.values()}
    is_float32 = dtypes - {np.dtype(object)} == {np.dtype(np.float32)}
    has_column_transformer = any(
        isinstance(value, ColumnTransformer) for value in steps.get_params().values()
    )
    if not has_column_transformer and (len(dtypes) == 1 or object not in dtypes):
        step_inputs = {"X": np.hstack([*inputs.values()])}
    else:
        step_inputs = inputs
    number_type = FloatTensorType if is_float32 else DoubleTensorType
    input_types = [
        (name, (StringTensorType if array.dtype == object else number_type)([None, array.shape[1]]))
        for name, array in step_inputs.items()
    ]
    try:
        opsets = {"": opset, "ai.onnx.ml": 3}
        model = convert_sklearn(steps, "steps", input_types, target_opset=opsets, **converters())
    except Exception as error:  # MissingConverter, or any error inside a converter
        names = [f"{name}: {type(step).__name__}" for name, step in steps.steps]
        raise ValueError(
            "The steps of estimator must be transformers that skl2onnx can convert, got "
            f"{names}: {error}"
        ) from error
    if not is_float32 and any(node.op_type == "Imputer" for node in model.graph.node):
        raise ValueError(
            "The numeric columns of X must be float32 for SimpleImputer, because onnxruntime has "
            f"no imputer of other types, got {sorted(map(str, dtypes))}. Convert X with "
            "astype('float32') before fit, or use tabular_preprocessor, which takes missing values."
        )
    return _add_inputs(model, inputs, is_float32)


def _add_inputs(model, inputs, is_float32):
    """Return the model with inputs of the types of `inputs`, cast and, if needed, concatenated."""
    from onnx import TensorProto, compose, helper

    model = compose.add_prefix(model, "steps/")
    step_inputs = [value.name for value in model.graph.input]
    is_concatenated = len(step_inputs) < len(inputs)
    cast_names = [f"input/{k}" for k in range(len(inputs))] if is_concatenated else step_inputs
    cast_type = TensorProto.FLOAT if is_float32 else TensorProto.DOUBLE
    nodes, graph_inputs = [], []
    for (name, array), cast_name in zip(inputs.items(), cast_names, strict=True):
        if array.dtype == object:
            tensor_type = TensorProto.STRING
            nodes.append(helper.make_node("Identity", [name], [cast_name]))
        else:
            tensor_type = helper.np_dtype_to_tensor_dtype(array.dtype)
            nodes.append(helper.make_node("Cast", [name], [cast_name], to=cast_type))
        shape = [None, array.shape[1]]
        graph_inputs.append(helper.make_tensor_value_info(name, tensor_type, shape))
    if is_concatenated:
        nodes.append(helper.make_node("Concat", cast_names, step_inputs, axis=1))
    for k, node in enumerate(nodes):
        model.graph.node.insert(k, node)
    del model.graph.input[:]
    model.graph.input.extend(graph_inputs)
    return model


def merge(steps, network):
    """Return one model of the steps and the network, with a cast to float32 between them."""
    from onnx import TensorProto, compose, helper

    (output,) = steps.graph.output
    name = "input/network"  # "input/" is a reserved prefix, so it is not the name of a column.
    cast = helper.make_node("Cast", [output.name], [name], to=TensorProto.FLOAT)
    steps.graph.node.append(cast)
    output.CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    network = compose.add_prefix(network, "net/", rename_outputs=False)
    network.ir_version = steps.ir_version = max(network.ir_version, steps.ir_version)
    opsets = {opset.domain: opset.version for opset in (*steps.opset_import, *network.opset_import)}
    for model in (steps, network):
        del model.opset_import[:]
        model.opset_import.extend(helper.make_opsetid(*opset) for opset in opsets.items())
    return compose.merge_models(steps, network, [(name, network.graph.input[0].name)])


def _check_input_names(names):
    """Raise an error for column names that cannot be names of inputs."""
    if not_text := [name for name in names if not isinstance(name, str)]:
        raise ValueError(
            f"X must have column names of type str, got {not_text}. Rename the columns before fit."
        )
    prefixes = ("steps/", "net/", "input/")
    if reserved := [name for name in names if name == OUTPUT or name.startswith(prefixes)]:
        raise ValueError(
            f"X must not have a column named {OUTPUT!r}, or with a name that starts with one of "
            f"{list(prefixes)}, got {reserved}. Rename the columns before fit."
        )
