"""Checks of a fitted net, and pictures: of its training, its audit, and what parity costs."""

from ._assumptions import check_assumptions
from ._displays import AuditDisplay, ParetoFrontDisplay, TrainingDisplay
from ._report import AssumptionsReport

__all__ = [
    "AssumptionsReport",
    "AuditDisplay",
    "ParetoFrontDisplay",
    "TrainingDisplay",
    "check_assumptions",
]
