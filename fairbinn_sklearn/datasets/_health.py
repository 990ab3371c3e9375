"""Loader of the Heritage Health Prize data, from a file that the user has."""

import gzip
import lzma
import numbers
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from ._adult import SPLIT, SPLIT_NAMES, _check_bool, _check_choice

# The numeric features in the order of the file.
NUMERIC = (
    "ClaimsTruncated",
    *(f"no_{name}" for name in ("Claims", "Providers", "Vendors", "PCPs", "PlaceSvcs")),
    *(f"no_{name}" for name in ("Specialities", "PrimaryConditionGroups", "ProcedureGroups")),
    *(f"PayDelay_{name}" for name in ("max", "min", "ave", "stdev")),
    *(f"LOS_{name}" for name in ("max", "min", "ave", "stdev")),
    *(f"LOS_TOT_{name}" for name in ("UNKNOWN", "SUPRESSED", "KNOWN")),
    *(f"dsfs_{name}" for name in ("max", "min", "range", "ave", "stdev")),
    *(f"pcg{number}" for number in range(1, 47)),
    *(f"sp{number}" for number in range(1, 14)),
    *(f"pg{number}" for number in range(1, 19)),
    *(f"ps{number}" for number in range(1, 10)),
    *("drugCount_max", "drugCount_min", "drugCount_ave", "drugcount_months"),
    *("labCount_max", "labCount_min", "labCount_ave", "labcount_months"),
    *("labNull", "drugNull"),
)
# The columns of the file that are one category each.
CATEGORICAL = {
    "age": {
        "age_05": "0-9",
        "age_15": "10-19",
        "age_25": "20-29",
        "age_35": "30-39",
        "age_45": "40-49",
        "age_55": "50-59",
        "age_65": "60-69",
        "age_75": "70-79",
        "age_85": "80+",
    },
    "sex": {"sexFEMALE": "Female", "sexMALE": "Male"},
}
FEATURES = (*NUMERIC, *CATEGORICAL)
CHARLSON, TARGET, TARGET_NAMES = "CharlsonIndexI_max", "Charlson>0", ("Charlson=0", "Charlson>0")
YEAR, YEAR_USED = "YEAR_t", "Y3"
TEST_SIZE = 0.2

DESCR = """\
Heritage Health Prize data set
------------------------------

Claims of the members of the Heritage Provider Network, physicians in California, from its
competition of 2011 to 2013, summed up to one row a member and year. Loaded are the rows of year Y3
with age and sex known; the target is 1 where the largest Charlson index of the member's claims in
that year is above 0, else 0.

The rules of the competition restrict the use of the data and forbid passing them on, so they do not
come with this package: they are read from the file of whoever calls the loader. The split into
train and test is drawn by the loader; the competition has none for this task.
"""

_SUBSETS = (*SPLIT_NAMES, "all")
_UNREADABLE = (
    ValueError,  # pandas' own errors, and text that is not UTF-8
    EOFError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)


