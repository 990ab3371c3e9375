"""Transformers that turn tables into features for neural networks."""

from ._encoder import PiecewiseLinearEncoder
from ._scores import CrossFittedScores
from ._tabular import tabular_preprocessor

__all__ = ["CrossFittedScores", "PiecewiseLinearEncoder", "tabular_preprocessor"]
