"""Encoding of sensitive features as group codes, for all parts of the package."""

import contextlib
import copy
from decimal import Decimal
from numbers import Real

import numpy as np
import pandas as pd
import scipy.sparse as sp

from .._utils.fit_warnings import FitWarning, warn
from .frames import to_container

COMBINATIONS = ("intersection", "separate")
MAX_NUMBERS = 50  # distinct numbers or times in one sensitive feature
MIN_SAMPLES = 30  # samples of a group below which its rates are too noisy
UNKNOWN = -1  # code of a sample whose group is not known
MISSING_AS_TEXT = ("nan", "NaN", "<NA>", "NaT")  # texts of missing values
TIMES = ("datetime64", "datetime", "date", "timedelta64", "timedelta", "period")


class GroupEncoder:
    """Map sensitive features to codes of groups.

    Values are compared by equality: 1, 1.0 and True are the same group, 1 and "1" are two groups.
    Names are sorted if the values can be compared, and ordered categoricals keep the order of their
    categories, so codes do not depend on the order of the samples. A missing value (None, NaN, NA
    or NaT) is not a group: the group of the sample is unknown. With "intersection", one missing
    value is enough.

    Parameters
    ----------
    combine : {"intersection", "separate"}, default="intersection"
        Whether groups are the combinations of values that occur, or each feature has separate
        groups.

    Attributes
    ----------
    columns_ : list of length n_columns
        Names of the sensitive features.

    values_ : list of n_columns pandas.Index
        Distinct values of each sensitive feature.

    combinations_ : ndarray of shape (n_groups, n_columns) or None
        Positions in `values_` of the combinations that occur. None if each feature has separate
        groups.
    """

    def __init__(self, combine="intersection"):
        self.combine = combine

    def fit(self, frame):
        """Learn the groups of a frame that `sensitive_frame` returned."""
        self.columns_ = list(frame.columns)
        if self.combine == "separate" and not frame.columns.is_unique:
            raise ValueError(
                'sensitive_features must have columns of different names with combine="separate", '
                f"got {self.columns_}."
            )
        together = self.combine == "intersection" and len(self.columns_) > 1
        self.values_ = [pd.Index([], dtype=object)] * len(self.columns_)
        self.combinations_ = np.empty((0, len(self.columns_)), dtype=np.intp) if together else None
        return self._learn(frame)

    def partial_fit(self, frame):
        """Append the groups of more samples to the known groups."""
        if not hasattr(self, "columns_"):
            return self.fit(frame)
        self._check_columns(frame)
        return self._learn(frame)

    def extended(self, frame):
        """Return an encoder that also knows the groups of a frame, and leave this one unchanged."""
        return copy.copy(self).partial_fit(frame)

    def transform(self, frame):
        """Return the codes of the samples.

        Parameters
        ----------
        frame : pandas.DataFrame of shape (n_samples, n_columns)
            Sensitive features whose groups are known.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_partitions)
            Positions in `names_by_partition`, `UNKNOWN` for unknown groups; one column if groups
            are combinations.
        """
        self._check_columns(frame)
        codes, missing = self._codes(frame), frame.isna().to_numpy()
        if self.combinations_ is not None:
            codes = _find_combinations(codes, self.combinations_)[:, None]
            missing = missing.any(axis=1, keepdims=True)
        codes[missing] = UNKNOWN
        if (codes[~missing] < 0).any():
            raise ValueError("sensitive_features must have groups that were learned by fit.")
        return codes

    def fit_transform(self, frame):
        """Learn the groups of a frame and return the codes of its samples."""
        return self.fit(frame).transform(frame)

    @property
    def names_by_partition(self):
        """List the names of the groups of each sensitive feature, or of the combinations."""
        if self.combinations_ is None:
            return [
                values.rename(name)
                for values, name in zip(self.values_, self.columns_, strict=True)
            ]
        arrays = [
            values.take(positions)
            for values, positions in zip(self.values_, self.combinations_.T, strict=True)
        ]
        return [pd.MultiIndex.from_arrays(arrays, names=self.columns_)]

    @property
    def names_(self):
        """Return the names of all groups as one Index; with separate groups as (column, group)."""
        names = self.names_by_partition
        if len(names) == 1:
            return names[0]
        pairs = [(part.name, value) for part in names for value in part]
        return pd.MultiIndex.from_tuples(pairs, names=["column", "group"])

    @property
    def n_groups(self):
        """Return the number of groups of each partition."""
        return [len(names) for names in self.names_by_partition]

    def to_plain(self):
        """Return the state as lists, a dict and an array, for files without code."""
        return {**vars(self), "values_": [values.tolist() for values in self.values_]}

    @classmethod
    def from_plain(cls, state):
        """Return the encoder of a state that `to_plain` returned."""
        encoder = cls(state["combine"])
        values = [pd.Index(v, dtype=object, tupleize_cols=False) for v in state["values_"]]
        vars(encoder).update(state, values_=values)
        return encoder

    def _learn(self, frame):
        values = []
        for j, known in enumerate(self.values_):
            column = frame.iloc[:, j]
            new = _distinct(column)
            values.append(known.append(new[~new.isin(known)]) if len(known) else new)
            if not len(values[-1]):
                raise ValueError(
                    "sensitive_features must have known values, got only missing ones in the "
                    f"column {self.columns_[j]!r}."
                )
            _check_is_group(self.columns_[j], column, values[-1])
        self.values_ = values
        if self.combinations_ is not None:
            known = ~frame.isna().to_numpy().any(axis=1)
            codes = self._codes(frame)[known]
            seen = codes[np.unique(_joint_codes(codes), return_index=True)[1]]
            new = seen[_find_combinations(seen, self.combinations_) < 0]
            self.combinations_ = np.concatenate([self.combinations_, new])
        return self

    def _codes(self, frame):
        """Return the positions of the values of each sensitive feature (n_samples, n_columns)."""
        columns = [frame.iloc[:, j] for j in range(frame.shape[1])]
        return np.column_stack(
            [
                values.get_indexer(_index_of(column))
                for values, column in zip(self.values_, columns, strict=True)
            ]
        )

    def _check_columns(self, frame):
        columns = list(frame.columns)
        if len(columns) != len(self.columns_):
            raise ValueError(
                f"sensitive_features must have {len(self.columns_)} column(s) as before, got "
                f"{len(columns)}."
            )
        named = all(isinstance(name, str) for name in [*self.columns_, *columns])
        if columns != self.columns_ and (named or self.combine == "separate"):
            raise ValueError(
                f"sensitive_features must have the columns {self.columns_} as before, got "
                f"{columns}."
            )


