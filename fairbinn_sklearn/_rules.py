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

Gradients come from :func:`torch.autograd.grad` for the player's own parameters, so nothing
accumulates and nothing leaks to the other player. A rule returns the accuracy loss. The fairness
loss is that of the same batch, unless the net has one of its own for it.

Losses of K nets side by side have the shape (K,), and their sum has the gradient of each.
"""

import torch
from torch.autograd import grad
from torch.func import functional_call


def bilevel(net, batch):
    """Both players step from one point; the leader sees the fairness loss too."""
    accuracy_loss, fairness_loss = net.losses(batch)
    leader, follower = net.players()
    leader_gradient = grad(
        (accuracy_loss + fairness_loss).sum(), leader, retain_graph=True, allow_unused=True
    )
    follower_gradient = grad(fairness_loss.sum(), follower, allow_unused=True)
    step(net.optimizer_, leader, leader_gradient)
    net.follow(follower, follower_gradient)
    return accuracy_loss


def alternating(net, batch):
    """Algorithm 1 of the paper: first the leader, blind to the fairness loss; then the follower."""
    leader, follower = net.players()
    accuracy_loss = net.criterion_.accuracy_loss(net.module_(batch.X), batch)
    step(net.optimizer_, leader, grad(accuracy_loss.sum(), leader, allow_unused=True))
    net.follow(follower, grad(net.fairness_loss(batch).sum(), follower, allow_unused=True))
    return accuracy_loss


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
        gradient = grad(loss.sum(), moved, create_graph=True, materialize_grads=True)
        first = gradient if first is None else first
        lr, max_step = net.follower_lr(), net.fairness_max_step
        moved = moved_by(moved, gradient, lr, max_step, net.model_axes)
    accuracy_loss = net.criterion_.accuracy_loss(moved_net(net, moved, batch.X), batch)
    step(net.optimizer_, leader, grad(accuracy_loss.sum(), leader, allow_unused=True))
    net.follow(follower, [one.detach() for one in first])
    return accuracy_loss


def lagrangian(net, batch):
    """One optimizer for all parameters, on the sum of both losses."""
    accuracy_loss, fairness_loss = net.losses(batch)
    parameters = sum(net.players(), [])
    gradient = grad((accuracy_loss + fairness_loss).sum(), parameters, allow_unused=True)
    step(net.optimizer_, parameters, gradient)
    return accuracy_loss


def accuracy_only(net, batch):
    """No fairness loss; the rates are counted all the same when groups are known."""
    logits = net.module_(batch.X)
    accuracy_loss = net.criterion_.accuracy_loss(logits, batch)
    if batch.groups is not None:
        net.criterion_.observe(logits, batch)
    parameters = sum(net.players(), [])
    step(net.optimizer_, parameters, grad(accuracy_loss.sum(), parameters, allow_unused=True))
    return accuracy_loss


METHODS = {
    "bilevel": bilevel,
    "alternating": alternating,
    "unrolled": unrolled,
    "lagrangian": lagrangian,
}


def step(optimizer, parameters, gradient):
    """One optimizer step; optimizers pass over parameters without a gradient."""
    for parameter, slope in zip(parameters, gradient, strict=True):
        # torch's fused steps read the gradient in the order of memory.
        parameter.grad = None if slope is None else slope.contiguous()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def bounded_step(optimizer, parameters, gradient, max_norm, model_axes=0):
    """One optimizer step, shortened to the norm `max_norm`; return its norm.

    The bound is the paper's assumption of small steps of the follower.
    """
    before = [parameter.detach().clone() for parameter in parameters]
    step(optimizer, parameters, gradient)
    with torch.no_grad():
        moves = [new - old for new, old in zip(parameters, before, strict=True)]
        norm = norm_of(moves, model_axes)
        share = max_norm / norm.clamp(min=max_norm)
        for new, old in zip(parameters, before, strict=True):
            new.copy_(torch.lerp(old, new, broadcast(share, new)))
    return share * norm


def moved_by(parameters, gradient, lr, max_norm, model_axes=0):
    """Parameters after a step of gradient descent, bounded as by `bounded_step`; differentiable."""
    share = max_norm / (lr * norm_of(gradient, model_axes)).clamp(min=max_norm)
    return [
        one - broadcast(share, one) * lr * slope
        for one, slope in zip(parameters, gradient, strict=True)
    ]


def norm_of(tensors, model_axes=0):
    """Euclidean norm of all tensors together, of each model where they have an axis of models."""
    norms = [one.reshape(*one.shape[:model_axes], -1).norm(dim=-1) for one in tensors]
    return torch.stack(norms).norm(dim=0)


def broadcast(per_model, tensor):
    """Figure of each model, or of the one, in a shape that multiplies a tensor."""
    return per_model.reshape(per_model.shape + (1,) * (tensor.ndim - per_model.ndim))


def moved_net(net, follower, X):
    """Logits if the follower stood at these parameters."""
    names = net.follower_names()
    return functional_call(net.module_, dict(zip(names, follower, strict=True)), (X,))
