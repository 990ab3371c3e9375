r"""Update rules: which gradient each player steps along.

With :math:`g_a, g_s` the gradients in the leader's and the follower's parameters:

- `bilevel`: the leader along :math:`g_a(L_{acc} + \eta\varphi)`, the follower along
  :math:`g_s(\eta\varphi)`;
- `alternating`: the leader along :math:`g_a(L_{acc})`, and then, where the leader now stands, the
  follower along :math:`g_s(\eta\varphi)`;
- `unrolled`: the leader along :math:`g_a` of :math:`L_{acc}` where the follower would stand after
  some steps, through these steps; the follower along :math:`g_s(\eta\varphi)`;
- `lagrangian`: all parameters along the gradient of :math:`L_{acc} + \eta\varphi`;
- `accuracy_only`: all parameters along the gradient of :math:`L_{acc}`.

The criterion gives the slopes of both losses in the logits; from there
:func:`torch.autograd.grad` leads to the player's own parameters, so nothing accumulates and nothing
leaks to the other player. A rule returns the accuracy loss. The fairness loss is that of the same
batch, unless the net has one of its own for it.

K nets side by side have losses of shape (K,) and an axis in front of their slopes.
"""

import torch
from torch.autograd import grad
from torch.func import functional_call
from torch.linalg import vector_norm


def bilevel(net, batch):
    """Both players step from one point; the leader sees the fairness loss too."""
    loss, to_accuracy, to_fairness = net.slopes(batch)
    leader, follower = net.players()
    leader_gradient = net.gradient(joined(to_accuracy, to_fairness), leader, retain_graph=True)
    follower_gradient = net.gradient([to_fairness], follower)
    step(net.optimizer_, leader, leader_gradient)
    net.follow(follower, follower_gradient)
    return loss


def alternating(net, batch):
    """Algorithm 1 of the paper: first the leader, blind to the fairness loss; then the follower."""
    leader, follower = net.players()
    logits = net.module_(batch.X)
    loss, slopes = net.criterion_.accuracy(logits, batch)
    step(net.optimizer_, leader, net.gradient([(logits, slopes)], leader))
    net.follow(follower, net.gradient([net.fairness_slopes(batch)], follower))
    return loss


def unrolled(net, batch):
    """The leader differentiates through the follower's next steps of plain gradient descent."""
    leader, follower = net.players()
    fair_batch = net.fairness_batch(batch)
    logits = net.module_(fair_batch.X)
    loss_around = net.criterion_.loss_around(logits, fair_batch)
    moved, first = follower, None
    for _ in range(net.n_unroll_steps):
        if first is not None:
            logits = moved_net(net, moved, fair_batch.X)
        loss = net.eta * loss_around(logits)
        slopes = grad(loss.sum(), moved, create_graph=True, materialize_grads=True)
        first = slopes if first is None else first
        lr, max_step = net.follower_lr(), net.fairness_max_step
        moved = moved_by(moved, slopes, lr, max_step, net.model_axes)
    logits = moved_net(net, moved, batch.X)
    loss, slopes = net.criterion_.accuracy(logits, batch)
    step(net.optimizer_, leader, net.gradient([(logits, slopes)], leader))
    net.follow(follower, [one.detach() for one in first])
    return loss


def lagrangian(net, batch):
    """One optimizer for all parameters, on the sum of both losses."""
    loss, to_accuracy, to_fairness = net.slopes(batch)
    parameters = sum(net.players(), [])
    step(net.optimizer_, parameters, net.gradient(joined(to_accuracy, to_fairness), parameters))
    return loss


def accuracy_only(net, batch):
    """No fairness loss; the rates are counted all the same when groups are known."""
    logits = net.module_(batch.X)
    loss, slopes = net.criterion_.accuracy(logits, batch)
    if batch.groups is not None:
        net.criterion_.observe(logits, batch)
    parameters = sum(net.players(), [])
    step(net.optimizer_, parameters, net.gradient([(logits, slopes)], parameters))
    return loss


METHODS = {
    "bilevel": bilevel,
    "alternating": alternating,
    "unrolled": unrolled,
    "lagrangian": lagrangian,
}


def joined(one, other):
    """Pairs of logits and slopes as a list, as one pair if both come from one forward pass."""
    return [(one[0], one[1] + other[1])] if one[0] is other[0] else [one, other]


def step(optimizer, parameters, gradient):
    """One optimizer step; optimizers pass over parameters without a gradient."""
    for parameter, slope in zip(parameters, gradient, strict=True):
        # torch's fused steps read the gradient in the order of memory.
        parameter.grad = None if slope is None else slope.contiguous()
    optimizer.step()
    for parameter in parameters:
        parameter.grad = None


def bounded_step(optimizer, parameters, gradient, max_norm, model_axes=0):
    """One optimizer step, shortened to the norm `max_norm`; return its norm.

    The bound is the paper's assumption of small steps of the follower.
    """
    if is_plain_descent(optimizer):
        return bounded_descent(optimizer, parameters, gradient, max_norm, model_axes)
    before = [parameter.detach().clone() for parameter in parameters]
    step(optimizer, parameters, gradient)
    with torch.no_grad():
        moves = [new - old for new, old in zip(parameters, before, strict=True)]
        norm = norm_of(moves, model_axes)
        share = max_norm / norm.clamp(min=max_norm)
        for new, old in zip(parameters, before, strict=True):
            new.copy_(torch.lerp(old, new, broadcast(share, new)))
    return share * norm


@torch.no_grad()
def bounded_descent(optimizer, parameters, gradient, max_norm, model_axes=0):
    """The same for plain gradient descent, where the norm of the step is known beforehand."""
    lr = optimizer.param_groups[0]["lr"]
    norm = lr * norm_of([one for one in gradient if one is not None], model_axes)
    share = max_norm / norm.clamp(min=max_norm)
    for parameter, slope in zip(parameters, gradient, strict=True):
        if slope is not None:
            parameter.addcmul_(slope, broadcast(share, slope), value=-lr)
    return share * norm


def is_plain_descent(optimizer):
    """Whether a step is the gradient times the learning rate."""
    if type(optimizer) is not torch.optim.SGD or len(optimizer.param_groups) > 1:
        return False
    (group,) = optimizer.param_groups
    return not (group["momentum"] or group["weight_decay"] or group["maximize"])


def moved_by(parameters, gradient, lr, max_norm, model_axes=0):
    """Parameters after a step of gradient descent, bounded as by `bounded_step`; differentiable."""
    share = max_norm / (lr * norm_of(gradient, model_axes)).clamp(min=max_norm)
    return [
        one - broadcast(share, one) * lr * slope
        for one, slope in zip(parameters, gradient, strict=True)
    ]


def norm_of(tensors, model_axes=0):
    """Euclidean norm of all tensors together, of each model where they have an axis of models."""
    norms = [vector_norm(one.reshape(*one.shape[:model_axes], -1), dim=-1) for one in tensors]
    return vector_norm(torch.stack(norms), dim=0)


def broadcast(per_model, tensor):
    """Figure of each model, or of the one, in a shape that multiplies a tensor."""
    return per_model.reshape(per_model.shape + (1,) * (tensor.ndim - per_model.ndim))


def moved_net(net, follower, X):
    """Logits if the follower stood at these parameters."""
    names = net.follower_names()
    return functional_call(net.module_, dict(zip(names, follower, strict=True)), (X,))
