"""Displays in the manner of scikit-learn: data in `__init__`, drawing in `plot`."""

from ._audit import AuditDisplay
from ._pareto import ParetoFrontDisplay
from ._training import TrainingDisplay

__all__ = ["AuditDisplay", "ParetoFrontDisplay", "TrainingDisplay"]