def sensitive_frame(sensitive_features, n_samples):
    """Return sensitive features as a DataFrame with one column per feature.

    Samples are matched by position: the index of a Series or DataFrame is ignored.
    """
    frame = _as_frame(sensitive_features).reset_index(drop=True)
    if frame.shape[1] == 0:
        raise ValueError("sensitive_features must have at least one column, got none.")
    if len(frame) != n_samples:
        names = isinstance(sensitive_features, (list, tuple)) and len(frame) < 10
        names = names and all(isinstance(value, str) for value in sensitive_features)
        raise ValueError(
            f"sensitive_features and X must have the same number of samples, got {len(frame)} "
            f"and {n_samples}." + (" To name columns, pass X[[...]] instead." if names else "")
        )
    return frame


def strata_of(control_features, n_samples):
    """Return the stratum of each sample, `UNKNOWN` for missing values, and the names of the strata.

    Control features may have the same types as sensitive features. Strata are the combinations of
    their values that occur.
    """
    try:
        frame = sensitive_frame(control_features, n_samples)
        encoder = GroupEncoder().fit(frame)
    except ValueError as error:
        message = str(error).replace("sensitive_features", "control_features")
        raise ValueError(message) from error
    return encoder.transform(frame)[:, 0], encoder.names_


def cells_of(codes, strata, n_groups):
    """Return the codes of pairs of a stratum and a group, `UNKNOWN` if one of them is unknown.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_partitions)
        Codes of the groups.

    strata : ndarray of shape (n_samples,)
        Codes of the strata.

    n_groups : list of int
        Number of groups of each partition.
    """
    known = (codes != UNKNOWN) & (strata[:, None] != UNKNOWN)
    return np.where(known, strata[:, None] * np.asarray(n_groups) + codes, UNKNOWN)


