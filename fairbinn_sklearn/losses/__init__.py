r"""Fairness losses: the criteria that the follower minimises.

A criterion defines *events*, the sets of samples within which groups are compared; everything else
is shared. With :math:`M_{eng} = 1` where sample :math:`n` lies in event :math:`e` and group
:math:`g`, and scores :math:`s_{nc}`, the rates are

.. math::

    r_{egc} = \frac{\sum_n M_{eng}\, s_{nc}}{\sum_n M_{eng}}

The loss :math:`\varphi` is the mean of the squared gaps :math:`(r_{egc} - r_{ehc})^2` over pairs of
groups that are present, or the largest of them.
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
