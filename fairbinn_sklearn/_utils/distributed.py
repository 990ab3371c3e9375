"""Several processes that train one model, each on its share of every batch."""

from numbers import Integral

import torch


class Processes:
    """The processes of an ``accelerate launch``, by Hugging Face Accelerate.

    All of them hold the same rows and draw the same batches; each takes its share of a batch. Sums
    over a batch, and gradients, are added up over the processes, so that each has those of the
    whole batch and takes the same step.
    """

    def __init__(self):
        try:
            from accelerate import Accelerator
        except ImportError as error:
            raise ImportError(
                'device="accelerate" needs Hugging Face Accelerate: '
                'pip install "fairbinn-sklearn[distributed]".'
            ) from error
        accelerator = Accelerator()
        on_cpu = accelerator.device.type == "cpu"  # "cpu:0" cannot be pickled
        self.device = torch.device("cpu") if on_cpu else accelerator.device
        self.rank, self.n = accelerator.process_index, accelerator.num_processes
        self._reduce = accelerator.reduce

    def __reduce__(self):
        return Processes, ()

    def __deepcopy__(self, memo):
        return self

    def share(self, tensor):
        """Share of a tensor of rows that is this process's."""
        return tensor[self.rank :: self.n]

    def sum(self, *tensors):
        """Sums of tensors of one type over the processes, by one exchange."""
        flat = self._reduce(torch.cat([one.reshape(-1) for one in tensors]), reduction="sum")
        parts = flat.split([one.numel() for one in tensors])
        return [part.view(one.shape) for part, one in zip(parts, tensors, strict=True)]

    def check(self, rows, estimator):
        """Raise unless all processes can train as one."""
        if self.n == 1:
            return
        if not isinstance(estimator.random_state, Integral):
            raise ValueError(
                f"random_state must be an integer to train in {self.n} processes, which all have "
                f"to draw the same, got {estimator.random_state!r}."
            )
        if estimator.method == "unrolled":
            raise ValueError(
                f'method="unrolled" cannot be used in {self.n} processes: its gradient goes '
                "through steps of the follower, which need the whole batch."
            )
        own = torch.tensor([len(rows), float(rows.y.double().sum())], device=self.device)
        (together,) = self.sum(own)
        if not torch.allclose(together, self.n * own):
            raise ValueError(
                f"X and y must be the same in all {self.n} processes, which take their shares by "
                f"themselves; the numbers of rows add up to {int(together[0])}, and this process "
                f"has {len(rows)}."
            )