def columns_by_stratum(codes, strata):
    """Return codes with one column for each partition and stratum.

    A sample has the code `UNKNOWN` in the columns of other strata.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_partitions)
        Codes of the groups.

    strata : ndarray of shape (n_samples,)
        Codes of the strata.
    """
    return np.column_stack(
        [
            np.where(strata == stratum, column, UNKNOWN)
            for column in codes.T
            for stratum in range(strata.max() + 1)
        ]
    )


def warn_of_small_groups(codes, encoder, weight=None, in_event=None):
    """Warn if no difference can be equalised, or if the rates of a group cannot be estimated.

    A criterion may use the rates of a subset of the samples (event), such as those with one label.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_partitions)
        Codes of the samples.

    encoder : GroupEncoder
        The encoder that made them.

    weight : ndarray of shape (n_samples,), default=None
        Weights of the samples.

    in_event : ndarray of shape (n_events, n_samples), default=None
        Whether each sample is in each event; None means a single event with all samples.
    """
    in_event = np.ones((1, len(codes)), dtype=bool) if in_event is None else in_event
    of_rate = "" if in_event.all() else " in a rate of constraint"
    partitions = encoder.names_by_partition
    alone = all(len(names) == 1 for names in partitions)
    for column, names in zip(codes.T, partitions, strict=True):
        where = "" if len(partitions) == 1 else f" in column {names.name!r}"
        known = column != UNKNOWN
        n_samples = np.min(
            [np.bincount(column[known & event], minlength=len(names)) for event in in_event], axis=0
        )
        tiny = names[n_samples < MIN_SAMPLES]
        without_weight = []
        if weight is not None:
            without_weight = names[np.bincount(column[known], weight[known], len(names)) == 0]
        message = None
        if len(without_weight):
            message = (
                f"{len(without_weight)} group(s) whose samples all have sample_weight 0{where}, "
                f"such as {without_weight[0]!r}: their rates are not measured or equalised."
            )
        elif len(names) == 1:
            message = f"one group only{where}, {names[0]!r}: there is nothing to equalise" + (
                ", and the network is trained for accuracy alone." if alone else " by it."
            )
        elif len(tiny):
            shown = ", ".join(repr(name) for name in tiny[:5]) + (", ..." if len(tiny) > 5 else "")
            message = (
                f"{len(tiny)} group(s) of fewer than {MIN_SAMPLES} samples{of_rate}{where}: "
                f"{shown}. Their rates are mostly noise, which also affects the other groups; "
                "merge them with other groups."
            )
        if message:
            warn(FitWarning(f"groups{where}", f"sensitive_features has {message}"))


def warn_of_missing_as_text(encoder):
    """Warn if the name of a group is the text of a missing value."""
    names = [name for values in encoder.values_ for name in values if isinstance(name, str)]
    if suspects := [name for name in names if name in MISSING_AS_TEXT]:
        warn(
            FitWarning(
                "missing as text",
                f"sensitive_features has the text {suspects[0]!r} as a group. In an array of "
                "strings, numpy converts missing values to text. If the value is missing, pass "
                "None in a list, an object array or a DataFrame: the group of the sample is then "
                "unknown. Otherwise rename the group.",
            )
        )


