"""Helpers that the loaders share."""

import hashlib
import io
from importlib import resources

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from .._utils.upstream import StrOptions

CONSTRAINTS = {
    "sensitive_features": [str, list, tuple],
    "as_frame": ["boolean"],
    "return_X_y": ["boolean"],
}
SUBSET_CONSTRAINTS = {"subset": [StrOptions({"train", "test", "all"})]}


def read_data_file(path, sha256, **options):
    """Return the DataFrame of the bundled ``.csv.xz`` file `path`.

    Parameters
    ----------
    path : Traversable
        The file.
    sha256 : str
        The expected hexadecimal digest of the file.
    **options
        Further arguments of :func:`pandas.read_csv`.

    Raises
    ------
    OSError
        If the file is missing or has another digest.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"The data file {path} is missing; please reinstall the package."
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise OSError(f"The data file {path} is damaged; please reinstall the package.")
    return pd.read_csv(io.BytesIO(content), compression="xz", **options)


def check_sensitive_features(sensitive_features, allowed):
    """Return the names in `sensitive_features`, a str, list or tuple, as a list."""
    single = isinstance(sensitive_features, str)
    names = [sensitive_features] if single else list(sensitive_features)
    if not names or any(name not in allowed for name in names) or len(set(names)) < len(names):
        raise ValueError(
            f"`sensitive_features` must be one or several different names of {list(allowed)}, "
            f"got {sensitive_features!r}. Pass a str, or a list of str."
        )
    return names


def make_dataset(
    data,
    target,
    sensitive_features,
    *,
    name,
    target_names,
    filename,
    as_frame,
    return_X_y,  # noqa: N803
    split=None,
    subset="all",
):
    """Return the result of a loader; its parts share no memory.

    Parameters
    ----------
    data, sensitive_features : DataFrame
        The features and the sensitive features.
    target, split : Series
        The target and the names of the subsets. `split` is None if the data set has no split.
    name : str
        The name of the data set: ``descr/{name}.rst`` is its description.
    target_names : tuple of str
        The meaning of the targets 0 and 1.
    filename : str
        The path of the data file.
    as_frame, return_X_y, subset
        Parameters of the loader.

    Returns
    -------
    dataset : Bunch, or tuple (data, target) if `return_X_y`
    """
    parts = {"data": data, "target": target, "sensitive_features": sensitive_features}
    if split is not None:
        parts["split"] = split
    if subset != "all":
        parts = {key: part[split == subset] for key, part in parts.items()}
    if as_frame:
        parts = {key: part.copy() for key, part in parts.items()}
        parts["frame"] = pd.concat([parts["data"], parts["target"]], axis="columns")
    else:
        dtypes = {"sensitive_features": object, "split": np.dtype("U5")}
        parts = {key: part.to_numpy(dtypes.get(key), copy=True) for key, part in parts.items()}
        parts["frame"] = None
    if return_X_y:
        return parts["data"], parts["target"]
    description = resources.files(__package__) / "descr" / f"{name}.rst"
    return Bunch(
        **parts,
        feature_names=list(data.columns),
        target_names=list(target_names),
        sensitive_feature_names=list(sensitive_features.columns),
        DESCR=description.read_text(encoding="utf-8"),
        filename=filename,
    )
