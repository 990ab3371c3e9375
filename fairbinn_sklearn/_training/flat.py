"""Parameters of each player as one flat tensor, while the default module trains.

An optimizer step on one large tensor takes less time than on many small tensors. The result is the
same, because the named optimizers update each element of a parameter separately. Matrices are
stored transposed, because for a batch with inputs X and gradients D, the product :math:`X^T D` is
faster than :math:`D^T X` if X has an odd number of features.
"""

import torch
from torch import nn

from .module import players


def flatten(net):
    """Replace the parameters of each player by views of one flat parameter.

    Parameters
    ----------
    net : TwoPlayerNet
        Network with named optimizers. The optimizers then update the flat parameters.

    Returns
    -------
    flat_params : tuple of two lists of one torch.nn.Parameter
        Flat parameters of the leader and of the follower.
    """
    flats = []
    for params in _params_of_players(net):
        flat = nn.Parameter(_concatenated([param.detach() for param in params]))
        for param, view in zip(params, views(flat.detach(), params), strict=True):
            param.data = view
        flats.append((flat, params))
    for optimizer, optimized in ((net.optimizer_, flats), (net.fairness_optimizer_, flats[1:])):
        states = {flat: _joined([optimizer.state.get(p) for p in ps]) for flat, ps in optimized}
        _replace(optimizer, [flat for flat, _ in optimized], states)
    return tuple([flat] for flat, _ in flats)


def unflatten(net):
    """Undo `flatten`, on the same network or on a copy of it."""
    leader, follower = _params_of_players(net)
    for param in leader + follower:
        param.data = param.detach().clone(memory_format=torch.contiguous_format)
    in_order = list(net.module_.parameters())
    for optimizer, params, owned in (
        (net.optimizer_, in_order, [leader, follower]),
        (net.fairness_optimizer_, follower, [follower]),
    ):
        flats = optimizer.param_groups[0]["params"]
        states = {}
        for flat, of_player in zip(flats, owned, strict=True):
            states |= _split(optimizer.state.get(flat), of_player)
        _replace(optimizer, params, states)


def views(flat, params):
    """Return views of a flat tensor that have the shapes of parameters, vectors or matrices."""
    parts = flat.split([param.numel() for param in params])
    return [
        _transposed(part.view(_transposed(param).shape))
        for part, param in zip(parts, params, strict=True)
    ]


def _concatenated(tensors):
    """Return the flat tensor from which `views` returns these tensors."""
    return torch.cat([_transposed(tensor).reshape(-1) for tensor in tensors])


def _transposed(tensor):
    return tensor.T if tensor.ndim == 2 else tensor


def _params_of_players(net):
    return [list(params.values()) for params in players(net.module_)]


def _replace(optimizer, params, states):
    """Set the parameters of an optimizer, and the states of those that have one."""
    optimizer.param_groups[0]["params"] = params
    optimizer.state.clear()
    optimizer.state.update({param: state for param, state in states.items() if state})


def _joined(states):
    """Join the optimizer states of the parts of a flat parameter; all have the same step count."""
    if not states[0]:
        return None
    return {
        name: _concatenated([state[name] for state in states]) if _is_array(first) else first
        for name, first in states[0].items()
    }


def _split(state, params):
    """Split the optimizer state of a flat parameter into the states of its parts."""
    states = {param: {} for param in params}
    for name, value in (state or {}).items():
        parts = views(value, params) if _is_array(value) else [value] * len(params)
        for param, part in zip(params, parts, strict=True):
            is_tensor = isinstance(part, torch.Tensor)
            states[param][name] = (
                part.clone(memory_format=torch.contiguous_format) if is_tensor else part
            )
    return states


def _is_array(value):
    """Return whether a state value has one entry per element of a parameter, unlike a count."""
    return isinstance(value, torch.Tensor) and value.ndim > 0
