r"""Update rules: which gradient each player steps along.

With :math:`g_a, g_s` the gradients in the leader's and the follower's parameters:

- `bilevel`: the leader along :math:`g_a(L_{acc} + \eta\varphi)`, the follower along
  :math:`g_s(\eta\varphi)`;
- `lagrangian`: all parameters along the gradient of :math:`L_{acc} + \eta\varphi`;
- `accuracy_only`: all parameters along the gradient of :math:`L_{acc}`.

Gradients come from :func:`torch.autograd.grad` for the player's own parameters, so nothing
accumulates and nothing leaks to the other player. A rule returns the accuracy loss.
"""

import torch


def bilevel(net, batch):
    """Both players step from one forward pass; the leader sees the fairness loss too."""
    accuracy_loss, fairness_loss = net.losses(batch)
    leader, follower = net.module_.accuracy_parameters(), net.module_.fairness_parameters()
    leader_gradient = torch.autograd.grad(accuracy_loss + fairness_loss, leader, retain_graph=True)
    follower_gradient = torch.autograd.grad(fairness_loss, follower)
    step(net.optimizer_, leader, leader_gradient)
    bounded_step(net.fairness_optimizer_, follower, follower_gradient, net.fairness_max_step)
    return accuracy_loss


def lagrangian(net, batch):
    """One optimizer for all parameters, on the sum of both losses."""
    accuracy_loss, fairness_loss = net.losses(batch)
    parameters = list(net.module_.parameters())
    gradient = torch.autograd.grad(accuracy_loss + fairness_loss, parameters)
    step(net.optimizer_, parameters, gradient)
    return accuracy_loss


def accuracy_only(net, batch):
    """No fairness loss; the rates are counted all the same when groups are known."""
    X, y, groups, weight = batch
    logits = net.module_(X)
    accuracy_loss = net.criterion_.accuracy_loss(logits, y, weight)
    if groups is not None:
        net.criterion_.observe(logits, y, groups)
    parameters = list(net.module_.parameters())
    step(net.optimizer_, parameters, torch.autograd.grad(accuracy_loss, parameters))
    return accuracy_loss


METHODS = {"bilevel": bilevel, "lagrangian": lagrangian}


def step(optimizer, parameters, gradient):
    """One optimizer step; optimizers pass over parameters without a gradient."""
    for parameter, grad in zip(parameters, gradient, strict=True):
        parameter.grad = grad
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def bounded_step(optimizer, parameters, gradient, max_norm):
    """One optimizer step, shortened to the norm `max_norm`: the paper's small follower step."""
    before = [parameter.detach().clone() for parameter in parameters]
    step(optimizer, parameters, gradient)
    with torch.no_grad():
        norms = [(new - old).norm() for new, old in zip(parameters, before, strict=True)]
        share = (max_norm / torch.stack(norms).norm()).clamp(max=1.0)
        for new, old in zip(parameters, before, strict=True):
            new.copy_(torch.lerp(old, new, share))
