"""Loader of the UCI Adult data set, which comes with the package."""

from importlib import resources

import numpy as np
from sklearn.utils import Bunch

from . import _codec

# The columns in the order of the original files; True marks a categorical one.
COLUMNS = {
    "age": False,
    "workclass": True,
    "fnlwgt": False,
    "education": True,
    "education-num": False,
    "marital-status": True,
    "occupation": True,
    "relationship": True,
    "race": True,
    "sex": True,
    "capital-gain": False,
    "capital-loss": False,
    "hours-per-week": False,
    "native-country": True,
}
TARGET, TARGET_NAMES = "income", ("<=50K", ">50K")
SPLIT, SPLIT_NAMES = "split", ("train", "test")

DATA_FILE = resources.files(__package__) / "data" / "adult.xz"
DESCR_FILE = resources.files(__package__) / "descr" / "adult.rst"
PAYLOAD_SHA256 = "90bc1b98c2f602e3c973f75139a66234fc90d746f454e26440b9e5bf48c29d54"

_SUBSETS = (*SPLIT_NAMES, "all")


def load_adult(
    *,
    subset="all",
    dropna=False,
    sensitive_features=("sex", "race"),
    as_frame=True,
    return_X_y=False,  # noqa: N803
):
    """Load the UCI Adult data set (binary classification).

    The task is to tell from 14 attributes of a person in the US census survey of 1994
    whether that person's yearly income is above 50,000 dollars. The data [1]_ come with
    the package: nothing is downloaded, and nothing is cached between calls.

    =================   ===============================
    Classes                                           2
    Samples total       48842 (32561 train, 16281 test)
    Samples complete    45222 (30162 train, 15060 test)
    Dimensionality                                   14
    Features             6 integer, 8 categorical
    =================   ===============================

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="all"
        Which part of the original split to load. With "all", the training rows come
        first and the test rows after them.

    dropna : bool, default=False
        Whether to leave out the rows that miss the value of any attribute.

    sensitive_features : str, or list or tuple of str, default=("sex", "race")
        The column, or columns, of the data to return as ``sensitive_features`` too, in
        the order given. They **stay in** ``data``; drop them from it if the model must
        not see them.

    as_frame : bool, default=True
        If True, ``data`` and ``sensitive_features`` are pandas DataFrames, and
        ``target`` and ``split`` are pandas Series. If False, all four are NumPy arrays,
        and pandas is not needed.

    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch, as the loaders of
        scikit-learn do. The sensitive features are then only to be had as columns of
        ``data``; take the Bunch if you need them apart.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes, where ``n_samples`` is the
        number of rows that `subset` and `dropna` leave.

        data : DataFrame or object ndarray of shape (n_samples, 14)
            The attributes, under the names that the original documentation gives them.
            In the DataFrame the numbers are of dtype int64 and the others of dtype
            category, with the same sorted and unordered categories whatever `subset`
            and `dropna` are (so a category may have no row). The array holds ints and
            strings. A missing value is NaN in either. The index of the DataFrame is the
            row's number, 0 to 48841, in the whole data set, so the rows of a subset
            keep their identity.
        target : Series or ndarray of shape (n_samples,), dtype int64
            1 where the income is above 50,000 dollars, else 0. The Series has the name
            "income".
        sensitive_features : DataFrame or object ndarray of shape (n_samples, n_sensitive)
            A copy of the columns that `sensitive_features` chose.
        split : Series or ndarray of str, of shape (n_samples,)
            "train" or "test": the part of the original split that the row is from.
        feature_names : list of 14 str
            The names of the columns of ``data``.
        target_names : list of 2 str
            The meaning of the targets 0 and 1: "<=50K" and ">50K".
        sensitive_feature_names : list of str
            The names of the columns of ``sensitive_features``.
        frame : DataFrame of shape (n_samples, 15), or None
            ``data`` with ``target`` as its last column; None if `as_frame` is False.
        DESCR : str
            A full description of the data set, with its source and licence.
        filename : str
            The path of the file that the data are stored in.

    (data, target) : tuple, if `return_X_y` is True
        The two, as described above.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If `subset` is none of the values allowed, or `sensitive_features` is empty,
        names a column twice or names one that the data do not have.
    ImportError
        If `as_frame` is True and pandas is not installed.
    OSError
        If the data file is missing or damaged.

    See Also
    --------
    sklearn.datasets.fetch_openml : Fetch other data sets, in the same form.

    Notes
    -----
    Of the 48842 people 11687 (23.93%) have an income above 50,000 dollars: 9918 of the
    32650 men (30.38%) and 1769 of the 16192 women (10.93%).

    In 3620 rows one or more of ``workclass`` (2799 missing), ``occupation`` (2809) and
    ``native-country`` (857) are missing; the other columns are complete. Ten people have
    no occupation because ``workclass`` is "Never-worked", so `dropna` takes out every
    row of that class.

    ``fnlwgt`` is the survey's weight of the row, about how many people of the
    population it stands for. It comes from how the survey was drawn and is no trait of
    the person, so it is mostly left out of the model. ``education-num`` is a
    re-coding of ``education``, one number for each category. In 244 rows ``capital-gain``
    has its largest value, 99999.

    Neither the original documentation nor this loader claims anything about how many of
    the labels are wrong. There are 52 rows that repeat an earlier row in all 14
    attributes and the target; they are kept.

    **What this data set is not good for.** It serves to compare methods with published
    results, not to draw conclusions about people. The survey is from 1994, from one
    country, and filtered to people older than 16 who had some income and worked.
    The threshold of 50,000 dollars is one arbitrary choice among many: Ding et al. [2]_
    show that the unfairness measured in a model depends strongly on it, and that findings
    on this sample need not carry over to other years or states. They offer larger and
    more recent data sets.

    References
    ----------
    .. [1] Becker, B., and Kohavi, R. (1996). Adult [Dataset]. UCI Machine Learning
           Repository. https://doi.org/10.24432/C5XW20. Licensed under CC BY 4.0,
           https://creativecommons.org/licenses/by/4.0/.

    .. [2] Ding, F., Hardt, M., Miller, J., and Schmidt, L. (2021). Retiring Adult: New
           Datasets for Fair Machine Learning. Advances in Neural Information Processing
           Systems 34. https://arxiv.org/abs/2108.04884.

    Examples
    --------
    >>> from fairbinn_sklearn.datasets import load_adult
    >>> adult = load_adult(subset="train", sensitive_features="sex")
    >>> adult.data.shape
    (32561, 14)
    >>> adult.sensitive_features["sex"].value_counts().to_dict()
    {'Male': 21790, 'Female': 10771}
    >>> by_sex = adult.target.groupby(adult.sensitive_features["sex"], observed=True)
    >>> by_sex.mean().round(3).to_dict()
    {'Female': 0.109, 'Male': 0.306}
    """
    _check_choice("subset", subset, _SUBSETS)
    _check_bool("dropna", dropna)
    sensitive_names = _check_columns("sensitive_features", sensitive_features)
    _check_bool("as_frame", as_frame)
    _check_bool("return_X_y", return_X_y)

    table = _codec.load_table(DATA_FILE, sha256=PAYLOAD_SHA256)
    rows = _select_rows(table, subset, dropna)
    # Indexing with `rows` copies, so the arrays are the caller's own.
    table = {name: column._replace(values=column.values[rows]) for name, column in table.items()}
    if as_frame:
        contents = _as_frames(table, rows, sensitive_names)
    else:
        contents = _as_arrays(table, sensitive_names)
    if return_X_y:
        return contents["data"], contents["target"]
    return Bunch(
        **contents,
        feature_names=list(COLUMNS),
        target_names=list(TARGET_NAMES),
        sensitive_feature_names=sensitive_names,
        DESCR=DESCR_FILE.read_text(encoding="utf-8"),
        filename=str(DATA_FILE),
    )


