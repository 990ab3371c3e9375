"""The state of a training between two epochs: all that later epochs depend on."""

import copy

import torch
from skorch.history import History


def state_of(net):
    """Copy of the state, of tensors, numbers, strings, lists and dicts only."""
    state = {
        "module": net.module_.state_dict(),
        "criterion": net.criterion_.state_dict(),
        "optimizer": net.optimizer_.state_dict(),
        "fairness_optimizer": net.fairness_optimizer_.state_dict(),
        "scheduler": net.scheduler.state_dict(),
        "rng": net.rng.bit_generator.state,
        "history": [dict(record) for record in net.history],
        "stop": bool(net.stop),
        "callbacks": [
            callback.state() if hasattr(callback, "state") else None
            for _, callback in net.callbacks_
        ],
    }
    if net.random:
        on_gpu = torch.device(net.device).type == "cuda"
        state["torch"] = torch.get_rng_state()
        state["cuda"] = torch.cuda.get_rng_state(net.device) if on_gpu else None
    return copy.deepcopy(state)


def restore(net, state):
    """Set the net back, or on, to a state of the same training."""
    state = copy.deepcopy(state)  # what is loaded may be shared
    net.module_.load_state_dict(state["module"])
    net.criterion_.load_state_dict(state["criterion"])
    net.optimizer_.load_state_dict(state["optimizer"])
    net.fairness_optimizer_.load_state_dict(state["fairness_optimizer"])
    net.scheduler.load_state_dict(state["scheduler"])
    net.rng.bit_generator.state = state["rng"]
    net.history = History(state["history"])
    net.stop = state["stop"]
    for (_, callback), own in zip(net.callbacks_, state["callbacks"], strict=True):
        if own is not None:
            callback.set_state(own)
    if net.random:
        torch.set_rng_state(state["torch"].cpu())
        if state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"].cpu(), net.device)
