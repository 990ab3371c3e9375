"""The steps of a pipeline before the classifier, as an ONNX model, and its union with the net."""

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.compose import ColumnTransformer

from ..preprocessing._tabular import as_words
from ._converters import MISSING, converters

N_COMPARED = 100
OUTPUT = "probabilities"


def first_rows(X):
    """A few rows: DataFrames as they are, all else as an array."""
    if isinstance(X, pd.DataFrame):
        return X.iloc[:N_COMPARED]
    return X[:N_COMPARED].toarray() if issparse(X) else np.asarray(X[:N_COMPARED])


def feeds(rows):
    """Arrays by the names of the inputs of the model: numbers as they are, all else as text."""
    if not isinstance(rows, pd.DataFrame):
        return {"X": rows if rows.dtype.kind in "biuf" else rows.astype(str).astype(object)}
    words = as_words(rows).fillna(MISSING)
    arrays = {}
    for name, dtype in rows.dtypes.items():
        if not pd.api.types.is_numeric_dtype(dtype):  # booleans are
            arrays[name] = words[[name]].to_numpy(dtype=object)
        elif isinstance(dtype, np.dtype):
            arrays[name] = rows[[name]].to_numpy()
        else:
            arrays[name] = rows[[name]].to_numpy(dtype=np.float64, na_value=np.nan)
    return arrays


def convert_steps(steps, rows, opset):
    """Model of the steps, which has inputs as `feeds` makes them.

    Numbers are joined as scikit-learn does it, as float64 unless all are float32. skl2onnx would
    take the type of the first column for all, and has transformers that take one input only.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    inputs = feeds(rows)
    _check_names(inputs)
    dtypes = {one.dtype for one in inputs.values()}
    single = dtypes - {np.dtype(object)} == {np.dtype(np.float32)}
    takes_columns = any(isinstance(one, ColumnTransformer) for one in steps.get_params().values())
    if not takes_columns and (len(dtypes) == 1 or object not in dtypes):
        inside = {"X": np.hstack([*inputs.values()])}
    else:
        inside = inputs
    numbers = FloatTensorType if single else DoubleTensorType
    types = [
        (name, (StringTensorType if one.dtype == object else numbers)([None, one.shape[1]]))
        for name, one in inside.items()
    ]
    try:
        opsets = {"": opset, "ai.onnx.ml": 3}
        model = convert_sklearn(steps, "steps", types, target_opset=opsets, **converters())
    except Exception as error:  # MissingConverter, and whatever a converter stumbles on
        names = [f"{name}: {type(step).__name__}" for name, step in steps.steps]
        raise ValueError(f"skl2onnx cannot convert a step of {names}: {error}") from error
    return _with_inputs(inputs, model, single)


def _with_inputs(inputs, model, single):
    """Model behind inputs in types of their own, which are cast and, if need be, joined."""
    from onnx import TensorProto, compose, helper

    model = compose.add_prefix(model, "steps/")
    inside = [one.name for one in model.graph.input]
    is_joined = len(inside) < len(inputs)
    parts = [f"input/{k}" for k in range(len(inputs))] if is_joined else inside
    to = TensorProto.FLOAT if single else TensorProto.DOUBLE
    nodes, values = [], []
    for (name, one), part in zip(inputs.items(), parts, strict=True):
        if one.dtype == object:
            dtype = TensorProto.STRING
            nodes.append(helper.make_node("Identity", [name], [part]))
        else:
            dtype = helper.np_dtype_to_tensor_dtype(one.dtype)
            nodes.append(helper.make_node("Cast", [name], [part], to=to))
        values.append(helper.make_tensor_value_info(name, dtype, [None, one.shape[1]]))
    if is_joined:
        nodes.append(helper.make_node("Concat", parts, inside, axis=1))
    for k, node in enumerate(nodes):
        model.graph.node.insert(k, node)
    del model.graph.input[:]
    model.graph.input.extend(values)
    return model


def join(before, net):
    """Model of both, with a cast to float32 in between."""
    from onnx import TensorProto, compose, helper

    (output,) = before.graph.output
    cast = helper.make_node("Cast", [output.name], ["steps/float32"], to=TensorProto.FLOAT)
    before.graph.node.append(cast)
    output.CopyFrom(helper.make_tensor_value_info("steps/float32", TensorProto.FLOAT, None))
    net = compose.add_prefix(net, "net/", rename_outputs=False)
    net.ir_version = before.ir_version = max(net.ir_version, before.ir_version)
    opsets = {one.domain: one.version for one in (*before.opset_import, *net.opset_import)}
    for model in (before, net):
        del model.opset_import[:]
        model.opset_import.extend(helper.make_opsetid(*one) for one in opsets.items())
    return compose.merge_models(before, net, [("steps/float32", net.graph.input[0].name)])


def _check_names(names):
    """Refuse names of columns that cannot be those of inputs."""
    if strange := [name for name in names if not isinstance(name, str)]:
        raise ValueError(f"X must have columns with names of text, got {strange}.")
    inside = ("steps/", "net/", "input/")
    if taken := [name for name in names if name == OUTPUT or name.startswith(inside)]:
        raise ValueError(f"X must not have columns named as parts of the model are, got {taken}.")
