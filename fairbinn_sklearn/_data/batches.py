"""Training samples on the device of the network, and the batches cut from them."""

import math
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch.utils.data import Dataset

from .sources import Source

GATHER_SIZE = 2**20  # numbers that are gathered at a time, to be cut into batches


class Batch(NamedTuple):
    """Samples as tensors on the device; B is their number."""

    X: torch.Tensor  # (B, ...) features
    y: torch.Tensor  # (B,) class codes
    groups: torch.Tensor | None  # (B, K) group codes, a column for each partition
    weight: torch.Tensor | None  # (B,) weights in the accuracy loss
    sample_weight: torch.Tensor | None  # (B,) weights in the rates
    y_indicator: torch.Tensor | None = None  # (B, 1) labels, or (B, C) indicator of the classes
    membership: torch.Tensor | None = None  # (B, E * G) weight in each event and group
    cells: torch.Tensor | None = None  # (B, cells) weight in each cell
    coefficients: torch.Tensor | None = None  # (B, 4, E, C) of rates that are not mean scores
    n_in_all: int | None = None  # samples of the batch in all processes, if this is a shard

    @property
    def n_samples(self):
        """Return the number of samples of the batch, in all processes."""
        return self.y.shape[0] if self.n_in_all is None else self.n_in_all

    def split(self, n_parts):
        """Split into batches of near-equal size."""
        columns = [
            [None] * n_parts if tensor is None else tensor.tensor_split(n_parts) for tensor in self
        ]
        return map(Batch, *columns)

    def shard(self, processes):
        """Return the samples that belong to this process."""
        columns = [None if tensor is None else processes.shard(tensor) for tensor in self]
        return Batch(*columns)._replace(n_in_all=self.n_samples)