def load_health(
    path,
    *,
    subset="all",
    sensitive_features=("age",),
    as_frame=True,
    return_X_y=False,  # noqa: N803
    random_state=42,
):
    """Load the Heritage Health Prize data from a file of yours (binary classification).

    The task is to tell from 123 attributes of a member of a network of physicians, most of them
    counts of one year's claims, whether that member's Charlson comorbidity index is above 0 in
    that year [1]_. The data **do not come with the package**: the rules of the competition [2]_
    restrict their use and forbid passing them on, so `path` must name a copy that you have the
    right to use. Nothing is downloaded, and nothing is cached between calls.

    =================   ================================
    Classes                                            2
    Samples total        55924 (44739 train, 11185 test)
    Dimensionality                                   123
    Features             121 numeric, 2 categorical
    =================   ================================

    Parameters
    ----------
    path : str or path-like
        A CSV file with one row a member and year, plain or compressed (the end of its name, such
        as ".zip" or ".gz", tells pandas which), in the form described in the Notes.

    subset : {"train", "test", "all"}, default="all"
        Which part of the split to load.

    sensitive_features : {"age", "sex"}, or list or tuple of them, default=("age",)
        The column, or columns, of the data to return as ``sensitive_features`` too, in the order
        given. They **stay in** ``data``; drop them from it if the model must not see them.

    as_frame : bool, default=True
        If True, ``data`` and ``sensitive_features`` are pandas DataFrames, and ``target`` and
        ``split`` are pandas Series. If False, all four are NumPy arrays.

    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch, as the loaders of scikit-learn do.

    random_state : int, default=42
        Which split to draw, from 0 to 4294967295. It depends on this number and on the order of
        the rows in the file, and on nothing else; see the Notes.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes, where ``n_samples`` is the number of
        rows that `subset` leaves. The rows are in the order of the file.

        data : DataFrame or float64 ndarray of shape (n_samples, 123)
            The numeric attributes, under the names and with the values of the file, and after
            them "age" and "sex". In the DataFrame these two are of dtype category: age, at the
            member's first claim, with the ordered categories "0-9", "10-19" to "70-79" and "80+",
            and sex with the unordered ones "Female" and "Male". The array holds the positions of
            the categories, 0 to 8 and 0 to 1. The index of the DataFrame is the row's number in
            the file, from 0, so the rows of a subset keep their identity.
        target : Series or ndarray of shape (n_samples,), dtype int64
            1 where the Charlson index is above 0, else 0. The Series has the name "Charlson>0".
        sensitive_features : DataFrame or object ndarray of shape (n_samples, n_sensitive)
            A copy of the columns that `sensitive_features` chose; in the array, the names of
            their categories.
        split : Series or ndarray of str, of shape (n_samples,)
            "train" or "test": the part of the split that the row is in.
        feature_names : list of 123 str
            The names of the columns of ``data``.
        target_names : list of 2 str
            The meaning of the targets 0 and 1: "Charlson=0" and "Charlson>0".
        sensitive_feature_names : list of str
            The names of the columns of ``sensitive_features``.
        frame : DataFrame of shape (n_samples, 124), or None
            ``data`` with ``target`` as its last column; None if `as_frame` is False.
        DESCR : str
            A short description of the data set, with its terms.
        filename : str
            The path of the file.

    (data, target) : tuple, if `return_X_y` is True
        The two, as described above.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If `subset`, `sensitive_features` or `random_state` is none of the values allowed, or the
        file is no CSV file, lacks a column, holds other values than it should or has less than
        two rows to load.
    FileNotFoundError
        If `path` does not name a file.

    See Also
    --------
    load_adult : Load a data set that comes with the package.

    Notes
    -----
    **The file.** The released tables of claims, drugs and laboratory tests have to be summed up to
    one row a member and year. The form read here is the one that Song et al. [1]_ and the papers
    after them use. These columns must be there; others are not used:

    - ``YEAR_t``, of which only the rows with "Y3" are loaded;
    - ``age_05``, ``age_15`` to ``age_85`` and ``sexMALE``, ``sexFEMALE``: 1 in the one column that
      holds for the member, else 0. Rows with no 1 in either set of columns are left out, as their
      age or sex is unknown;
    - ``CharlsonIndexI_max``, the source of the target;
    - the 121 numeric attributes: ``ClaimsTruncated``, ``no_*`` (numbers of claims, providers,
      ...), ``PayDelay_*``, ``LOS_*`` (length of stay), ``dsfs_*`` (days since the first claim),
      ``pcg1`` to ``pcg46`` (primary condition groups), ``sp1`` to ``sp13`` (specialties), ``pg1``
      to ``pg18`` (procedure groups), ``ps1`` to ``ps9`` (places of service), ``drugCount_*``,
      ``drugcount_months``, ``labCount_*``, ``labcount_months``, ``labNull`` and ``drugNull``.

    Not among the features are the member's number, the other columns of the Charlson index, which
    give the target away, and ``DaysInHospital`` and ``trainset``, which belong to the task of the
    competition.

    **The split.** There is no official one. The loader draws one fifth of the rows, at random and
    with no regard to age or target, as the test rows. With the default `random_state`, and the
    rows in the order of the file that the code of Song et al. [1]_ comes with, it is the split of
    the code of FairBiNN [3]_, row for row. A file in another order has another split.

    **What to know of the data.** In 18839 rows (33.69%) the index is above 0. The share rises with
    age, from 7.97% of those from 20 to 29 to 67.55% of those of 80 and more, so to demand equal
    rates for all ages is to demand many wrong decisions: the data set serves to compare methods
    with published results, not to draw conclusions about people. It hardly differs by sex: 33.31%
    of 30953 women and 34.15% of 24971 men.

    Whether age and sex are among the features differs between papers: in the code of FairBiNN
    [3]_ both are, as the positions that the array holds, and in that of Song et al. [1]_ and
    Gupta et al. [4]_ neither is, and each numeric column is turned into one indicator, of being
    above its median. Compare figures of one kind only.

    References
    ----------
    .. [1] Song, J., Kalluri, P., Grover, A., Zhao, S., and Ermon, S. (2019). Learning Controllable
           Fair Representations. International Conference on Artificial Intelligence and
           Statistics. https://arxiv.org/abs/1812.04218.

    .. [2] Heritage Provider Network (2011). Heritage Health Prize.
           https://www.kaggle.com/c/hhp.

    .. [3] Yazdani-Jahromi, M., Khodabandeh Yalabadi, A., Rajabi, A., Tayebi, A., Garibay, I., and
           Ozmen Garibay, O. (2024). Fair Bilevel Neural Network (FairBiNN): On Balancing fairness
           and accuracy via Stackelberg Equilibrium. Advances in Neural Information Processing
           Systems 37. https://arxiv.org/abs/2410.16432.

    .. [4] Gupta, U., Ferber, A. M., Dilkina, B., and Ver Steeg, G. (2021). Controllable Guarantees
           for Fair Outcomes via Contrastive Information Estimation. AAAI Conference on Artificial
           Intelligence. https://arxiv.org/abs/2101.04108.

    Examples
    --------
    >>> from fairbinn_sklearn.datasets import load_health
    >>> health = load_health("health.csv", subset="train")  # doctest: +SKIP
    >>> health.data.shape  # doctest: +SKIP
    (44739, 123)
    """
    path = _check_path(path)
    _check_choice("subset", subset, _SUBSETS)
    sensitive_names = _check_sensitive(sensitive_features)
    _check_bool("as_frame", as_frame)
    _check_bool("return_X_y", return_X_y)
    _check_random_state(random_state)

    data, target = _read_year(path)
    split = _draw_split(len(data), random_state)
    rows = np.isin(split, SPLIT_NAMES if subset == "all" else subset)
    build = _as_frames if as_frame else _as_arrays
    contents = build(data[rows], target[rows], split[rows], sensitive_names)
    if return_X_y:
        return contents["data"], contents["target"]
    return Bunch(
        **contents,
        feature_names=list(FEATURES),
        target_names=list(TARGET_NAMES),
        sensitive_feature_names=sensitive_names,
        DESCR=DESCR,
        filename=str(path),
    )


