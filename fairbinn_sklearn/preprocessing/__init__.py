"""Columns for neural nets: piecewise-linear numbers, one-hot categories, scores of others."""

from ._encoder import PiecewiseLinearEncoder
from ._scores import CrossFittedScores
from ._tabular import tabular_preprocessor

__all__ = ["CrossFittedScores", "PiecewiseLinearEncoder", "tabular_preprocessor"]
