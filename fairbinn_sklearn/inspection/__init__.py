"""Check the assumptions of the paper, diagnose a training, and draw training, audit and front."""

from ._diagnose import diagnose
from ._displays import AuditDisplay, ParetoFrontDisplay, TrainingDisplay
from ._report import InspectionReport
from ._theory import check_assumptions

__all__ = [
    "AuditDisplay",
    "InspectionReport",
    "ParetoFrontDisplay",
    "TrainingDisplay",
    "check_assumptions",
    "diagnose",
]
