"""Encodings of tables for neural nets: piecewise-linear numbers, one-hot categories."""

from ._encoder import PiecewiseLinearEncoder
from ._tabular import tabular_preprocessor

__all__ = ["PiecewiseLinearEncoder", "tabular_preprocessor"]
