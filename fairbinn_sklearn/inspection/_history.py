"""Training of a fitted classifier: its settings, and its history up to the epoch that was kept."""

from dataclasses import dataclass

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._classifier import FairBiNNClassifier
from .._data.validation import check_data

# Names in `history_` by the value of `equalize`.
DIFFERENCES = {
    "distribution": ["distribution_difference"],
    "decisions": ["decision_difference"],
    "scores": ["score_difference"],
    "both": ["decision_difference", "score_difference"],
}


@dataclass(frozen=True)
class TrainingHistory:
    """What one training of a network left; the only place that reads `net_`.

    `records` are the epochs of `history_` up to the one that was kept. Settings are those of the
    training, whatever was set on the estimator afterwards. `leader` and `follower` are lists of
    parameters. `trained_for_fairness` says whether the fairness loss took part.
    """

    records: list
    n_samples: int
    name_of_epochs: str
    leader: list
    follower: list
    trained_for_fairness: bool
    eta: float
    target: float | None
    bound: float | None
    equalize: str
    constraint: object
    combine: str
    max_step: float
    weight_decay: float
    class_weight: object
    classes: np.ndarray
    positive: int

    @classmethod
    def of(cls, clf):
        """Return the history of the last training of a fitted classifier."""
        net = clf.net_
        options, run = net.options, net.last_run
        records = clf.history_[-run.epochs :]  # of the last call; partial_fit trains one epoch
        if "validation_objective" in records[-1]:  # early stopping kept the best epoch
            objectives = [record.get("validation_objective", np.inf) for record in records]
            records = records[: int(np.argmin(objectives)) + 1]
        elif run.epochs == 1:
            records = clf.history_
        leader, follower = net.players()
        return cls(
            records=records,
            n_samples=run.n_samples,
            name_of_epochs=run.name_of_epochs,
            leader=leader,
            follower=follower,
            trained_for_fairness=run.fair,
            eta=clf.eta_,
            target=options.fairness_target,
            bound=options.bound,
            equalize=options.equalize,
            constraint=options.constraint,
            combine=options.combine,
            max_step=options.fairness_max_step,
            weight_decay=options.weight_decay,
            class_weight=clf.class_weight,
            classes=clf.classes_,
            positive=net.criterion_.positive,
        )

    def column(self, key):
        """Return the values of all epochs, or None if an epoch has none."""
        if any(key not in record for record in self.records):
            return None
        return np.array([record[key] for record in self.records])

    def differences(self):
        """Return the largest difference that the fairness loss counts, or None."""
        columns = [self.column(name) for name in DIFFERENCES[self.equalize]]
        return None if any(column is None for column in columns) else np.max(columns, axis=0)

    def steps(self):
        """Return the longest step of the follower in each epoch, or None if it took none."""
        steps = np.array([record.get("fairness_step", 0.0) for record in self.records])
        return steps if steps.any() else None

    def schedule(self):
        """Return the learning rates of the epochs as multiples of the first one."""
        rates = self.column("lr")
        return rates / rates[0]

    @property
    def early_stopping(self):
        """Whether the training could stop early."""
        return "validation_objective" in self.records[-1]


def fitted_classifier(clf):
    """Return the fitted classifier at the end of `clf`, which may be a pipeline."""
    last = clf.steps[-1][1] if isinstance(clf, Pipeline) else clf
    if not isinstance(last, FairBiNNClassifier):
        raise TypeError(
            "clf must be a fitted FairBiNNClassifier, or a Pipeline that ends in one, got "
            f"{type(clf).__name__}"
            + (f" that ends in {type(last).__name__}." if last is not clf else ".")
            + (" Pass its best_estimator_." if hasattr(clf, "best_estimator_") else "")
        )
    check_is_fitted(last, "net_")
    return last


def split_pipeline(clf, X):
    """Return the classifier at the end of `clf`, `X` as it reaches it, and `X` as float32."""
    last = fitted_classifier(clf)
    if last is not clf and len(clf) > 1:
        X = clf[:-1].transform(X)
    return last, X, check_data(last, X, reset=False, input_shape=last.net_.input_shape)