def _as_frame(sensitive_features):
    if sp.issparse(sensitive_features):
        raise ValueError("sensitive_features must be dense, got a sparse matrix.")
    if isinstance(sensitive_features, dict):
        columns = {name: _as_frame(column) for name, column in sensitive_features.items()}
        shapes = {frame.shape for frame in columns.values()}
        if len(shapes) > 1 or any(n_columns != 1 for _, n_columns in shapes):
            raise ValueError(
                "sensitive_features, as a dict, must hold columns of one length, got the shapes "
                f"{ {name: frame.shape for name, frame in columns.items()} }."
            )
        series = {name: frame.iloc[:, 0] for name, frame in columns.items()}
        return pd.DataFrame(
            {name: column.reset_index(drop=True) for name, column in series.items()}
        )
    if isinstance(sensitive_features, str):
        raise ValueError(
            "sensitive_features must hold one value per sample, not the name of a column, got "
            f"{sensitive_features!r}; pass X[{sensitive_features!r}]."
        )
    values = to_container(sensitive_features)
    if isinstance(values, pd.Index):
        return values.to_frame(index=False)
    if values.ndim not in (1, 2):
        raise ValueError(
            "sensitive_features must be an array, list, Series, DataFrame or dict of columns with "
            f"one or two dimensions, got {values.ndim} dimensions."
        )
    is_text = isinstance(values, np.ndarray) and values.dtype.kind in "OU"
    # Convert text to objects here, because pandas would convert it to its string dtype and back.
    return pd.DataFrame(values, dtype=object if is_text else None)


def _distinct(column):
    """Return the distinct values of a column as an Index of objects, in their order."""
    if isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered:
        used = np.unique(column.cat.codes)
        categories = column.cat.categories[used[used >= 0]].astype(object)
        return pd.Index(categories, dtype=object, tupleize_cols=False)
    index = _index_of(column)
    with _hashable_only():
        try:
            _, values = index.factorize(sort=True)
        except TypeError:  # values of several types have no order
            _, values = index.factorize()
    return values.astype(object)


def _index_of(column):
    """Return a column as an Index; keep numeric types, because objects need more memory."""
    plain = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"
    column = column if plain else column.astype(object)
    return pd.Index(column, dtype=column.dtype, tupleize_cols=False)


def _find_combinations(codes, combinations):
    """Return the position of each row of codes among the combinations, -1 if it does not occur."""
    n_known = len(combinations)
    ids = _joint_codes(np.concatenate([combinations, codes]))
    position = np.full(ids.max(initial=-1) + 1, -1)
    position[ids[:n_known]] = np.arange(n_known)
    return position[ids[n_known:]]


def _joint_codes(codes):
    """Return one code for each combination of codes, in the order of the combinations.

    All codes must be >= -1. This is faster than `numpy.unique` with an axis, which compares
    combinations as byte strings.
    """
    joint = np.zeros(len(codes), dtype=np.intp)
    for column in codes.T:
        joint = joint * (column.max(initial=-1) + 2) + column + 1
        joint = np.unique(joint, return_inverse=True)[1]  # keep the numbers small
    return joint


def _check_is_group(name, column, values):
    """Raise if a column has more distinct numbers or times than `MAX_NUMBERS`."""
    if len(values) <= MAX_NUMBERS or isinstance(column.dtype, pd.CategoricalDtype):
        return
    n_numbers = sum(isinstance(v, (Real, Decimal)) and not isinstance(v, bool) for v in values)
    times = pd.api.types.infer_dtype(column) in TIMES
    if n_numbers > MAX_NUMBERS or times:
        kind, n_values = ("times", len(values)) if times else ("numbers", n_numbers)
        variable = name if isinstance(name, str) and name.isidentifier() else "values"
        raise ValueError(
            f"sensitive_features must hold groups, got {n_values} distinct {kind} in the column "
            f"{name!r}. Make groups of them before fit, and use the same groups in every audit: "
            f"{variable} = pandas.qcut({variable}, 4)"
        )


@contextlib.contextmanager
def _hashable_only():
    try:
        yield
    except TypeError as error:
        raise ValueError(
            f"sensitive_features must hold values such as strings or numbers: {error}."
        ) from error
