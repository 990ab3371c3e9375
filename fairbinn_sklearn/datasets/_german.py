"""Loader of the German credit data set, which comes with the package."""

from importlib import resources

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from . import _codec
from ._adult import _check_bool, _check_columns

# The attributes in the order of the original file, which does not name them.
COLUMNS = (
    "checking_account",
    "duration",
    "credit_history",
    "purpose",
    "credit_amount",
    "savings",
    "employment",
    "installment_rate",
    "personal_status_sex",
    "other_debtors",
    "residence_since",
    "property",
    "age",
    "other_installment_plans",
    "housing",
    "existing_credits",
    "job",
    "dependents",
    "telephone",
    "foreign_worker",
)
ORDERED = ("employment", "job")
TARGET, TARGET_NAMES = "credit_risk", ("bad", "good")
STATUS, SEX, SEX_NAMES = "personal_status_sex", "sex", ("Female", "Male")

DATA_FILE = resources.files(__package__) / "data" / "german.xz"
DESCR_FILE = resources.files(__package__) / "descr" / "german.rst"
PAYLOAD_SHA256 = "b7fde2b78c616dc9c9797dfe8c3f53fc4df4d480a875caa4f27ba19bec7ae6b9"


def load_german(
    *,
    sensitive_features=("sex", "age"),
    as_frame=True,
    return_X_y=False,  # noqa: N803
):
    """Load the German credit data set (binary classification).

    The task is to tell from 20 attributes of a person who took a credit from a bank whether
    that was a good or a bad credit. The data [1]_, also known as Statlog German credit, come with
    the package: nothing is downloaded, and nothing is cached between calls. **The published
    meaning of many codes, that of sex among them, is known to be wrong** [2]_; see the Notes.

    =================   ===========================
    Classes                                       2
    Samples total         1000 (700 good, 300 bad)
    Dimensionality                               20
    Features             7 integer, 13 categorical
    =================   ===========================

    Parameters
    ----------
    sensitive_features : str, or list or tuple of str, default=("sex", "age")
        What to return as ``sensitive_features``, in the order given: columns of the data, and
        "sex", which is no column but derived from ``personal_status_sex``. The columns **stay
        in** ``data``, and so does ``personal_status_sex``; drop them from it if the model must
        not see them.

    as_frame : bool, default=True
        If True, ``data`` and ``sensitive_features`` are pandas DataFrames, and ``target`` is a
        pandas Series. If False, all three are NumPy arrays.

    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch, as the loaders of scikit-learn do.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes. The rows are in the order of the
        original file.

        data : DataFrame or object ndarray of shape (1000, 20)
            The attributes. In the DataFrame the numbers are of dtype int64 and the others of
            dtype category, with the categories in the order of the original documentation;
            those of ``employment`` and ``job`` are ordered. The array holds ints and strings.
            No value is missing.
        target : Series or ndarray of shape (1000,), dtype int64
            1 where the credit is good, the favourable outcome, else 0. The original file has 1
            for good and 2 for bad. The Series has the name "credit_risk".
        sensitive_features : DataFrame or object ndarray of shape (1000, n_sensitive)
            What `sensitive_features` chose. Sex is of dtype category, "Female" or "Male"; age is
            a number of years.
        feature_names : list of 20 str
            The names of the columns of ``data``.
        target_names : list of 2 str
            The meaning of the targets 0 and 1: "bad" and "good".
        sensitive_feature_names : list of str
            The names of the columns of ``sensitive_features``.
        frame : DataFrame of shape (1000, 21), or None
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
        If `sensitive_features` is empty, has a name twice or one that is neither "sex" nor a
        column of the data.
    OSError
        If the data file is missing or damaged.

    See Also
    --------
    load_adult : Load a larger data set that comes with the package.

    Notes
    -----
    There is no official split into train and test, so there is no `subset`; draw one, or
    cross-validate. With 1000 rows a difference between groups has much noise of sampling on it.

    **The codes are doubtful.** The original file holds codes such as "A11"; the names of the
    categories are those of the documentation that came with it. Groemping [2]_ compared it with
    the German sources of the same rows and found severe errors: by her corrected table [3]_ the
    names of ``checking_account``, ``credit_history``, ``purpose``, ``savings``,
    ``personal_status_sex``, ``property`` and ``housing`` belong to other codes, ``foreign_worker``
    has yes and no the wrong way round, and ``installment_rate``, ``residence_since``,
    ``existing_credits`` and ``dependents`` are no numbers but numbers of classes. The loader
    keeps to the original documentation, as the literature does. A model is not harmed, as it only
    needs the categories apart, but their names explain nothing.

    **Sex** is derived as the literature does: "Female" for "female: divorced/separated/married",
    else "Male". By the original documentation no woman of the 310 is single, and whether she is
    married or not is not told. By the corrected table [3]_ those 310 are women who are not single
    *and* men who are, the 92 "male: married/widowed" are single women, and sex cannot be
    recovered from the data. Take it to compare methods with published results, for nothing else.

    **Age** is the sensitive attribute of these data that stands on firm ground. It has 53 values,
    so `n_bins` of the estimators has to cut it into bins, or you do: it is usual to compare people
    of 25 years at most with those above, after Kamiran and Calders [4]_.

    Good are 201 of the 310 "Female" (64.84%) and 499 of the 690 "Male" (72.32%), and 110 of the
    190 people of 25 years at most (57.89%) and 590 of the 810 above (72.84%). Bad credits are
    oversampled, so no rate here is that of a bank.

    **Costs.** The original documentation demands a cost matrix: it is 5 times as bad to take a bad
    credit for good as a good one for bad. ``class_weight={0: 5, 1: 1}`` says so to the estimators.

    References
    ----------
    .. [1] Hofmann, H. (1994). Statlog (German Credit Data) [Dataset]. UCI Machine Learning
           Repository. https://doi.org/10.24432/C5NC77. Licensed under CC BY 4.0,
           https://creativecommons.org/licenses/by/4.0/.

    .. [2] Groemping, U. (2019). South German Credit Data: Correcting a Widely Used Data Set.
           Report 4/2019, Reports in Mathematics, Physics and Chemistry, Department II, Beuth
           University of Applied Sciences Berlin.

    .. [3] Groemping, U. (2019). South German Credit [Dataset]. UCI Machine Learning Repository.
           https://doi.org/10.24432/C5X89F.

    .. [4] Kamiran, F., and Calders, T. (2009). Classifying without discriminating. International
           Conference on Computer, Control and Communication.
           https://doi.org/10.1109/IC4.2009.4909197.

    Examples
    --------
    >>> from fairbinn_sklearn.datasets import load_german
    >>> german = load_german(sensitive_features="age")
    >>> german.data.shape
    (1000, 20)
    >>> young = german.sensitive_features["age"] <= 25
    >>> german.target.groupby(young).mean().round(3).to_dict()
    {False: 0.728, True: 0.579}
    """
    sensitive_names = _check_columns(
        "sensitive_features", sensitive_features, allowed=(SEX, *COLUMNS)
    )
    _check_bool("as_frame", as_frame)
    _check_bool("return_X_y", return_X_y)

    table = _codec.load_table(DATA_FILE, sha256=PAYLOAD_SHA256)
    table[SEX] = _derive_sex(table[STATUS])
    build = _as_frames if as_frame else _as_arrays
    contents = build(table, sensitive_names)
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


def _derive_sex(status):
    """Return the column of the word before the colon in each category of `status`."""
    words = [category.partition(":")[0].capitalize() for category in status.categories]
    return _codec.encode_categories([words[code] for code in status.values], SEX_NAMES)


def _as_frames(table, sensitive_names):
    data = _codec.to_frame(table, COLUMNS, ordered=ORDERED)
    target = pd.Series(table[TARGET].values.astype(np.int64), name=TARGET)
    return {
        "data": data,
        "target": target,
        "sensitive_features": _codec.to_frame(table, sensitive_names, ordered=ORDERED),
        "frame": pd.concat([data, target], axis=1),
    }


def _as_arrays(table, sensitive_names):
    return {
        "data": _codec.to_array(table, COLUMNS),
        "target": table[TARGET].values.astype(np.int64),
        "sensitive_features": _codec.to_array(table, sensitive_names),
        "frame": None,
    }
