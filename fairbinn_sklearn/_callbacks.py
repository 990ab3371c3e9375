"""Bridge from the net's epochs to scikit-learn's callbacks."""

import copy

from skorch.callbacks import Callback


class ForwardToSklearn(Callback):
    """Tell each epoch to the callbacks of the estimator; one of them may end the training."""

    def __init__(self, estimator, context, X, y):
        self.estimator = estimator
        self.context = context
        self.X = X
        self.y = y

    def on_epoch_begin(self, net, **kwargs):
        """Open a task of the estimator's context."""
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)

    def on_epoch_end(self, net, **kwargs):
        """Close the task, offering the model as if training ended here."""
        net.stop |= self.epoch.call_on_fit_task_end(
            estimator=self.estimator,
            X=self.X,
            y=self.y,
            reconstruction_attributes=lambda: {"net_": copy.deepcopy(net)},
        )
