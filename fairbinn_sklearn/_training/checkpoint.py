"""Checkpoints of a fit: written between epochs, and gone on from."""

import hashlib
import io
import json
import os
import pickle
import warnings
from numbers import Number
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from skorch.callbacks import Callback

from .._utils.files import write_whole
from ..losses import FairnessLoss
from .state import state_of

FORMAT = 1
# Parameters that change nothing in the model.
IDLE = ("checkpoint", "checkpoint_every", "verbose", "warm_start")


class Checkpoint(Callback):
    """Write the state of the training each few epochs; read what an earlier run has written."""

    def __init__(self, file, every, fingerprint, writes=True):
        self.file = Path(file)
        self.writes = writes  # of several processes one does
        self.every = every
        self.fingerprint = fingerprint

    def read(self):
        """State to go on from, or None if there is none."""
        told = f"checkpoint={str(self.file)!r}"
        if not self.file.exists():
            return None
        try:
            found = torch.load(self.file, map_location="cpu", weights_only=True)
            version = found["format"]
        except (RuntimeError, BadZipFile, EOFError, KeyError, TypeError, pickle.PickleError) as e:
            raise ValueError(f"{told} is there and is no checkpoint, or damaged: {e}") from e
        if version > FORMAT:
            raise ValueError(
                f"{told} has the format {version}, and this version knows up to {FORMAT}: it was "
                "written by a newer version of fairbinn_sklearn."
            )
        if found["fingerprint"] != self.fingerprint:
            differ = [k for k, v in self.fingerprint.items() if found["fingerprint"].get(k) != v]
            raise ValueError(
                f"{told} is there and belongs to another fit: {', '.join(differ)} differ. Remove "
                "the file, or name another one."
            )
        return found["state"]

    def on_train_begin(self, net, **kwargs):
        """Write if nothing is there: what cannot be written is told before any work is done."""
        if self.file.exists() or not self.writes:
            return
        try:
            self.write(net)
        except OSError as error:
            raise OSError(
                error.errno, f"checkpoint={str(self.file)!r} cannot be written: {error.strerror}"
            ) from error
        try:
            self.read()
        except ValueError as error:
            raise ValueError(
                f"checkpoint={str(self.file)!r} cannot be read again: optimizer or lr_schedule "
                f"keep what is no tensor, number or string. {error}"
            ) from error

    def on_epoch_end(self, net, **kwargs):
        """Write if it is time; training goes on if that fails."""
        if len(net.history) % self.every or not self.writes:
            return
        try:
            self.write(net)
        except OSError as error:
            warnings.warn(
                f"checkpoint={str(self.file)!r} could not be written after epoch "
                f"{len(net.history)}: {error}. Training goes on, and the last checkpoint stays.",
                RuntimeWarning,
                stacklevel=2,
            )

    def write(self, net):
        """Write the state to the file."""
        data = io.BytesIO()
        found = {"format": FORMAT, "fingerprint": self.fingerprint, "state": state_of(net)}
        torch.save(found, data)
        write_whole(self.file, data.getvalue())

    def remove(self):
        """Remove the file: training has ended."""
        if self.writes:
            self.file.unlink(missing_ok=True)


def fingerprint(estimator, rows, previous=None):
    """What makes two fits the same: parameters by name, digests of the rows and first weights."""
    params = {}
    for name, value in estimator.get_params(deep=False).items():
        if name in IDLE:
            continue
        try:
            params[name] = plain(value)
        except NoNameError as error:
            raise ValueError(
                f"checkpoint needs to tell whether {name} is the same in another run, which has no "
                f"name to go by, got {error}; use a function or class that can be imported."
            ) from error
    digests = {
        "X": digest(rows.sample_of_rows(1000), rows.X.shape),
        "y": digest(rows.y, estimator.classes_.tolist()),
        "sensitive_features": digest(rows.groups),
        "sample_weight": digest(rows.sample_weight),
        "last fit": None,
    }
    if previous is not None:
        weights = [one.detach().reshape(-1) for one in previous.module_.parameters()]
        digests["last fit"] = digest(torch.cat(weights))
    return {**{name: json.dumps(value) for name, value in params.items()}, **digests}


def digest(values, *more):
    """Short digest of an array, a tensor or a sparse matrix."""
    if hasattr(values, "toarray"):
        values = values.toarray()
    if isinstance(values, torch.Tensor):
        values = values.cpu().numpy()
    made = hashlib.blake2b(repr(more).encode(), digest_size=16)
    if values is not None:
        made.update(np.ascontiguousarray(values).tobytes())
    return made.hexdigest()


def plain(value):
    """Parameter as what JSON knows, equal in two processes if it means the same."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, Number):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(one) for one in value]
    if isinstance(value, FairnessLoss):
        return [type(value).__qualname__, plain(value.get_params(deep=False))]
    if isinstance(value, (os.PathLike, torch.device)):
        return str(value)
    if isinstance(value, torch.Tensor):
        return digest(value)
    name = getattr(value, "__qualname__", "<>")
    if "<" in name:  # of a lambda, or within a function
        raise NoNameError(repr(value))
    return f"{value.__module__}.{name}"


class NoNameError(Exception):
    """A value of which two processes cannot say whether they have the same."""
