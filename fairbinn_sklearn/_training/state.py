"""The state of a network: its weights, and all values that later epochs depend on."""

import copy

import numpy as np
import torch
from skorch.history import History


def lasting_state(net):
    """Return the part of the state that remains after a training, not copied."""
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
    """Load a state that `lasting_state` returned of a network with the same layers."""
    try:
        net.module_.load_state_dict(state["module"])
        net.criterion_.load_state_dict(state["criterion"])
    except RuntimeError as error:
        raise ValueError(
            "The saved network must match the network of this version of fairbinn_sklearn. Fit the "
            f"model again, or load it with the version that saved it. {error}"
        ) from error
    net.optimizer_.load_state_dict(state["optimizer"])
    net.fairness_optimizer_.load_state_dict(state["fairness_optimizer"])
    net.rng = np.random.default_rng(np.random.SeedSequence(**state["seeds"]))
    net.rng.bit_generator.state = state["rng"]
    net.history = History(state["history"])


def state_of(net):
    """Return a copy of the state in training: tensors, numbers, strings, lists and dicts only."""
    lasting = lasting_state(net)
    history = lasting.pop("history")  # records of past epochs never change
    state = {
        **lasting,
        "scheduler": net.run.scheduler.state_dict(),
        "stop": bool(net.run.stop),
        "callbacks": [callback.state() for callback in _with_state(net)],
    }
    if net.options.draws_random_numbers:
        on_gpu = torch.device(net.device).type == "cuda"
        state["torch"] = torch.get_rng_state()
        state["cuda"] = torch.cuda.get_rng_state(net.device) if on_gpu else None
    return {**copy.deepcopy(state), "history": history}


def restore(net, state):
    """Load a state that `state_of` returned in the same training."""
    state = copy.deepcopy(state)  # optimizers would share its tensors
    restore_lasting(net, state)
    net.run.scheduler.load_state_dict(state["scheduler"])
    net.run.stop = state["stop"]
    for callback, callback_state in zip(_with_state(net), state["callbacks"], strict=True):
        callback.set_state(callback_state)
    if net.options.draws_random_numbers:
        torch.set_rng_state(state["torch"].cpu())
        if state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"].cpu(), net.device)


def _with_state(net):
    return [callback for _, callback in net.callbacks_ if hasattr(callback, "state")]


def with_arrays(state):
    """Return a state with arrays instead of tensors, which more programs can read."""
    return _mapped(state, torch.Tensor, lambda tensor: tensor.detach().cpu().numpy().copy())


def with_tensors(state):
    """Return a state with tensors instead of arrays."""
    return _mapped(state, np.ndarray, lambda array: torch.from_numpy(np.array(array)))


def _mapped(value, kind, function):
    if isinstance(value, kind):
        return function(value)
    if isinstance(value, dict):
        return {name: _mapped(item, kind, function) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(item, kind, function) for item in value)
    return value
