"""The torch state of the caller, on which no result may depend."""

import contextlib

import torch


@contextlib.contextmanager
def neutral_torch_state():
    """Ignore the caller's gradient mode, autocast and default device in training or prediction."""
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
        torch.device("cpu"),
    ):
        yield
