"""Courses of the learning rates over epochs, by name."""

from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR


def cosine(optimizer, epochs):
    """Down to 0 along half a cosine."""
    return CosineAnnealingLR(optimizer, T_max=epochs)


def constant(optimizer, epochs):
    """As they are."""
    return ConstantLR(optimizer, factor=1.0)


SCHEDULES = {"cosine": cosine, "constant": constant}
