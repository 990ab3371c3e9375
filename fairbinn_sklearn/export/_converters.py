"""Transformers in ONNX, as skl2onnx takes converters.

Ours, and SimpleImputer, for which skl2onnx has an operator that onnxruntime knows in float32 only.
"""

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer

from ..preprocessing import PiecewiseLinearEncoder
from ..preprocessing._tabular import CategoryEncoder

MISSING = "nan"  # what stands for a missing text, as in skl2onnx


def converters():
    """Functions by type, as convert_sklearn takes them."""
    return {
        "custom_conversion_functions": {
            PiecewiseLinearEncoder: _convert_bins,
            CategoryEncoder: _convert_categories,
            SimpleImputer: _convert_imputer,
        },
        "custom_shape_calculators": {
            PiecewiseLinearEncoder: _shape_of_bins,
            CategoryEncoder: _shape_of_categories,
            SimpleImputer: _shape_of_imputed,
        },
    }


def _shape_of_bins(operator):
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    encoder = operator.raw_operator
    kind = FloatTensorType if encoder.dtype is np.float32 else DoubleTensorType
    n_columns = len(encoder.get_feature_names_out())
    operator.outputs[0].type = kind([operator.inputs[0].get_first_dimension(), n_columns])


def _convert_bins(scope, operator, container):
    """Every bin from its edges, (x - lower) / (upper - lower) within 0 and 1, in float64."""
    from onnx import TensorProto
    from skl2onnx.algebra import onnx_ops as ops
    from skl2onnx.common.data_types import FloatTensorType

    encoder, settings = operator.raw_operator, {"op_version": container.target_opset}
    is_float = isinstance(operator.outputs[0].type, FloatTensorType)
    to = TensorProto.FLOAT if is_float else TensorProto.DOUBLE
    X = [ops.OnnxCast(one, to=TensorProto.DOUBLE, **settings) for one in operator.inputs]
    X = X[0] if len(X) == 1 else ops.OnnxConcat(*X, axis=1, **settings)
    seen = encoder.has_missing_
    if encoder.handle_missing == "median":
        medians = np.where(seen, np.nan, encoder.medians_)[None]
        X = ops.OnnxWhere(ops.OnnxIsNaN(X, **settings), medians, X, **settings)

    of_bin = np.concatenate(
        [np.full(max(len(edges) - 1, 0), j) for j, edges in enumerate(encoder.edges_)]
    ).astype(np.int64)
    of_missing = np.flatnonzero(seen)
    parts = []
    if len(of_bin):
        lower = np.concatenate([edges[:-1] for edges in encoder.edges_])[None]
        upper = np.concatenate([edges[1:] for edges in encoder.edges_])[None]
        values = ops.OnnxGather(X, of_bin, axis=1, **settings)
        shares = ops.OnnxDiv(ops.OnnxSub(values, lower, **settings), upper - lower, **settings)
        shares = ops.OnnxClip(shares, np.array(0.0), np.array(1.0), **settings)
        if len(of_missing):
            as_zeros = ops.OnnxAnd(
                ops.OnnxIsNaN(values, **settings), seen[of_bin][None], **settings
            )
            shares = ops.OnnxWhere(as_zeros, np.array(0.0), shares, **settings)
        parts.append(ops.OnnxCast(shares, to=to, **settings))
    if len(of_missing):
        missing = ops.OnnxIsNaN(ops.OnnxGather(X, of_missing, axis=1, **settings), **settings)
        parts.append(ops.OnnxCast(missing, to=to, **settings))
    # Each column's indicator stands behind its bins.
    order = np.argsort(np.concatenate([of_bin, of_missing]), kind="stable")
    columns = ops.OnnxConcat(*parts, axis=1, **settings)
    result = ops.OnnxGather(columns, order, axis=1, output_names=operator.outputs[:1], **settings)
    result.add_to(scope, container)


def _shape_of_categories(operator):
    from skl2onnx.common.data_types import FloatTensorType

    n_columns = len(operator.raw_operator.get_feature_names_out())
    operator.outputs[0].type = FloatTensorType(
        [operator.inputs[0].get_first_dimension(), n_columns]
    )


