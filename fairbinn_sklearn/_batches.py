"""Training rows as tensors on the device, and the batches cut from them."""

import math

import numpy as np
import scipy.sparse as sp
import torch
from torch.utils.data import Dataset


class Rows(Dataset):
    """Rows that lie where the net lies: dense X whole on the device, sparse X row by row.

    X : (N, D) float32 array or CSR matrix; y : (N,) 0 or 1; groups : (N,) codes or None;
    weight : (N,) weights of the accuracy loss.
    """

    def __init__(self, X, y, groups, weight, device):
        self.X = X if sp.issparse(X) else as_tensor(X, device)
        self.y = torch.as_tensor(y, dtype=torch.float32, device=device)
        self.groups = None if groups is None else torch.as_tensor(groups, device=device)
        self.weight = torch.as_tensor(weight, dtype=torch.float32, device=device)
        self.device = device

    def __len__(self):
        return len(self.y)

    def take(self, index):
        """Rows of the index tensor: (X, y, groups, weight), with X dense."""
        X, *others = self._select(index)
        return as_tensor(X, self.device), *others

    def subset(self, index):
        """Rows of the index array, as Rows."""
        return Rows(*self._select(torch.from_numpy(index)), self.device)

    def _select(self, index):
        where = index.to(self.device)
        X = self.X[index.numpy()] if sp.issparse(self.X) else self.X.index_select(0, where)
        groups = None if self.groups is None else self.groups.index_select(0, where)
        return X, self.y.index_select(0, where), groups, self.weight.index_select(0, where)


def as_tensor(X, device):
    """Array, CSR matrix or tensor as a dense float32 tensor on the device."""
    if sp.issparse(X):
        X = X.toarray()
    if isinstance(X, np.ndarray) and not X.flags.writeable:
        X = X.copy()  # torch has no read-only tensors
    return torch.as_tensor(X, dtype=torch.float32, device=device)


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


@torch.inference_mode()
def predict_logits(module, X):
    """Logits of X as a float64 array of shape (N, C), from chunks that all have one shape.

    A matrix product may round differently for another number of rows. Chunks padded to one
    size make the figure of a row independent of the rows it is predicted with.
    """
    module.eval()
    device = next(module.parameters()).device
    n_rows, n_columns = X.shape
    size = max(64, min(1024, 2**24 // n_columns))  # at most 64 MiB, unless X is very wide
    logits = []
    for start in range(0, n_rows, size):
        chunk = as_tensor(X[start : start + size], device)
        missing = size - len(chunk)
        padded = torch.nn.functional.pad(chunk, (0, 0, 0, missing)) if missing else chunk
        logits.append(module(padded)[: len(chunk)])
    return torch.cat(logits).cpu().double().numpy()  # MPS has no float64
