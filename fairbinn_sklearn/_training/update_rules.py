r"""Update rules: the gradient along which each player steps.

:math:`g_a` and :math:`g_s` are the gradients in the leader's and the follower's parameters:

- `bilevel`: the leader steps along :math:`g_a(L_{acc} + \eta\varphi)`, the follower along
  :math:`g_s(\eta\varphi)`;
- `alternating`: the leader steps along :math:`g_a(L_{acc})`, then the follower along
  :math:`g_s(\eta\varphi)` at the leader's new parameters;
- `unrolled`: the leader steps along :math:`g_a` of :math:`L_{acc}` at the follower's parameters
  after some steps, through these steps; the follower along :math:`g_s(\eta\varphi)`;
- `lagrangian`: all parameters step along the gradient of :math:`L_{acc} + \eta\varphi`;
- `accuracy_only`: all parameters step along the gradient of :math:`L_{acc}`.

The criterion returns the gradients of both losses in the logits. From these, ``net.param_grads``
computes the gradients in the parameters of each player. They are returned, not accumulated, so none
reaches the other player. A rule returns the accuracy loss.

K networks side by side have losses of shape (K,) and gradients with a leading axis of length K.
"""

import torch
from torch.autograd import grad
from torch.func import functional_call
from torch.linalg import vector_norm


def bilevel(net, batch):
    """Step both players from one point; the leader's gradient includes the fairness loss."""
    loss, accuracy_grad, fairness_grad = net.loss_grads(batch)
    leader, follower = net.players()
    gradients = net.param_grads(accuracy_grad + fairness_grad, fairness_grad)
    step(net.optimizer_, leader, gradients[0])
    net.step_follower(follower, gradients[1])
    return loss


def alternating(net, batch):
    """Step the leader along the accuracy loss alone, then the follower (algorithm 1)."""
    leader, follower = net.players()
    loss, accuracy_grad = net.criterion_.accuracy_loss(net.logits(batch.X), batch)
    step(net.optimizer_, leader, net.param_grads(accuracy_grad, None)[0])
    fairness_grad = net.fairness_grad(net.logits(batch.X), batch)
    net.step_follower(follower, net.param_grads(None, fairness_grad)[1])
    return loss


def unrolled(net, batch):
    """Step the leader along a gradient through the follower's next steps of gradient descent."""
    options = net.options
    leader, follower = net.players()
    logits = net.module_(batch.X)
    local_loss = net.criterion_.local_loss(logits, batch)
    moved, first_grad = follower, None
    for _ in range(options.n_unroll_steps):
        if first_grad is not None:
            logits = logits_at(net, moved, batch.X)
        loss = options.eta * local_loss(logits)
        gradient = grad(loss.sum(), moved, create_graph=True, materialize_grads=True)
        first_grad = gradient if first_grad is None else first_grad
        moved = descended(
            moved, gradient, net.follower_lr(), options.fairness_max_step, net.model_axes
        )
    logits = logits_at(net, moved, batch.X)
    loss, accuracy_grad = net.criterion_.accuracy_loss(logits, batch)
    leader_grad = grad(logits, leader, accuracy_grad, allow_unused=True)
    step(net.optimizer_, leader, leader_grad)
    net.step_follower(follower, [gradient.detach() for gradient in first_grad])
    return loss


def lagrangian(net, batch):
    """Step all parameters by one optimizer, along the sum of both losses."""
    loss, accuracy_grad, fairness_grad = net.loss_grads(batch)
    step_all(net, accuracy_grad + fairness_grad)
    return loss


def accuracy_only(net, batch):
    """Step all parameters along the accuracy loss; rates are counted if groups are known."""
    logits = net.logits(batch.X)
    loss, accuracy_grad = net.criterion_.accuracy_loss(logits, batch)
    if batch.groups is not None:
        net.criterion_.update_rates(logits, batch)
    step_all(net, accuracy_grad)
    return loss


METHODS = {
    "bilevel": bilevel,
    "alternating": alternating,
    "unrolled": unrolled,
    "lagrangian": lagrangian,
}


def step_all(net, logit_grad):
    """Step all parameters with the leader's optimizer, along the gradient of one loss."""
    step(net.optimizer_, sum(net.players(), []), sum(net.param_grads(logit_grad, logit_grad), []))


def step(optimizer, params, gradient):
    """Take one optimizer step; optimizers skip parameters without a gradient."""
    for param, param_grad in zip(params, gradient, strict=True):
        # Make the gradient contiguous, because torch's fused steps read it in memory order.
        param.grad = None if param_grad is None else param_grad.contiguous()
    optimizer.step()
    for param in params:
        param.grad = None


def bounded_step(optimizer, params, gradient, max_norm, model_axes=0):
    """Take one optimizer step, shortened to the norm `max_norm`; return its norm.

    The bound is the paper's assumption that the follower's steps are small.
    """
    if is_plain_descent(optimizer):
        return bounded_descent(optimizer, params, gradient, max_norm, model_axes)
    before = [param.detach().clone() for param in params]
    step(optimizer, params, gradient)
    with torch.no_grad():
        moves = [new - old for new, old in zip(params, before, strict=True)]
        norm = norm_of(moves, model_axes)
        scale = max_norm / norm.clamp(min=max_norm)
        for new, old in zip(params, before, strict=True):
            new.copy_(torch.lerp(old, new, broadcast(scale, new)))
    return scale * norm


@torch.no_grad()
def bounded_descent(optimizer, params, gradient, max_norm, model_axes=0):
    """Take a bounded step of plain gradient descent, whose norm is known in advance."""
    lr = optimizer.param_groups[0]["lr"]
    norm = lr * norm_of([g for g in gradient if g is not None], model_axes)
    scale = max_norm / norm.clamp(min=max_norm)
    for param, param_grad in zip(params, gradient, strict=True):
        if param_grad is not None:
            param.addcmul_(param_grad, broadcast(scale, param_grad), value=-lr)
    return scale * norm


def is_plain_descent(optimizer):
    """Return whether a step is the gradient times the learning rate."""
    if type(optimizer) is not torch.optim.SGD or len(optimizer.param_groups) > 1:
        return False
    (group,) = optimizer.param_groups
    return not (group["momentum"] or group["weight_decay"] or group["maximize"])


def descended(params, gradient, lr, max_norm, model_axes=0):
    """Return the parameters after a bounded step of gradient descent, differentiably."""
    scale = max_norm / (lr * norm_of(gradient, model_axes)).clamp(min=max_norm)
    return [
        param - broadcast(scale, param) * lr * param_grad
        for param, param_grad in zip(params, gradient, strict=True)
    ]


def norm_of(tensors, model_axes=0):
    """Return the Euclidean norm of all tensors together, of each network side by side."""
    norms = [
        vector_norm(tensor.reshape(*tensor.shape[:model_axes], -1), dim=-1) for tensor in tensors
    ]
    return norms[0] if len(norms) == 1 else vector_norm(torch.stack(norms), dim=0)


def broadcast(per_network, tensor):
    """Return a value of each network in a shape that multiplies a tensor."""
    return per_network.reshape(per_network.shape + (1,) * (tensor.ndim - per_network.ndim))


def logits_at(net, follower, X):
    """Return the logits for other parameters of the follower."""
    names = net.follower_names()
    return functional_call(net.module_, dict(zip(names, follower, strict=True)), (X,))
