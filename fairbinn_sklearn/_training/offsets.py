r"""Offsets from the rates of training samples to the rates of samples that were set aside.

A network with many parameters per sample can meet a target on the samples it is trained on and miss
it on others. With ``target_samples="validation"``, the multipliers therefore act on running rates
plus an offset, the rates of samples set aside minus the rates of training samples at the same
weights [1]_.

The rates of few samples are noisy. Let :math:`d_g` be the offset of group g minus the mean offset
of the groups, and :math:`v_g` its sampling variance. The offsets are multiplied by

.. math::

    \max\Bigl(0,\; 1 - \frac{\sum_g v_g}{\sum_g d_g^2}\Bigr) ,

as in shrinkage of James and Stein: offsets that sampling explains have no effect.

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

    n_training, n_held_out : torch.Tensor of shape (..., E, G, 1) or (..., E, G, C)
        Denominators of the rates. The offset of a group without a rate in one part is 0.

    Returns
    -------
    offsets : torch.Tensor of shape (..., E, G, C)
        Offsets, whose sum over the groups is 0.
    """
    present = (n_training > 0) & (n_held_out > 0)
    n_groups = present.sum(-2, keepdim=True).clamp(min=1)

    def total(values):
        return (values * present).sum(-2, keepdim=True)

    n_training, n_held_out = (n.clamp(min=1.0) for n in (n_training, n_held_out))
    pooled = (n_training * training + n_held_out * held_out) / (n_training + n_held_out)
    # One more sample of each class, because a rate of 0 or 1 has a sampling error, too.
    n_both = n_training + n_held_out
    pooled = (n_both * pooled + 1.0) / (n_both + 2.0)
    variance = pooled * (1.0 - pooled) * (1.0 / n_training + 1.0 / n_held_out)
    variance = total(variance) * (n_groups - 1) / n_groups
    deviations = (held_out - training) * present
    deviations = (deviations - total(deviations) / n_groups) * present
    tiny = torch.finfo(deviations.dtype).tiny
    shrunk = 1.0 - variance / total(deviations.square()).clamp(min=tiny)
    return deviations * shrunk.clamp(min=0.0)
