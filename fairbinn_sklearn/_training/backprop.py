"""Gradients of both players by automatic differentiation."""

import torch


class AutogradBackprop:
    """Forward pass and gradients of any module, by :func:`torch.autograd.grad`.

    Parameters
    ----------
    module : torch.nn.Module
        Module in training.

    player_params : tuple of two lists of torch.nn.Parameter
        Parameters of the leader and of the follower.

    processes : Processes or None
        Processes that train together; the gradients of unused parameters are then zeros.
    """

    def __init__(self, module, player_params, processes):
        self.module = module
        self.player_params = player_params
        self.processes = processes

    def forward(self, X):
        """Return the logits, and keep the graph for one call of `backward`."""
        self.logits = self.module(X)
        return self.logits.detach()

    def backward(self, leader_grad=None, follower_grad=None):
        """Return the gradients in the parameters of both players, as two lists.

        `leader_grad` and `follower_grad` are the gradients of each player's loss in the logits. If
        one is None, the player does not step and its list is empty. If both are the same object,
        one pass computes both lists.
        """
        leader, follower = self.player_params
        if leader_grad is follower_grad:
            gradient = self._grad(leader_grad, [*leader, *follower])
            return gradient[: len(leader)], gradient[len(leader) :]
        both = leader_grad is not None and follower_grad is not None
        first = [] if leader_grad is None else self._grad(leader_grad, leader, retain_graph=both)
        second = [] if follower_grad is None else self._grad(follower_grad, follower)
        return first, second

    def _grad(self, logit_grad, params, retain_graph=False):
        gradient = torch.autograd.grad(
            self.logits,
            params,
            logit_grad,
            retain_graph=retain_graph,
            allow_unused=True,
            materialize_grads=self.processes is not None,
        )
        return list(gradient)
