"""Fitted models as files without code: of this package, and as ONNX."""

from ._onnx import to_onnx
from ._store import load, save

__all__ = ["load", "save", "to_onnx"]
