"""Loader of the Heritage Health Prize data, from a file of the user."""

from numbers import Integral
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from .._utils.upstream import Interval, validate_params
from ._base import CONSTRAINTS, SUBSET_CONSTRAINTS, check_sensitive_features, make_dataset

# The numeric features in the order of the file.
NUMERIC = [
    *"""ClaimsTruncated no_Claims no_Providers no_Vendors no_PCPs no_PlaceSvcs no_Specialities
    no_PrimaryConditionGroups no_ProcedureGroups PayDelay_max PayDelay_min PayDelay_ave
    PayDelay_stdev LOS_max LOS_min LOS_ave LOS_stdev LOS_TOT_UNKNOWN LOS_TOT_SUPRESSED
    LOS_TOT_KNOWN dsfs_max dsfs_min dsfs_range dsfs_ave dsfs_stdev""".split(),
    *(f"pcg{number}" for number in range(1, 47)),
    *(f"sp{number}" for number in range(1, 14)),
    *(f"pg{number}" for number in range(1, 19)),
    *(f"ps{number}" for number in range(1, 10)),
    *"""drugCount_max drugCount_min drugCount_ave drugcount_months labCount_max labCount_min
    labCount_ave labcount_months labNull drugNull""".split(),
]
# For each categorical feature: the 0/1 columns of the file and the categories they encode.
AGES = ["0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80+"]
CATEGORICAL = {
    "age": {f"age_{decade}5": age for decade, age in enumerate(AGES)},
    "sex": {"sexFEMALE": "Female", "sexMALE": "Male"},
}
CHARLSON, YEAR = "CharlsonIndexI_max", "YEAR_t"


