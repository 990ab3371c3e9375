"""The assumptions of the paper, checked on a fitted network."""

from ._check import check_assumptions

__all__ = ["check_assumptions"]
