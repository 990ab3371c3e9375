r"""Fairness losses: the criteria that the follower minimises.

A criterion defines a rate of each group: *events*, the sets of samples within which groups are
compared, and coefficients a, b, c and d of each sample. Everything else is shared. With
:math:`M_{eng} = 1` where sample n lies in event e and group g, and scores :math:`s_{nc}`, the rates
are

.. math::

    r_{egc} = \frac{\sum_n M_{eng}\,(a_{nc} + b_{nc} s_{nc})}
                  {\sum_n M_{eng}\,(c_{nc} + d_{nc} s_{nc})} .

The loss :math:`\varphi` is by default the mean of the squared gaps :math:`(r_{egc} - r_{ehc})^2`
over pairs of groups that are present.
"""

from ._base import FairnessLoss
from ._criteria import (
    AccuracyParity,
    DemographicParity,
    EqualizedOdds,
    EqualOpportunity,
    F1Parity,
    FalseOmissionRateParity,
    FalsePositiveRateParity,
    PredictiveParity,
    TreatmentEquality,
)

# Criteria by the short names that `constraint` takes.
CONSTRAINTS = {
    "demographic_parity": DemographicParity,
    "equal_opportunity": EqualOpportunity,
    "equalized_odds": EqualizedOdds,
    "false_positive_rate_parity": FalsePositiveRateParity,
    "predictive_parity": PredictiveParity,
    "false_omission_rate_parity": FalseOmissionRateParity,
    "accuracy_parity": AccuracyParity,
    "f1_parity": F1Parity,
    "treatment_equality": TreatmentEquality,
}

__all__ = [
    "AccuracyParity",
    "DemographicParity",
    "EqualOpportunity",
    "EqualizedOdds",
    "F1Parity",
    "FairnessLoss",
    "FalseOmissionRateParity",
    "FalsePositiveRateParity",
    "PredictiveParity",
    "TreatmentEquality",
]