@validate_params(
    {
        "path": [str, PathLike],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both")],
        **SUBSET_CONSTRAINTS,
        **CONSTRAINTS,
    },
    prefer_skip_nested_validation=True,
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
    """Load the Heritage Health Prize data from a file (binary classification).

    The task is to predict whether the Charlson comorbidity index of a patient is above 0 in a
    year, from 123 features, mostly counts of the claims of that year [1]_. The data **do not come
    with the package**: the rules of the competition [2]_ restrict their use and forbid sharing.

    =================   ================================
    Classes                                            2
    Samples total        55924 (44739 train, 11185 test)
    Dimensionality                                   123
    Features             121 numeric, 2 categorical
    =================   ================================

    Parameters
    ----------
    path : str or path-like
        Your copy: a CSV file as described in the Notes, plain or compressed (".gz", ".zip", ...).
    subset : {"train", "test", "all"}, default="all"
        Which part of the split to load.
    sensitive_features : {"age", "sex"}, or list or tuple of them, default=("age",)
        The features to return as ``sensitive_features`` as well. They **stay in** ``data``.
    as_frame : bool, default=True
        Whether to return pandas objects instead of NumPy arrays.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    random_state : int, default=42
        Seed of the split, from 0 to 4294967295. The split only depends on the seed and on the
        order of the rows in the file.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes described in :func:`load_adult`, except:

        data : DataFrame or float64 ndarray of shape (n_samples, 123)
            The numeric features, with the names and values of the file, then age at the first
            claim (ordered categories "0-9", "10-19" to "80+") and sex ("Female" and "Male"). The
            array has the positions of these categories, 0 to 8 and 0 to 1. The index of the
            DataFrame is the position of the row in the file.
        target : Series or ndarray of shape (n_samples,), dtype int64
            1 if the Charlson index is above 0, else 0. The name of the Series is "Charlson>0".

    (data, target) : tuple, if `return_X_y` is True
        ``data`` and ``target`` as described above.

    Raises
    ------
    ValueError
        If a parameter is invalid, or the file is unreadable or lacks columns, samples or values.
    FileNotFoundError
        If `path` is not the path of a file.

    Notes
    -----
    **File.** One row for each member and year, summed up from the released tables of claims, drugs
    and laboratory tests as by Song et al. [1]_ and later papers. The loader uses the columns:

    - ``YEAR_t``: only rows with "Y3" are loaded;
    - ``age_05``, ``age_15`` to ``age_85``, ``sexMALE`` and ``sexFEMALE``: 0 or 1. Samples with
      unknown age or sex (0 everywhere) are dropped;
    - ``CharlsonIndexI_max``: the source of the target;
    - the 121 numeric features: ``ClaimsTruncated``, ``no_*`` (numbers of claims, providers, ...),
      ``PayDelay_*``, ``LOS_*`` (length of stay), ``dsfs_*`` (days since the first claim), ``pcg1``
      to ``pcg46`` (primary condition groups), ``sp1`` to ``sp13`` (specialties), ``pg1`` to
      ``pg18`` (procedure groups), ``ps1`` to ``ps9`` (places of service), ``drugCount_*``,
      ``drugcount_months``, ``labCount_*``, ``labcount_months``, ``labNull`` and ``drugNull``.

    Other columns are not used: the member number, other columns of the Charlson index, which
    reveal the target, and ``DaysInHospital`` and ``trainset``, which belong to the competition.

    **Split.** No official split exists. The loader draws one fifth of the samples as test samples,
    without stratification. With the default `random_state` and the file that comes with the code
    of Song et al. [1]_, the split is identical to the split of the FairBiNN code [3]_.

    **Limits.** ``DESCR`` lists the rates by group and the differences between published results.
    Use the data set to compare methods, not to draw conclusions about people.

    References
    ----------
    .. [1] Song, J., Kalluri, P., Grover, A., Zhao, S., and Ermon, S. (2019). Learning Controllable
           Fair Representations. AISTATS. https://arxiv.org/abs/1812.04218.
    .. [2] Heritage Provider Network (2011). Heritage Health Prize. https://www.kaggle.com/c/hhp.
    .. [3] Yazdani-Jahromi, M., et al. (2024). Fair Bilevel Neural Network (FairBiNN). NeurIPS.
           https://arxiv.org/abs/2410.16432.
    """
    names = check_sensitive_features(sensitive_features, CATEGORICAL)
    table = _read_samples(path)
    data = table[[*NUMERIC, *CATEGORICAL]]
    _, test = train_test_split(np.arange(len(table)), test_size=0.2, random_state=random_state)
    split = pd.Series("train", index=table.index, name="split")
    split.iloc[test] = "test"
    codes = {} if as_frame else {name: data[name].cat.codes for name in CATEGORICAL}
    return make_dataset(
        data if as_frame else data.assign(**codes).astype(np.float64),
        (table[CHARLSON] > 0).astype(np.int64).rename("Charlson>0"),
        data[names],
        split=split,
        subset=subset,
        name="health",
        target_names=("Charlson=0", "Charlson>0"),
        filename=str(path),
        as_frame=as_frame,
        return_X_y=return_X_y,
    )


def _read_samples(path):
    """Return the samples of year Y3 with known age and sex."""
    if not Path(path).is_file():
        raise FileNotFoundError(_message(path, "no such file"))
    try:
        # Read all columns: with `usecols`, pandas accepts rows with too many values.
        table = pd.read_csv(path, low_memory=False).reset_index(drop=True)
    except Exception as error:  # each compression raises its own exceptions
        raise ValueError(_message(path, f"pandas cannot read it ({error})")) from error
    columns = [YEAR, *CATEGORICAL["age"], *CATEGORICAL["sex"], CHARLSON, *NUMERIC]
    missing = [name for name in columns if name not in table]
    if missing:
        listed = f"{', '.join(missing[:9])}{', ...' if len(missing) > 9 else ''}"
        raise ValueError(_message(path, f"{len(missing)} columns are missing: {listed}"))
    table = table.loc[table[YEAR] == "Y3", columns]
    categories = {}
    for name, labels in CATEGORICAL.items():
        values = table[list(labels)].to_numpy()
        if not np.isin(values, (0, 1)).all() or (values.sum(axis=1) > 1).any():
            problem = f"the columns {list(labels)} must contain 0 and, at most once per row, 1"
            raise ValueError(_message(path, problem))
        codes = np.where(values.any(axis=1), values.argmax(axis=1), -1)
        categories[name] = pd.Categorical.from_codes(
            codes, list(labels.values()), ordered=name == "age"
        )
    table = pd.concat([table, pd.DataFrame(categories, index=table.index)], axis="columns")
    table = table.dropna(subset=list(CATEGORICAL))
    if len(table) < 2:
        problem = "it has fewer than 2 samples of year Y3 with known age and sex"
        raise ValueError(_message(path, problem))
    for name in [CHARLSON, *NUMERIC]:
        if table[name].dtype.kind not in "iuf" or not np.isfinite(table[name]).all():
            raise ValueError(_message(path, f"the column {name!r} must contain finite numbers"))
    return table


def _message(path, problem):
    return (
        f"`path` must be a file of the Heritage Health Prize data, got '{path}': {problem}. "
        "See the documentation of `load_health` for the format; the package has no copy."
    )
