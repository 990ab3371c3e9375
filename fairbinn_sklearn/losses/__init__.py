r"""Fairness losses: what the follower minimises.

A criterion says at which rows it looks, its *events*; everything else is shared. With
:math:`M_{eng} = 1` where row :math:`n` lies in event :math:`e` and group :math:`g`, and
scores :math:`s_{nc}`, the rates are

.. math::

    r_{egc} = \frac{\sum_n M_{eng}\, s_{nc}}{\sum_n M_{eng}}

and the loss :math:`\varphi` is made of their squared gaps :math:`(r_{egc} - r_{ehc})^2`: the mean
over the pairs of groups that are present, or the largest.
"""

from ._base import FairnessLoss
from ._criteria import (
    DemographicParity,
    EqualizedOdds,
    EqualOpportunity,
    FalsePositiveRateParity,
)

# Criteria by the short names that `constraint` takes.
CONSTRAINTS = {
    "demographic_parity": DemographicParity,
    "equal_opportunity": EqualOpportunity,
    "equalized_odds": EqualizedOdds,
    "false_positive_rate_parity": FalsePositiveRateParity,
}

__all__ = [
    "DemographicParity",
    "EqualOpportunity",
    "EqualizedOdds",
    "FairnessLoss",
    "FalsePositiveRateParity",
]
