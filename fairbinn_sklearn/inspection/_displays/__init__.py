"""Displays as in scikit-learn: `__init__` stores the data, `plot` draws, `from_*` compute."""

from ._audit import AuditDisplay
from ._pareto import ParetoFrontDisplay
from ._training import TrainingDisplay

__all__ = ["AuditDisplay", "ParetoFrontDisplay", "TrainingDisplay"]