def _check_choice(name, value, allowed):
    if not isinstance(value, str):
        raise TypeError(
            f"{name} must be a str, one of {list(allowed)}, got {value!r} of type "
            f"{type(value).__name__}."
        )
    if value not in allowed:
        raise ValueError(f"{name} must be one of {list(allowed)}, got {value!r}.")


def _check_bool(name, value):
    if not isinstance(value, bool | np.bool_):
        raise TypeError(
            f"{name} must be True or False, got {value!r} of type {type(value).__name__}."
        )


def _check_columns(name, value, allowed=tuple(COLUMNS)):
    """Return `value`, a column's name or a list or tuple of them, as a list of str."""
    expected = f"{name} must be one, or a non-empty list or tuple, of {list(allowed)}"
    if not isinstance(value, str | list | tuple):
        raise TypeError(f"{expected}, got {value!r} of type {type(value).__name__}.")
    names = [value] if isinstance(value, str) else list(value)
    for item in names:
        if not isinstance(item, str):
            raise TypeError(f"{expected}, got {item!r} of type {type(item).__name__} in it.")
    unknown = [item for item in names if item not in allowed]
    if unknown or not names:
        raise ValueError(f"{expected}, got {value!r}.")
    if len(set(names)) < len(names):
        raise ValueError(f"{name} must name each column once, got {value!r}.")
    return names


def _select_rows(table, subset, dropna):
    """Return the numbers of the rows that `subset` and `dropna` leave."""
    keep = np.ones(len(table[SPLIT].values), dtype=bool)
    if subset != "all":
        keep &= table[SPLIT].values == SPLIT_NAMES.index(subset)
    if dropna:
        for column in table.values():
            keep &= ~column.missing
    return np.flatnonzero(keep)


def _split_labels(table):
    return np.array(SPLIT_NAMES)[table[SPLIT].values]


def _as_frames(table, rows, sensitive_names):
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "load_adult with as_frame=True needs pandas; install it or pass as_frame=False."
        ) from error

    data = _codec.to_frame(table, COLUMNS, index=rows)
    target = pd.Series(table[TARGET].values.astype(np.int64), index=rows, name=TARGET)
    return {
        "data": data,
        "target": target,
        "sensitive_features": data[sensitive_names].copy(),
        "split": pd.Series(_split_labels(table), index=rows, name=SPLIT),
        "frame": pd.concat([data, target], axis=1),
    }


def _as_arrays(table, sensitive_names):
    return {
        "data": _codec.to_array(table, COLUMNS),
        "target": table[TARGET].values.astype(np.int64),
        "sensitive_features": _codec.to_array(table, sensitive_names),
        "split": _split_labels(table),
        "frame": None,
    }
