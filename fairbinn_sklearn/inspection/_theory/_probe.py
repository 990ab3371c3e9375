"""Outputs and gradients of a network on samples, measured without changing the network."""

import math
from contextlib import contextmanager
from functools import partial

import torch

from ..._data.batches import as_tensor


@contextmanager
def evaluating(module):
    """Set evaluation mode with gradients; restore modes and random states at the end."""
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
def recording_outputs(layers):
    """Record the largest absolute output of each layer, by name, in all forward passes."""
    largest, handles = {}, []
    try:
        for layer in layers:
            hook = partial(_record, largest, layer.name)
            handles.append(layer.module.register_forward_hook(hook))
        yield largest
    finally:
        for handle in handles:
            handle.remove()


def _record(largest, name, module, inputs, output):
    if isinstance(output, torch.Tensor) and output.numel():
        peak = output.detach().abs().max().item()
        largest[name] = max(peak, largest.get(name, 0.0))


def largest_gradient(module, X):
    """Return the largest l2 norm of the Jacobian of the logits on X.

    It is a lower bound of the Lipschitz constant of a network that treats samples independently.
    NaN if the input has no gradient, as in an embedding.
    """
    device = _device(module)
    size = max(1, min(1024, 2**22 // math.prod(X.shape[1:])))
    norms = [
        _jacobian_norm(module, as_tensor(X[start : start + size], device))
        for start in range(0, X.shape[0], size)
    ]
    return max(norms) if all(map(math.isfinite, norms)) else math.nan


def _jacobian_norm(module, samples):
    samples = samples.detach().clone().requires_grad_()
    logits = module(samples.clone())  # (B, C); in-place layers may overwrite the copy
    if not logits.requires_grad:
        return math.nan
    gradients = [
        torch.autograd.grad(column.sum(), samples, retain_graph=True, allow_unused=True)[0]
        for column in logits.unbind(1)
    ]
    if any(gradient is None for gradient in gradients):
        return math.nan
    jacobian = torch.stack(gradients, 1).flatten(2)  # (B, C, D)
    gram = (jacobian @ jacobian.mT).cpu().double()  # (B, C, C)
    return torch.linalg.eigvalsh(gram).max().clamp(min=0).sqrt().item()


def _device(module):
    return next(module.parameters()).device
