"""Export of fitted models to ONNX."""

from ._onnx import to_onnx

__all__ = ["to_onnx"]
