"""PiecewiseLinearEncoder in ONNX, as skl2onnx takes converters."""

import numpy as np

from ..preprocessing import PiecewiseLinearEncoder


def register():
    """Tell skl2onnx of the encoder."""
    from skl2onnx import update_registered_converter

    update_registered_converter(
        PiecewiseLinearEncoder, "FairbinnPiecewiseLinearEncoder", _shape, _convert
    )


def _shape(operator):
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    encoder = operator.raw_operator
    single = encoder.dtype is np.float32 or (
        encoder.dtype is None and isinstance(operator.inputs[0].type, FloatTensorType)
    )
    kind = FloatTensorType if single else DoubleTensorType
    n_columns = len(encoder.get_feature_names_out())
    operator.outputs[0].type = kind([operator.inputs[0].get_first_dimension(), n_columns])


def _convert(scope, operator, container):
    """Every bin from its edges, (x - lower) / (upper - lower) within 0 and 1, in float64."""
    from onnx import TensorProto
    from skl2onnx.algebra import onnx_ops as ops
    from skl2onnx.common.data_types import FloatTensorType

    encoder, settings = operator.raw_operator, {"op_version": container.target_opset}
    is_float = isinstance(operator.outputs[0].type, FloatTensorType)
    to = TensorProto.FLOAT if is_float else TensorProto.DOUBLE
    X = ops.OnnxCast(operator.inputs[0], to=TensorProto.DOUBLE, **settings)
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
