"""The torch state of the caller, on which no result may depend."""

import contextlib
import threading

import torch

_LIMITING = threading.Lock()


@contextlib.contextmanager
def neutral_torch_state():
    """Train or predict as if the caller had set no gradient mode, autocast or default device."""
    if _is_neutral():  # entering the contexts takes as long as predicting one sample
        yield
        return
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


def _is_neutral():
    return (
        torch.is_grad_enabled()
        and not torch.is_inference_mode_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.is_autocast_enabled("cuda")
        and torch.empty(0).device.type == "cpu"  # faster than torch.get_default_device
    )


@contextlib.contextmanager
def one_thread():
    """Limit torch to one thread in this Python thread, and restore the number afterwards."""
    before = 1
    try:
        with _LIMITING:  # other Python threads must not read the temporary number
            before = torch.get_num_threads()
            if before > 1:
                torch.set_num_threads(1)
                # The call also set the number for Python threads that start later. Restore that
                # number in a new thread, because a Python thread that starts during a fit may
                # continue long after it.
                restoring = threading.Thread(target=torch.set_num_threads, args=(before,))
                restoring.start()
                restoring.join()
        yield
    finally:
        if before > 1:
            torch.set_num_threads(before)
