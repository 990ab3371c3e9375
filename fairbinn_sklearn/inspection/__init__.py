"""Checks of a fitted net: the assumptions of the paper, and signs of trouble."""

from ._assumptions import check_assumptions
from ._report import AssumptionsReport

__all__ = ["AssumptionsReport", "check_assumptions"]
