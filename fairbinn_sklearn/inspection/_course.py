"""What training left behind, up to the epoch whose weights were kept."""

from dataclasses import dataclass

import numpy as np
import torch

from .._rules import accuracy_only
from .._schedules import SCHEDULES


@dataclass(frozen=True)
class Course:
    """History of a fitted estimator up to the epoch that it kept, and the settings behind it.

    `rates` are the learning rates of the epochs, as shares of the first one; `fair` says whether
    the fairness loss took part; `target` is the difference that eta was sought for, or None.
    """

    history: list
    rates: np.ndarray
    fair: bool
    eta: float
    target: float | None
    violation: str
    max_step: float

    @classmethod
    def of(cls, clf):
        """Course of the last fit."""
        history, net = clf.history_, clf.net_
        if "validation_objective" in history[0]:  # early stopping went back to the best epoch
            best = min(range(len(history)), key=lambda i: history[i]["validation_objective"])
            history = history[: best + 1]
        goes_on = len(clf.history_) > net.epochs  # calls of partial_fit, at constant rates
        return cls(
            history=history,
            rates=_rates("constant" if goes_on else clf.lr_schedule, net.epochs, len(history)),
            fair=net.rule is not accuracy_only,
            eta=clf.eta_,
            target=clf.fairness_target,
            violation=clf.violation,
            max_step=net.fairness_max_step,
        )

    def column(self, key):
        """Figures of all epochs; None if one did not record them."""
        if any(key not in record for record in self.history):
            return None
        return np.array([record[key] for record in self.history])

    def differences(self):
        """Differences of what the fairness loss counts; None if one was not recorded."""
        return self.column(f"{self.violation}_difference")

    def steps(self):
        """Longest step of the follower in each epoch; None if it took none."""
        steps = np.array([record.get("fairness_step", 0.0) for record in self.history])
        return steps if steps.any() else None

    def weigh(self, more):
        """Advice to give the fairness loss more weight, or less."""
        if self.target is None:
            return f"{'Raise' if more else 'Lower'} eta (now {self.eta:g})"
        return f"{'Lower' if more else 'Raise'} fairness_target (now {self.target:g})"


def _rates(schedule, epochs, n_epochs):
    """Learning rates by the name of their schedule; those of classes count as constant."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = SCHEDULES[schedule if schedule in SCHEDULES else "constant"](optimizer, epochs)
    rates = []
    for _ in range(n_epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(rates)
