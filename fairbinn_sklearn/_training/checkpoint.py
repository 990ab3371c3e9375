"""Checkpoints of a fit: written after each epoch, read to resume."""

import io
import json
import warnings
from pathlib import Path

import torch
from skorch.callbacks import Callback

from .._data.sources import Source
from .._utils.files import write_whole
from .._utils.identity import NoNameError, canonical, digest
from .state import state_of

FORMAT = 4
# Parameters that have no effect on the model.
NO_EFFECT = ("checkpoint", "verbose", "warm_start")


class Checkpoint(Callback):
    """Write the state of the training after each epoch; read the state of an earlier run.

    Parameters
    ----------
    file : str or path-like
        The file.

    fingerprint : dict
        Values that identify the fit, see `fingerprint`.

    writes : bool, default=True
        Whether this process writes the file; with several processes only the first does.
    """

    def __init__(self, file, fingerprint, writes=True):
        self.file = Path(file)
        self.fingerprint = fingerprint
        self.writes = writes

    def read(self):
        """Return the state to resume from, None if the file does not exist."""
        prefix = f"checkpoint={str(self.file)!r}"
        if not self.file.exists():
            return None
        try:
            content = torch.load(self.file, map_location="cpu", weights_only=True)
            version = content["format"]
        except Exception as e:  # torch raises errors of many types for other content
            raise ValueError(f"{prefix} exists but is not a valid checkpoint file: {e}") from e
        if version != FORMAT:
            raise ValueError(
                f"{prefix} has the format {version}, this version of fairbinn_sklearn reads "
                f"{FORMAT} only. Remove the file, or use the version that wrote it."
            )
        if content["fingerprint"] != self.fingerprint:
            before = content["fingerprint"]
            differing = [k for k, value in self.fingerprint.items() if before.get(k) != value]
            raise ValueError(
                f"{prefix} was written by a different fit: {', '.join(differing)} differ. Remove "
                "the file, or name another file."
            )
        return content["state"]

    def on_train_begin(self, net, **kwargs):
        """Fail before training starts if the file cannot be written or read."""
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
                f"checkpoint={str(self.file)!r} cannot be read: the state of optimizer or "
                f"lr_schedule holds other objects than tensors, numbers and strings. {error}"
            ) from error

    def on_epoch_end(self, net, **kwargs):
        """Write the state; training continues with a warning if that fails."""
        if not self.writes:
            return
        try:
            self.write(net)
        except OSError as error:
            warnings.warn(
                f"checkpoint={str(self.file)!r} could not be written after epoch "
                f"{len(net.history)}: {error}. Training continues; a resumed fit starts from the "
                "previous checkpoint.",
                RuntimeWarning,
                stacklevel=2,
            )

    def write(self, net):
        """Write the state to the file."""
        buffer = io.BytesIO()
        content = {"format": FORMAT, "fingerprint": self.fingerprint, "state": state_of(net)}
        torch.save(content, buffer)
        write_whole(self.file, buffer.getvalue())

    def remove(self):
        """Remove the file at the end of the training."""
        if self.writes:
            self.file.unlink(missing_ok=True)


def fingerprint(params, data, fitted_net=None):
    """Return the values that identify a fit: parameters, and digests of data and weights.

    Parameters
    ----------
    params : dict
        Parameters of the estimator.

    data : TrainingData
        Encoded samples. X in memory is hashed as a whole, X on disk by about 1,000 samples.

    fitted_net : TwoPlayerNet, default=None
        Network from whose weights the training starts.
    """
    names = {}
    for name, value in params.items():
        if name in NO_EFFECT:
            continue
        try:
            names[name] = json.dumps(canonical(value))
        except NoNameError as error:
            raise ValueError(
                f"{name} must be importable by name with a checkpoint, so that another run can "
                f"recognise it, got {error}. Use a function or class of a module."
            ) from error
    samples = data.samples
    X = samples.thinned(1000) if isinstance(samples.X, Source) else samples.X
    digests = {
        "X": digest(X, samples.X.shape),
        "y": digest(samples.y, data.classes.tolist()),
        "sensitive_features": digest(samples.groups),
        "sample_weight": digest(samples.sample_weight),
        "last fit": None,
    }
    if fitted_net is not None:
        weights = [param.detach().reshape(-1) for param in fitted_net.module_.parameters()]
        digests["last fit"] = digest(torch.cat(weights))
    return names | digests