def _convert_categories(scope, operator, container):
    """Each category as an equality; what equals no frequent one is infrequent, if that is there."""
    from onnx import TensorProto
    from skl2onnx.algebra import onnx_ops as ops
    from skl2onnx.common.data_types import StringTensorType, guess_numpy_type

    encoder, settings = operator.raw_operator, {"op_version": container.target_opset}
    parts = []
    for column, categories, infrequent in zip(
        operator.inputs, encoder.categories_, encoder.infrequent_categories_, strict=True
    ):
        words = [str(word) for word in categories]
        if isinstance(column.type, StringTensorType):
            codes = np.arange(len(words), dtype=np.int64)
            column = ops.OnnxLabelEncoder(
                column,
                keys_strings=words,
                values_int64s=codes.tolist(),
                default_int64=-1,
                op_version=2,
            )
            equal = ops.OnnxEqual(column, codes[None], **settings)
        else:
            numbers = np.array([_number(word) for word in words], guess_numpy_type(column.type))
            equal = ops.OnnxEqual(column, numbers[None], **settings)
            if np.isnan(numbers).any():
                missing = ops.OnnxIsNaN(column, **settings)
                missing = ops.OnnxAnd(missing, np.isnan(numbers)[None], **settings)
                equal = ops.OnnxOr(equal, missing, **settings)
        shares = ops.OnnxCast(equal, to=TensorProto.FLOAT, **settings)
        # Frequent categories have a column each; the last, of all others, is 1 less their sum.
        rare = set() if infrequent is None else {str(word) for word in infrequent}
        factors = np.eye(len(words), dtype=np.float32)[:, [word not in rare for word in words]]
        if infrequent is not None:
            factors = np.column_stack([factors, -factors.sum(axis=1)])
        shares = ops.OnnxMatMul(shares, factors, **settings)
        if infrequent is not None:
            last = np.eye(factors.shape[1], dtype=np.float32)[-1:]
            shares = ops.OnnxAdd(shares, last, **settings)
        parts.append(shares)
    result = ops.OnnxConcat(*parts, axis=1, output_names=operator.outputs[:1], **settings)
    result.add_to(scope, container)


def _shape_of_imputed(operator):
    from skl2onnx.common.data_types import StringTensorType

    X, imputer = operator.inputs[0].type, operator.raw_operator
    n_columns = len(_kept(imputer))
    if imputer.add_indicator:
        if isinstance(X, StringTensorType):
            raise RuntimeError("add_indicator of SimpleImputer has no ONNX model for text.")
        n_columns += len(imputer.indicator_.features_)
    operator.outputs[0].type = type(X)([operator.inputs[0].get_first_dimension(), n_columns])


def _convert_imputer(scope, operator, container):
    """Missing values replaced; columns without a value left out; indicators behind the columns."""
    from onnx import TensorProto
    from skl2onnx.algebra import onnx_ops as ops
    from skl2onnx.common.data_types import StringTensorType, guess_numpy_type, guess_proto_type

    imputer, settings = operator.raw_operator, {"op_version": container.target_opset}
    X, output, value = operator.inputs[0], operator.outputs[0].type, imputer.missing_values
    dtype = guess_numpy_type(output)
    if isinstance(output, StringTensorType):
        key = MISSING if pd.isna(value) else str(value)
        codes = ops.OnnxLabelEncoder(
            X, keys_strings=[key], values_int64s=[1], default_int64=0, op_version=2
        )
        missing = ops.OnnxCast(codes, to=TensorProto.BOOL, **settings)
    elif pd.isna(value):
        missing = ops.OnnxIsNaN(X, **settings)
    else:
        missing = ops.OnnxEqual(X, np.array([value], dtype=dtype), **settings)
    filled = ops.OnnxWhere(missing, imputer.statistics_[None].astype(dtype), X, **settings)
    parts = [ops.OnnxGather(filled, _kept(imputer), axis=1, **settings)]
    if imputer.add_indicator:
        told = ops.OnnxGather(missing, imputer.indicator_.features_, axis=1, **settings)
        parts.append(ops.OnnxCast(told, to=guess_proto_type(output), **settings))
    result = ops.OnnxConcat(*parts, axis=1, output_names=operator.outputs[:1], **settings)
    result.add_to(scope, container)


def _kept(imputer):
    """Columns that had a value in fit, or get a constant."""
    return np.flatnonzero(~pd.isna(imputer.statistics_))


def _number(word):
    """The number that `as_words` writes so."""
    return float({"True": "1", "False": "0"}.get(word, word))
