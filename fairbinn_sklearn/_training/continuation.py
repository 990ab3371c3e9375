r"""Training a fitted network further at another eta or target: the next point of a path.

The network, its optimizers, the running rates and, under a target, the multipliers start from their
values at the previous point. So few epochs are sufficient. At step t of T, the learning rate is

.. math::

    \frac{1}{\max(1, \eta / 3)}\; 10^{-1.5\, t / T}

times `lr`. Under a target, the first factor is 0.3. The running rates follow the network with a
delay, and training oscillates if it reacts strongly to delayed rates. The strength of the reaction
is the product of eta and the learning rate. The first factor limits this product. `fit` of
`FairBiNNClassifier` lowers the learning rate to 0 over many epochs. A point has few epochs, so its
learning rate decreases faster.
"""

from functools import partial

from torch.optim.lr_scheduler import ExponentialLR

from .build import updated_net
from .length import steps_per_epoch

LR_SCALE_OF_TARGETS = 0.3
LARGEST_ETA_AT_FULL_LR = 3
LR_DECAY = 10**-1.5


def continued(net, options, samples, n_groups, epochs, callbacks=(), held_out=None):
    """Return a network that starts from the state of a fitted one and has other options.

    Parameters
    ----------
    net : TwoPlayerNet
        Fitted network, which remains unchanged.

    options : TrainingOptions
        Options that differ from those of `net` in eta or in the target.

    samples : Samples
        Samples on which `net` was trained.

    n_groups : list of int
        Number of groups of each partition.

    epochs : int
        Number of epochs.

    callbacks : sequence of skorch.callbacks.Callback, default=()
        Callbacks of the training.

    held_out : Samples, default=None
        Samples set aside, with ``target_samples="validation"``.

    Returns
    -------
    net : TwoPlayerNet
        Trained network.
    """
    net = updated_net(net, options, n_groups)
    if options.fairness_target is None:
        lr_scale = 1 / max(1, options.eta / LARGEST_ETA_AT_FULL_LR)
    else:
        lr_scale = LR_SCALE_OF_TARGETS
    n_steps = epochs * steps_per_epoch(options, len(samples))
    return net.train(
        samples,
        held_out,
        epochs=epochs,
        schedule=partial(_exponential, n_steps),
        fair=options.wants_fairness,
        callbacks=callbacks,
        lr_scale=lr_scale,
        is_continued=True,
    )


def _exponential(n_steps, optimizer, epochs):
    return ExponentialLR(optimizer, gamma=LR_DECAY ** (1 / n_steps))
