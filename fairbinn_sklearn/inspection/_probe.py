"""What a net does on given rows, measured without leaving a trace on it."""

import math
from contextlib import contextmanager
from functools import partial

import torch

from .._data.batches import as_tensor


@contextmanager
def evaluating(module):
    """Evaluation mode with gradients; flags and random states are restored at the end."""
    flags = [(part, part.training) for part in module.modules()]
    device = _device(module)
    module.eval()
    try:
        with (
            torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            yield
    finally:
        for part, training in flags:
            part.training = training


@contextmanager
def watched(layers):
    """Largest absolute output of each layer, by name, in the passes made meanwhile."""
    largest, handles = {}, []
    try:
        for layer in layers:
            note = partial(_note, largest, layer.name)
            handles.append(layer.module.register_forward_hook(note))
        yield largest
    finally:
        for handle in handles:
            handle.remove()


def _note(largest, name, module, inputs, output):
    if isinstance(output, torch.Tensor) and output.numel():
        seen = output.detach().abs().max().item()
        largest[name] = max(seen, largest.get(name, 0.0))


def largest_slope(module, X):
    """Largest l2 norm of the Jacobian of the logits at the rows of X.

    A lower bound of the Lipschitz constant of the net, for rows that it treats one by one. NaN if
    X has no gradient, as where the net looks its inputs up in a table.
    """
    device = _device(module)
    size = max(1, min(1024, 2**22 // math.prod(X.shape[1:])))
    slopes = [
        _slope(module, as_tensor(X[start : start + size], device))
        for start in range(0, X.shape[0], size)
    ]
    return max(slopes) if all(map(math.isfinite, slopes)) else math.nan


def _slope(module, rows):
    rows = rows.detach().clone().requires_grad_()
    logits = module(rows.clone())  # (B, C); layers in place may write on the copy
    if not logits.requires_grad:
        return math.nan
    gradients = [
        torch.autograd.grad(column.sum(), rows, retain_graph=True, allow_unused=True)[0]
        for column in logits.unbind(1)
    ]
    if any(gradient is None for gradient in gradients):
        return math.nan
    jacobian = torch.stack(gradients, 1).flatten(2)  # (B, C, D)
    gram = (jacobian @ jacobian.mT).cpu().double()  # (B, C, C)
    return torch.linalg.eigvalsh(gram).max().clamp(min=0).sqrt().item()


def _device(module):
    return next(module.parameters()).device
