"""ONNX converters of this package's transformers, for skl2onnx."""

import numpy as np

from ..preprocessing import PiecewiseLinearEncoder
from ..preprocessing._tabular import CategoryEncoder, infrequent_categories

MISSING = "nan"  # text of a missing value in the inputs of a model, as in skl2onnx


def converters():
    """Return converters and shape calculators as keyword arguments of `convert_sklearn`."""
    return {
        "custom_conversion_functions": {
            PiecewiseLinearEncoder: _convert_piecewise_linear_encoder,
            CategoryEncoder: _convert_category_encoder,
        },
        "custom_shape_calculators": {
            PiecewiseLinearEncoder: _shape_of_piecewise_linear_encoder,
            CategoryEncoder: _shape_of_category_encoder,
        },
    }


def _shape_of_piecewise_linear_encoder(operator):
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    encoder = operator.raw_operator
    tensor_type = FloatTensorType if encoder.dtype is np.float32 else DoubleTensorType
    _set_output_type(operator, tensor_type)


def _shape_of_category_encoder(operator):
    from skl2onnx.common.data_types import FloatTensorType

    _set_output_type(operator, FloatTensorType)


def _set_output_type(operator, tensor_type):
    n_samples = operator.inputs[0].get_first_dimension()
    n_features_out = len(operator.raw_operator.get_feature_names_out())
    operator.outputs[0].type = tensor_type([n_samples, n_features_out])


def _convert_piecewise_linear_encoder(scope, operator, container):
    """Add nodes that compute (x - lower) / (upper - lower) of each bin in float64, clipped."""
    from onnx import TensorProto
    from skl2onnx.algebra import onnx_ops as ops
    from skl2onnx.common.data_types import FloatTensorType

    encoder, options = operator.raw_operator, {"op_version": container.target_opset}
    is_float = isinstance(operator.outputs[0].type, FloatTensorType)
    output_type = TensorProto.FLOAT if is_float else TensorProto.DOUBLE
    X = [ops.OnnxCast(column, to=TensorProto.DOUBLE, **options) for column in operator.inputs]
    X = X[0] if len(X) == 1 else ops.OnnxConcat(*X, axis=1, **options)
    has_missing = encoder.has_missing_
    if encoder.handle_missing == "median":
        medians = np.where(has_missing, np.nan, encoder.medians_)[None]
        X = ops.OnnxWhere(ops.OnnxIsNaN(X, **options), medians, X, **options)

    feature_of_bin = np.concatenate(
        [np.full(max(len(edges) - 1, 0), j) for j, edges in enumerate(encoder.edges_)]
    ).astype(np.int64)
    feature_of_indicator = np.flatnonzero(has_missing)
    blocks = []
    if len(feature_of_bin):
        lower = np.concatenate([edges[:-1] for edges in encoder.edges_])[None]
        upper = np.concatenate([edges[1:] for edges in encoder.edges_])[None]
        values = ops.OnnxGather(X, feature_of_bin, axis=1, **options)
        encoded = ops.OnnxDiv(ops.OnnxSub(values, lower, **options), upper - lower, **options)
        encoded = ops.OnnxClip(encoded, np.array(0.0), np.array(1.0), **options)
        if len(feature_of_indicator):
            is_zero = ops.OnnxAnd(
                ops.OnnxIsNaN(values, **options), has_missing[feature_of_bin][None], **options
            )
            encoded = ops.OnnxWhere(is_zero, np.array(0.0), encoded, **options)
        blocks.append(ops.OnnxCast(encoded, to=output_type, **options))
    if len(feature_of_indicator):
        values = ops.OnnxGather(X, feature_of_indicator, axis=1, **options)
        indicators = ops.OnnxIsNaN(values, **options)
        blocks.append(ops.OnnxCast(indicators, to=output_type, **options))
    # Sort by feature with a stable sort, so that each indicator follows the bins of its feature.
    order = np.argsort(np.concatenate([feature_of_bin, feature_of_indicator]), kind="stable")
    output = ops.OnnxConcat(*blocks, axis=1, **options)
    output = ops.OnnxGather(output, order, axis=1, output_names=operator.outputs[:1], **options)
    output.add_to(scope, container)


def _convert_category_encoder(scope, operator, container):
    """Add nodes that compare each column with its categories.

    A value that equals no frequent category is infrequent, if the column has infrequent categories.
    """
    from onnx import TensorProto
    from skl2onnx.algebra import onnx_ops as ops
    from skl2onnx.common.data_types import StringTensorType, guess_numpy_type

    encoder, options = operator.raw_operator, {"op_version": container.target_opset}
    blocks = []
    for column, categories, infrequent in zip(
        operator.inputs, encoder.categories_, infrequent_categories(encoder), strict=True
    ):
        texts = [str(category) for category in categories]
        if isinstance(column.type, StringTensorType):
            codes = np.arange(len(texts), dtype=np.int64)
            column = ops.OnnxLabelEncoder(
                column,
                keys_strings=texts,
                values_int64s=codes.tolist(),
                default_int64=-1,
                op_version=2,
            )
            is_category = ops.OnnxEqual(column, codes[None], **options)
        else:
            numbers = np.array([*map(_text_as_number, texts)], guess_numpy_type(column.type))
            is_category = ops.OnnxEqual(column, numbers[None], **options)
            if np.isnan(numbers).any():
                is_missing = ops.OnnxIsNaN(column, **options)
                is_missing = ops.OnnxAnd(is_missing, np.isnan(numbers)[None], **options)
                is_category = ops.OnnxOr(is_category, is_missing, **options)
        block = ops.OnnxCast(is_category, to=TensorProto.FLOAT, **options)
        # Select the frequent categories. The infrequent output is 1 minus their sum.
        infrequent_texts = set() if infrequent is None else {str(value) for value in infrequent}
        is_frequent = [text not in infrequent_texts for text in texts]
        matrix = np.eye(len(texts), dtype=np.float32)[:, is_frequent]
        if infrequent is not None:
            matrix = np.column_stack([matrix, -matrix.sum(axis=1)])
        block = ops.OnnxMatMul(block, matrix, **options)
        if infrequent is not None:
            intercept = np.eye(matrix.shape[1], dtype=np.float32)[-1:]
            block = ops.OnnxAdd(block, intercept, **options)
        blocks.append(block)
    output = ops.OnnxConcat(*blocks, axis=1, output_names=operator.outputs[:1], **options)
    output.add_to(scope, container)


def _text_as_number(text):
    """Return the number that `as_text` converts to `text`."""
    return float({"True": "1", "False": "0"}.get(text, text))
