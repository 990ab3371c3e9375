"""The torch state of the caller, on which no result may depend."""

import contextlib

import torch


@contextlib.contextmanager
def neutral_torch_state():
    """Train or predict as if the caller had set no gradient mode, autocast or default device."""
    # Enter a device context only if needed, because it slows down every torch function.
    default = torch.get_default_device()
    device = contextlib.nullcontext() if default.type == "cpu" else torch.device("cpu")
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
        device,
    ):
        yield
