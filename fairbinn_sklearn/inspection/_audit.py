"""The difference of decisions on given rows, as the constraint of an estimator measures it."""

import numpy as np
import torch
from sklearn.utils import assert_all_finite
from torch.nn.functional import one_hot

from .._data.groups import GroupEncoder, sensitive_frame
from .._data.labels import encode_labels, plain_labels
from .._training.resolve import resolve_constraint
from ..losses import FairnessLoss
from ..losses._aggregate import divide
from ._resampling import percentiles, resample


def audit(clf, decisions, y, sensitive_features, *, n_boot, confidence_level, random_state):
    """Largest difference over all columns, its interval, and the fewest rows behind a rate.

    All None if the constraint has no rates. Groups are those of the rows at hand, in the bins that
    `clf` has learned.
    """
    constraint = resolve_constraint(clf.constraint)
    if not isinstance(constraint, FairnessLoss):
        return None, None, None
    if y is None:
        raise ValueError("y must be given with sensitive_features, got None.")
    truth = plain_labels(y)
    assert_all_finite(truth, input_name="y")
    if np.shape(truth) != decisions.shape:
        raise ValueError(
            f"y must have a label for each of the {len(decisions)} rows of X, got the shape "
            f"{np.shape(truth)}."
        )
    encoded, decided = (
        encode_labels(labels, clf.classes_, clf.classes_)[1] for labels in (truth, decisions)
    )
    frame = sensitive_frame(sensitive_features, len(decisions))
    codes = GroupEncoder(clf.combine).fit_transform(frame)
    rows = np.column_stack([encoded, decided, codes])
    cells, counts = np.unique(rows, axis=0, return_counts=True)
    drawn = np.concatenate([counts[None], resample(counts, n_boot, random_state)])
    found, fewest = _differences(constraint, torch.from_numpy(cells), torch.from_numpy(drawn), clf)
    return float(found[0]), percentiles(found[1:], confidence_level), fewest


def _differences(constraint, cells, counts, clf):
    """Differences (R,) for R times the numbers of rows (R, M) in M cells.

    And the fewest rows behind a rate that is compared, by the first numbers; 0 if none is.
    """
    n_classes, counts = len(clf.classes_), counts.double()
    y, decided, *columns = cells.unbind(1)
    scores = one_hot(decided, n_classes).double()  # (M, C)
    scores = scores[:, 1:] if n_classes == 2 else scores
    found, behind = [], []
    for codes in columns:
        member = constraint.membership(y, one_hot(codes).double(), n_classes)  # (E, M, G)
        n_rows = torch.einsum("rm,emg->reg", counts, member)
        sums = torch.einsum("rm,emgc->regc", counts, member[..., None] * scores[:, None])
        found.append(constraint.difference(divide(sums, n_rows[..., None]), n_rows))
        for n_of_event in n_rows[0]:
            present = n_of_event[n_of_event > 0]
            behind += [int(present.min())] if len(present) > 1 else []
    return torch.stack(found).amax(0).numpy(), min(behind, default=0)
