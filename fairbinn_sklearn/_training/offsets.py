r"""Offsets from the rates of training samples to the rates of samples that were set aside.

A network with many parameters per sample can meet a target on the samples it is trained on and miss
it on others. With ``target_samples="validation"``, the multipliers therefore act on running rates
plus an offset, the rates of samples set aside minus the rates of training samples at the same
weights [1]_.

The rates of few samples are noisy. Let :math:`d_g` be the difference of group g minus the mean
difference of the groups, and :math:`v_g` its sampling variance. The offset is the mean difference
plus :math:`d_g` times

.. math::

    \max\Bigl(0,\; 1 - \frac{\sum_g v_g}{\sum_g d_g^2}\Bigr) ,

as in James-Stein shrinkage: gaps between groups that sampling explains have no effect.

References
----------
.. [1] Cotter, A., Gupta, M., Jiang, H., Srebro, N., Sridharan, K., Wang, S., Woodworth, B., You, S.
   (2019). Training Well-Generalizing Classifiers for Fairness Metrics and Other Data-Dependent
   Constraints. ICML 2019. https://arxiv.org/abs/1807.00028
"""

import torch


def offsets_of(training, n_training, held_out, n_held_out):
    """Return the offsets of group rates, shrunk towards their mean.

    Parameters
    ----------
    training, held_out : torch.Tensor of shape (..., E, G, C)
        Rates of each event and group, of the training samples and of the samples set aside.

    n_training, n_held_out : torch.Tensor of shape (E, G, 1) or (..., E, G, C)
        Denominators of the rates. The offset of a group with 0 in one part is the mean.

    Returns
    -------
    offsets : torch.Tensor of shape (..., E, G, C)
        Offsets.
    """
    present = (n_training > 0) & (n_held_out > 0)
    n_groups = present.sum(-2, keepdim=True).clamp(min=1)

    def mean(values):
        return (values * present).sum(-2, keepdim=True) / n_groups

    n_training, n_held_out = n_training.clamp(min=1.0), n_held_out.clamp(min=1.0)
    n_both = n_training + n_held_out
    # Add two samples, one of them positive, because a rate of 0 or 1 has a sampling error, too.
    pooled = (n_training * training + n_held_out * held_out + 1.0) / (n_both + 2.0)
    pooled = pooled.clamp(0.0, 1.0)  # quotients may exceed 1
    variance = pooled * (1.0 - pooled) * (1.0 / n_training + 1.0 / n_held_out)
    variance = mean(variance) * (n_groups - 1) / n_groups
    gaps = held_out - training
    deviations = (gaps - mean(gaps)) * present
    tiny = torch.finfo(gaps.dtype).tiny
    shrunk = 1.0 - variance / mean(deviations.square()).clamp(min=tiny)
    return mean(gaps) + deviations * shrunk.clamp(min=0.0)