def _check_path(path):
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"path must be a str or path-like, the name of a file, got {path!r} of type "
            f"{type(path).__name__}."
        )
    path = Path(path)
    if not path.is_file():
        problem = "which is no file" if path.exists() else "which does not exist"
        raise FileNotFoundError(
            f"path must name a file of the Heritage Health Prize data, got '{path}', {problem}. "
            "The data do not come with the package; see the documentation of load_health."
        )
    return path


def _check_sensitive(value):
    """Return `value`, a column's name or a list or tuple of them, as a list of str."""
    expected = (
        f"sensitive_features must be one, or a non-empty list or tuple, of {list(CATEGORICAL)}"
    )
    if not isinstance(value, str | list | tuple):
        raise TypeError(f"{expected}, got {value!r} of type {type(value).__name__}.")
    names = [value] if isinstance(value, str) else list(value)
    for item in names:
        if not isinstance(item, str):
            raise TypeError(f"{expected}, got {item!r} of type {type(item).__name__} in it.")
    if not names or not set(names) <= set(CATEGORICAL):
        raise ValueError(f"{expected}, got {value!r}.")
    if len(set(names)) < len(names):
        raise ValueError(f"sensitive_features must name each column once, got {value!r}.")
    return names


def _check_random_state(value):
    # None or a generator would draw another split in every call.
    expected = "random_state must be an int from 0 to 4294967295"
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{expected}, got {value!r} of type {type(value).__name__}.")
    if not 0 <= value < 2**32:
        raise ValueError(f"{expected}, got {value!r}.")