class Samples(Dataset):
    """Samples of a training: dense X on the device as a whole, other X a part at a time.

    Parameters
    ----------
    X : ndarray of float32, CSR matrix or Source, of shape (n_samples, ...)
        Features.

    y : ndarray of shape (n_samples,)
        Class codes.

    groups : ndarray of shape (n_samples, K) or None
        Group codes, a column for each partition; -1 means unknown.

    weight : ndarray of shape (n_samples,) or None
        Weights in the accuracy loss.

    sample_weight : ndarray of shape (n_samples,) or None
        Weights in the rates of groups.

    device : torch.device
        Device of the network.

    dtype : torch.dtype, default=torch.float32
        Floating-point type of the training.

    Attributes
    ----------
    processes : Processes or None
        Processes that train together.
    """

    def __init__(self, X, y, groups, weight, sample_weight, device, dtype=torch.float32):
        def to_device(values, dtype):
            return None if values is None else torch.as_tensor(values, dtype=dtype, device=device)

        if device.type == "cuda" and not sp.issparse(X):
            X = _fit_to_memory(X, device)
        self.on_device = not (sp.issparse(X) or isinstance(X, Source))
        self.X = as_tensor(X, device, dtype) if self.on_device else X
        self.y = to_device(y, _code_dtype(y))
        self.groups = None if groups is None else to_device(groups, _code_dtype(groups))
        self.weight = to_device(weight, dtype)
        self.sample_weight = to_device(sample_weight, dtype)
        self.device = device
        self.dtype = dtype
        self.processes = None

    def __len__(self):
        return len(self.y)

    def take(self, index):
        """Return the samples of an index tensor as a Batch with dense X."""
        y, groups, *weights = self._columns(index)
        X = (
            self.X.index_select(0, index.to(self.device))
            if self.on_device
            else self.X[index.numpy()]
        )
        groups = None if groups is None else groups.long()
        return Batch(as_tensor(X, self.device, self.dtype), y.long(), groups, *weights)

    def subset(self, index):
        """Return the samples of a sorted index array as Samples."""
        X = self.X.subset(index) if isinstance(self.X, Source) else self.X[index]
        columns = self._columns(torch.from_numpy(index))
        part = Samples(X, *columns, self.device, self.dtype)
        part.processes = self.processes
        return part

    def label_totals(self, n_classes):
        """Return the weight of each class in the accuracy loss, of shape (n_classes,)."""
        totals = np.zeros(n_classes)
        for start in range(0, len(self), GATHER_SIZE):  # bincount copies to 64-bit integers
            part = slice(start, start + GATHER_SIZE)
            weight = None if self.weight is None else self.weight[part].cpu().numpy()
            totals += np.bincount(self.y[part].cpu().numpy(), weight, n_classes)
        return totals

    def thinned(self, n_samples):
        """Return X of about `n_samples` samples, spread over all samples."""
        return (
            self.X.thinned(n_samples)
            if isinstance(self.X, Source)
            else self.X[:: -(-len(self) // n_samples)]
        )

    def portions(self, batch_size, rng=None, sample_size=None):
        """Yield index tensors of samples to gather at a time, and the number of batches in each.

        Each sample occurs once. If `rng` is passed, samples are shuffled, and those of a `Source`
        with spans within pools of spans. A sample needs memory for `sample_size` numbers.
        """
        if isinstance(self.X, Source) and self.X.spans is not None:
            for index in self.X.pools(rng):
                yield torch.from_numpy(index), math.ceil(len(index) / batch_size)
            return
        sample_size = sample_size or math.prod(self.X.shape[1:])
        n_samples = len(self)
        order = np.arange(n_samples) if rng is None else rng.permutation(n_samples)
        order = torch.from_numpy(order)
        if self.on_device:
            order = order.to(self.device)  # once, because each copy would wait for the device
        n_batches = math.ceil(n_samples / batch_size)
        size, n_larger = divmod(n_samples, n_batches)
        at_a_time = max(1, GATHER_SIZE // (sample_size * (size + 1)))
        edges = [k * size + min(k, n_larger) for k in range(0, n_batches, at_a_time)] + [n_samples]
        for k, (start, stop) in enumerate(zip(edges, edges[1:], strict=False)):
            yield order[start:stop], min(at_a_time, n_batches - k * at_a_time)

    def _columns(self, index):
        index = index.to(self.device)
        columns = self.y, self.groups, self.weight, self.sample_weight
        return [None if column is None else column.index_select(0, index) for column in columns]


def _fit_to_memory(X, device):
    """Return memory-mapped X as a tensor on the device if it fits, and a larger X as a Source."""
    if isinstance(X, torch.Tensor):
        return X
    size = 4 * math.prod(X.shape)
    if size > torch.cuda.mem_get_info(device)[0] / 2:
        return X if isinstance(X, Source) else Source(X)
    if isinstance(X, Source) and X.spans is None and isinstance(X.data, np.ndarray):
        tensor = torch.empty(X.shape, device=device)
        for index in np.array_split(np.arange(len(X)), max(1, size // 2**26)):
            tensor[index[0] : index[-1] + 1] = torch.from_numpy(X[index])
        return tensor
    return X


def _code_dtype(codes):
    """Return the smallest integer type for the codes, in which -1 means unknown."""
    largest = codes.max(initial=0) if isinstance(codes, np.ndarray) else codes.max()
    return next(
        dtype
        for dtype in (torch.int8, torch.int16, torch.int32, torch.int64)
        if largest <= torch.iinfo(dtype).max
    )


def as_tensor(X, device, dtype=torch.float32):
    """Return an array, CSR matrix or tensor as a dense tensor on the device."""
    if isinstance(X, np.ndarray):
        X = X if X.flags.writeable else X.copy()  # torch does not support read-only tensors
    elif sp.issparse(X):
        X = X.toarray()
    return torch.as_tensor(X, dtype=dtype, device=device)


def samples_per_batch(batch_size, n_samples):
    """Return the largest size of a batch; "auto" is a power of 2 that leaves enough steps."""
    if batch_size != "auto":
        return batch_size
    size = max(min(256, n_samples // 16), n_samples // 1000, 1)
    return max(64, min(2 ** (size.bit_length() - 1), 4096))


class Batches:
    """Iterator over batches of near-equal size, shuffled anew by `rng` at each pass.

    N samples make ``ceil(N / batch_size)`` batches whose sizes differ by at most 1, so that no step
    uses a few left-over samples only. The pools of a `Source` with spans are cut separately.
    Without `rng` samples keep their order. `prepare` adds the fields that depend on the criterion
    to a Batch of many samples, before it is cut into batches. With several `processes`, each batch
    is the shard of this process.
    """

    def __init__(
        self, samples, batch_size, rng=None, prepare=None, sample_size=None, processes=None
    ):
        self.samples = samples
        self.batch_size = batch_size
        self.rng = rng
        self.prepare = prepare
        self.sample_size = sample_size
        self.processes = processes

    def __iter__(self):
        portions = self.samples.portions(self.batch_size, self.rng, self.sample_size)
        for index, n_batches in portions:
            portion = self.samples.take(index)
            if self.prepare is not None:
                portion = self.prepare(portion)
            for batch in portion.split(n_batches):
                yield batch if self.processes is None else batch.shard(self.processes)
