"""Training rows as tensors on the device, and the batches cut from them."""

import math
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch.utils.data import Dataset


class Batch(NamedTuple):
    """Rows as tensors on the device."""

    X: torch.Tensor  # (B, ...) float32
    y: torch.Tensor  # (B,) class codes
    groups: torch.Tensor | None  # (B, K) group codes, one a sensitive column
    weight: torch.Tensor  # (B,) weights of the accuracy loss
    sample_weight: torch.Tensor | None  # (B,) weights of the rates


class Rows(Dataset):
    """Rows that lie where the net lies: dense X whole on the device, sparse X row by row.

    X : (N, ...) float32 array or CSR matrix; y : (N,) class codes; groups : (N, K) codes or None;
    weight : (N,) weights of the accuracy loss; sample_weight : (N,) weights of the rates, or None.
    `dtype` is that of the training.
    """

    def __init__(self, X, y, groups, weight, sample_weight, device, dtype=torch.float32):
        def there(values, dtype):
            return None if values is None else torch.as_tensor(values, dtype=dtype, device=device)

        self.X = X if sp.issparse(X) else as_tensor(X, device, dtype)
        self.y = there(y, torch.int64)
        self.groups = there(groups, torch.int64)
        self.weight = there(weight, dtype)
        self.sample_weight = there(sample_weight, dtype)
        self.device = device
        self.dtype = dtype

    def __len__(self):
        return len(self.y)

    def take(self, index):
        """Rows of the index tensor as a Batch, with X dense."""
        X, *others = self._select(index)
        return Batch(as_tensor(X, self.device, self.dtype), *others)

    def subset(self, index):
        """Rows of the index array, as Rows."""
        return Rows(*self._select(torch.from_numpy(index)), self.device, self.dtype)

    def _select(self, index):
        where = index.to(self.device)
        X = self.X[index.numpy()] if sp.issparse(self.X) else self.X.index_select(0, where)
        columns = self.y, self.groups, self.weight, self.sample_weight
        return X, *(None if one is None else one.index_select(0, where) for one in columns)


def as_tensor(X, device, dtype=torch.float32):
    """Array, CSR matrix or tensor as a dense tensor on the device."""
    if sp.issparse(X):
        X = X.toarray()
    if isinstance(X, np.ndarray) and not X.flags.writeable:
        X = X.copy()  # torch has no read-only tensors
    return torch.as_tensor(X, dtype=dtype, device=device)


def rows_of_a_batch(batch_size, n_rows):
    """Rows of a batch at most; "auto" is a power of 2 that leaves enough steps an epoch."""
    if batch_size != "auto":
        return batch_size
    wanted = max(min(256, n_rows // 16), n_rows // 1000, 1)
    return max(64, min(2 ** (wanted.bit_length() - 1), 4096))


class Batches:
    """Iterator over batches of near-equal size, shuffled anew by `rng` at each pass.

    N rows make ``ceil(N / batch_size)`` batches whose sizes differ by 1 at most, so that no
    step rests on a handful of left-over rows. Without `rng` rows keep their order.
    """

    def __init__(self, rows, batch_size, rng=None):
        self.rows = rows
        self.batch_size = batch_size
        self.rng = rng

    def __iter__(self):
        n_rows = len(self.rows)
        order = np.arange(n_rows) if self.rng is None else self.rng.permutation(n_rows)
        n_batches = math.ceil(n_rows / self.batch_size)
        for index in torch.from_numpy(order).tensor_split(n_batches):
            yield self.rows.take(index)


def endless(rows, batch_size, rng):
    """Batches without end, shuffled anew at each pass: those of the follower's own."""
    while True:
        yield from Batches(rows, batch_size, rng)


@torch.inference_mode()
def predict_logits(module, X):
    """Logits of X as a float64 array of shape (N, C), from chunks that all have one shape.

    A matrix product may round differently for another number of rows. Chunks padded to one
    size make the figure of a row independent of the rows it is predicted with.
    """
    module.eval()
    like = next(module.parameters())
    size = max(64, min(1024, 2**24 // math.prod(X.shape[1:])))  # at most 64 MiB, or X is very wide
    logits = []
    for start in range(0, X.shape[0], size):
        chunk = as_tensor(X[start : start + size], like.device, like.dtype)
        missing = chunk.new_zeros(size - len(chunk), *chunk.shape[1:])
        padded = torch.cat([chunk, missing])  # a copy: a net may work in place
        logits.append(module(padded)[: len(chunk)])
    return torch.cat(logits).cpu().double().numpy()  # MPS has no float64