def _read_year(path):
    """Return features and target of the rows that the task is about."""
    table = _read_table(path)
    table = table[table[YEAR] == YEAR_USED]
    codes = {name: _codes(table, name, path) for name in CATEGORICAL}
    known = np.all([column >= 0 for column in codes.values()], axis=0)
    table = table[known]
    if len(table) < 2:
        raise _bad_file(
            path,
            f"at least two rows of {YEAR} {YEAR_USED!r} with age and sex known",
            f"with {len(table)}",
        )
    _check_numbers(table[[*NUMERIC, CHARLSON]], path)
    categories = {
        name: pd.Categorical.from_codes(
            codes[name][known], categories=list(labels.values()), ordered=name == "age"
        )
        for name, labels in CATEGORICAL.items()
    }
    data = pd.concat(
        [table[list(NUMERIC)], pd.DataFrame(categories, index=table.index)], axis="columns"
    )
    return data, (table[CHARLSON] > 0).astype(np.int64).rename(TARGET)


def _read_table(path):
    """Read the columns that the loader uses."""
    flags = [flag for labels in CATEGORICAL.values() for flag in labels]
    needed = [YEAR, *flags, CHARLSON, *NUMERIC]
    try:
        # All columns, as pandas lets rows that are too long pass if it reads a choice of them, and
        # in one piece, so that every column has one dtype.
        table = pd.read_csv(path, low_memory=False)
    except _UNREADABLE as error:
        raise _bad_file(
            path,
            "a table of values with commas, plain or compressed as its name says",
            f"which pandas cannot read: {error}",
        ) from error
    missing = [name for name in needed if name not in table]
    if missing:
        listed = ", ".join(map(repr, missing[:8])) + (" and others" if len(missing) > 8 else "")
        raise _bad_file(
            path,
            f"all {len(needed)} columns that are used",
            f"without {len(missing)} of them: {listed}",
        )
    return table[needed].reset_index(drop=True)


def _codes(table, name, path):
    """Return the position of the category in each row, -1 where there is none."""
    columns = list(CATEGORICAL[name])
    flags = table[columns].to_numpy()
    if not np.isin(flags, (0, 1)).all() or (flags.sum(axis=1) > 1).any():
        raise _bad_file(
            path, f"0 in {columns} but for 1 in one of them at most", "with other values"
        )
    return np.where(flags.any(axis=1), flags.argmax(axis=1), -1)


def _check_numbers(table, path):
    for name, column in table.items():
        if column.dtype.kind not in "iuf" or not np.isfinite(column).all():
            raise _bad_file(path, "finite numbers only", f"with other values in {name!r}")


def _bad_file(path, expected, got):
    return ValueError(
        f"path must name a file of the Heritage Health Prize data, with {expected}; got '{path}', "
        f"{got}."
    )


def _draw_split(n_rows, random_state):
    _, test = train_test_split(np.arange(n_rows), test_size=TEST_SIZE, random_state=random_state)
    return np.array(SPLIT_NAMES)[np.isin(np.arange(n_rows), test).astype(int)]


def _as_frames(data, target, split, sensitive_names):
    return {
        "data": data,
        "target": target,
        "sensitive_features": data[sensitive_names].copy(),
        "split": pd.Series(split, index=data.index, name=SPLIT),
        "frame": pd.concat([data, target], axis=1),
    }


def _as_arrays(data, target, split, sensitive_names):
    codes = {name: data[name].cat.codes for name in CATEGORICAL}
    return {
        "data": data.assign(**codes).to_numpy(np.float64, copy=True),
        "target": target.to_numpy(copy=True),
        "sensitive_features": data[sensitive_names].to_numpy(object, copy=True),
        "split": split,
        "frame": None,
    }
