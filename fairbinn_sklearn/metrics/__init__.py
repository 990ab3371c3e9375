"""Scorers of fairlearn's metrics, and the choice of a candidate under a bound."""

from ._bound import best_under
from ._scorers import FairnessScorer, fairness_scoring

__all__ = ["FairnessScorer", "best_under", "fairness_scoring"]
