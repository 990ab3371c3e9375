"""The state of a net: what it is, what it has learned, and what later epochs depend on."""

import copy

import numpy as np
import torch
from skorch.history import History

from .update_rules import accuracy_only


def description(net):
    """What makes a net like this one, parameters and shapes, as plain values."""
    return {
        "params": {**net.fixed, **net.changed},
        "input_shape": list(net.input_shape),
        "n_classes": net.criterion_.n_classes,
        "n_groups": list(net.criterion_.n_groups),
        "window": net.criterion_.window,
        "device": str(net.device),
        "fair": net.rule is not accuracy_only,
        "n_rows": net.n_rows,
        "epochs": net.epochs,
    }


def lasting_state(net):
    """Part of the state that stays when a training has ended; not copied."""
    return {
        "module": dict(net.module_.state_dict()),
        "criterion": dict(net.criterion_.state_dict()),
        "optimizer": net.optimizer_.state_dict(),
        "fairness_optimizer": net.fairness_optimizer_.state_dict(),
        "rng": net.rng.bit_generator.state,
        "seeds": net.rng.bit_generator.seed_seq.state,
        "history": list(net.history),
    }


def restore_lasting(net, state):
    """Set the net to what `lasting_state` has told of one like it."""
    net.module_.load_state_dict(state["module"])
    net.criterion_.load_state_dict(state["criterion"])
    net.optimizer_.load_state_dict(state["optimizer"])
    net.fairness_optimizer_.load_state_dict(state["fairness_optimizer"])
    net.rng = np.random.default_rng(np.random.SeedSequence(**state["seeds"]))
    net.rng.bit_generator.state = state["rng"]
    net.history = History(state["history"])


def state_of(net):
    """Copy of the state, of tensors, numbers, strings, lists and dicts only."""
    lasting = lasting_state(net)
    history = lasting.pop("history")  # records are not written to again
    state = {
        **lasting,
        "scheduler": net.scheduler.state_dict(),
        "stop": bool(net.stop),
        "callbacks": [callback.state() for callback in _with_state(net)],
    }
    if net.random:
        on_gpu = torch.device(net.device).type == "cuda"
        state["torch"] = torch.get_rng_state()
        state["cuda"] = torch.cuda.get_rng_state(net.device) if on_gpu else None
    return {**copy.deepcopy(state), "history": history}


def restore(net, state):
    """Set the net back, or on, to a state of the same training."""
    state = copy.deepcopy(state)  # what is loaded may be shared
    restore_lasting(net, state)
    net.scheduler.load_state_dict(state["scheduler"])
    net.stop = state["stop"]
    for callback, own in zip(_with_state(net), state["callbacks"], strict=True):
        callback.set_state(own)
    if net.random:
        torch.set_rng_state(state["torch"].cpu())
        if state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"].cpu(), net.device)


def _with_state(net):
    return [callback for _, callback in net.callbacks_ if hasattr(callback, "state")]


def with_arrays(value):
    """State with arrays in the place of tensors, which more programs know."""
    return _mapped(value, torch.Tensor, lambda one: one.detach().cpu().numpy().copy())


def with_tensors(value):
    """State with tensors in the place of arrays."""
    return _mapped(value, np.ndarray, lambda one: torch.from_numpy(np.array(one)))


def _mapped(value, kind, function):
    if isinstance(value, kind):
        return function(value)
    if isinstance(value, dict):
        return {name: _mapped(one, kind, function) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(one, kind, function) for one in value)
    return value
