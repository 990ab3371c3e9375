"""What training left behind, up to the epoch whose weights were kept."""

from dataclasses import dataclass

import numpy as np

# Names in `history_` by the value of `equalize`.
DIFFERENCES = {
    "decisions": ["decision_difference"],
    "scores": ["score_difference"],
    "both": ["decision_difference", "score_difference"],
}


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
    equalize: str
    max_step: float

    @classmethod
    def of(cls, clf):
        """Course of the last fit."""
        net = clf.net_
        history = clf.history_[
            -net.last_run.epochs :
        ]  # of the last call, with partial_fit one epoch
        if "validation_objective" in history[-1]:  # early stopping went back to the best epoch
            best = min(range(len(history)), key=lambda i: history[i]["validation_objective"])
            history = history[: best + 1]
        elif net.last_run.epochs == 1:
            history = clf.history_
        return cls(
            history=history,
            rates=np.array([record["lr"] for record in history]) / history[0]["lr"],
            fair=net.last_run.fair,
            eta=clf.eta_,
            target=net.options.fairness_target,
            equalize=net.criterion_.equalize,
            max_step=net.options.fairness_max_step,
        )

    def column(self, key):
        """Figures of all epochs; None if one did not record them."""
        if any(key not in record for record in self.history):
            return None
        return np.array([record[key] for record in self.history])

    def differences(self):
        """Larger differences of what the fairness loss counts; None if one was not recorded."""
        columns = [self.column(name) for name in DIFFERENCES[self.equalize]]
        return None if any(one is None for one in columns) else np.max(columns, axis=0)

    def counted_as(self):
        """Name of the differences of what the fairness loss counts."""
        if self.equalize == "both":
            return "the larger of decision_difference and score_difference"
        return DIFFERENCES[self.equalize][0]

    def steps(self):
        """Longest step of the follower in each epoch; None if it took none."""
        steps = np.array([record.get("fairness_step", 0.0) for record in self.history])
        return steps if steps.any() else None

    def weigh(self, more):
        """Advice to give the fairness loss more weight, or less."""
        if self.target is None:
            return f"{'Raise' if more else 'Lower'} eta (now {self.eta:g})"
        return f"{'Lower' if more else 'Raise'} fairness_target (now {self.target:g})"
