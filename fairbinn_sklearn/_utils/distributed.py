"""Several processes that train one model, each on a shard of every batch."""

from numbers import Integral

import torch


class Processes:
    """The processes of an ``accelerate launch``, by Hugging Face Accelerate.

    All processes have the same samples and draw the same batches, and each takes a shard of every
    batch. Gradients and sums over a batch are added over the processes, so that all take the same
    step.
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

    def shard(self, tensor):
        """Return the part of a tensor of samples that belongs to this process."""
        return tensor[self.rank :: self.n]

    def sum(self, *tensors):
        """Return the sums of tensors of one type over the processes, by one exchange."""
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        parts = self._reduce(flat, reduction="sum").split([tensor.numel() for tensor in tensors])
        return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]

    def check(self, samples, random_state, method):
        """Raise unless all processes can train as one.

        Parameters
        ----------
        samples : Samples
            Samples of this process.

        random_state : int
            The estimator's `random_state`.

        method : str
            The estimator's `method`.
        """
        if self.n == 1:
            return
        if not isinstance(random_state, Integral):
            raise ValueError(
                f"random_state must be an integer to train in {self.n} processes, which must all "
                f"draw the same numbers, got {random_state!r}."
            )
        if method == "unrolled":
            raise ValueError(
                f'method must not be "unrolled" in {self.n} processes: its gradient goes through '
                "steps of the follower, which need the whole batch."
            )
        n_and_sum = torch.tensor(
            [len(samples), float(samples.y.double().sum())], device=self.device
        )
        (total,) = self.sum(n_and_sum)
        if not torch.allclose(total, self.n * n_and_sum):
            raise ValueError(
                f"X and y must be the same in all {self.n} processes, which take their shards "
                f"themselves; the numbers of samples add up to {int(total[0])}, and this process "
                f"has {len(samples)}."
            )
