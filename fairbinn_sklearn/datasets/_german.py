"""Loader of the German credit data set, which comes with the package."""

from importlib import resources

import numpy as np
import pandas as pd

from .._utils.upstream import validate_params
from ._base import CONSTRAINTS, check_sensitive_features, make_dataset, read_data_file

# Names of the columns, in the order of the original file, which does not name them.
FEATURES = (
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
# Meaning of the codes in the original documentation, ``german.doc``. Two of its codes occur in no
# sample and are left out: A47, "(vacation - does not exist?)", and A95, "female : single".
CODES = {
    "checking_account": {
        "A11": "< 0 DM",
        "A12": "0 to < 200 DM",
        "A13": ">= 200 DM / salary for at least 1 year",
        "A14": "no checking account",
    },
    "credit_history": {
        "A30": "no credits / all paid back duly",
        "A31": "all credits at this bank paid back duly",
        "A32": "existing credits paid back duly till now",
        "A33": "delay in paying off in the past",
        "A34": "critical account / other credits existing",
    },
    "purpose": {
        "A40": "car (new)",
        "A41": "car (used)",
        "A42": "furniture/equipment",
        "A43": "radio/television",
        "A44": "domestic appliances",
        "A45": "repairs",
        "A46": "education",
        "A48": "retraining",
        "A49": "business",
        "A410": "others",
    },
    "savings": {
        "A61": "< 100 DM",
        "A62": "100 to < 500 DM",
        "A63": "500 to < 1000 DM",
        "A64": ">= 1000 DM",
        "A65": "unknown / no savings account",
    },
    "employment": {
        "A71": "unemployed",
        "A72": "< 1 year",
        "A73": "1 to < 4 years",
        "A74": "4 to < 7 years",
        "A75": ">= 7 years",
    },
    "personal_status_sex": {
        "A91": "male: divorced/separated",
        "A92": "female: divorced/separated/married",
        "A93": "male: single",
        "A94": "male: married/widowed",
    },
    "other_debtors": {"A101": "none", "A102": "co-applicant", "A103": "guarantor"},
    "property": {
        "A121": "real estate",
        "A122": "building society savings agreement / life insurance",
        "A123": "car or other",
        "A124": "unknown / no property",
    },
    "other_installment_plans": {"A141": "bank", "A142": "stores", "A143": "none"},
    "housing": {"A151": "rent", "A152": "own", "A153": "for free"},
    "job": {
        "A171": "unemployed / unskilled, non-resident",
        "A172": "unskilled, resident",
        "A173": "skilled employee / official",
        "A174": "management / self-employed / highly qualified employee / officer",
    },
    "telephone": {"A191": "none", "A192": "yes"},
    "foreign_worker": {"A201": "yes", "A202": "no"},
}
ORDERED = ("employment", "job")
TARGET, TARGET_NAMES = "credit_risk", ("bad", "good")
GOOD = 1  # the code of a good credit; 2 is a bad one

DATA_FILE = resources.files(__package__) / "data" / "german.csv.xz"
DATA_SHA256 = "7c7a7f5ca745be4cbd97a008456ab71b208a8c4abd7ff3fc3e56a1c68bd2cc4b"


@validate_params(CONSTRAINTS, prefer_skip_nested_validation=True)
def load_german(
    *,
    sensitive_features=("sex", "age"),
    as_frame=True,
    return_X_y=False,  # noqa: N803
):
    """Load the German credit data set (binary classification).

    The task is to predict whether a credit is good or bad, from 20 features of the person who took
    it. The data [1]_, also known as Statlog German credit, come with the package: the loader
    downloads nothing and caches nothing between calls. **The published meaning of many codes,
    including the code of sex, is known to be wrong** [2]_; see the Notes.

    =================   ===========================
    Classes                                       2
    Samples total         1000 (700 good, 300 bad)
    Dimensionality                               20
    Features             7 integer, 13 categorical
    =================   ===========================

    Parameters
    ----------
    sensitive_features : str, or list or tuple of str, default=("sex", "age")
        The names to return as ``sensitive_features``, in this order: features in ``data``, or
        "sex", which is derived from ``personal_status_sex``. The features **stay in** ``data``,
        and so does ``personal_status_sex``; drop them from ``data`` if the model must not see
        them.

    as_frame : bool, default=True
        If True, ``data`` and ``sensitive_features`` are pandas DataFrames, and ``target`` is a
        pandas Series. If False, all three are NumPy arrays.

    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch, as the loaders of scikit-learn do.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes. The samples are in the order of the
        original file.

        data : DataFrame or object ndarray of shape (1000, 20)
            The features. In the DataFrame, numbers have dtype int64 and all other features dtype
            category, with the categories in the order of the original documentation. The
            categories of ``employment`` and ``job`` are ordered. The array holds ints and
            strings. No value is missing.
        target : Series or ndarray of shape (1000,), dtype int64
            1 if the credit is good, the favourable outcome, else 0. The original file has 1 for
            good and 2 for bad. The name of the Series is "credit_risk".
        sensitive_features : DataFrame or object ndarray of shape (1000, n_sensitive)
            The features chosen by `sensitive_features`. Sex has dtype category, "Female" or
            "Male"; age is in years.
        feature_names : list of 20 str
            The names of the columns of ``data``.
        target_names : list of 2 str
            The meaning of the targets 0 and 1: "bad" and "good".
        sensitive_feature_names : list of str
            The names of the columns of ``sensitive_features``.
        frame : DataFrame of shape (1000, 21), or None
            ``data`` with ``target`` as the last column; None if `as_frame` is False.
        DESCR : str
            A full description of the data set, with its source and licence.
        filename : str
            The path of the data file.

    (data, target) : tuple, if `return_X_y` is True
        ``data`` and ``target`` as described above.

    Raises
    ------
    ValueError
        If a parameter has an invalid type or value. The error is also a TypeError if the type is
        invalid.
    OSError
        If the data file is missing or damaged.

    See Also
    --------
    load_adult : Load a larger data set that comes with the package.

    Notes
    -----
    There is no official split into training and test samples, and thus no parameter `subset`.
    Draw a split or cross-validate. With 1000 samples, differences between groups are noisy.

    **The codes are doubtful.** The original file contains codes such as "A11". The names of the
    categories are those of the documentation that came with it. Groemping [2]_ compared the data
    with German sources of the same samples and found severe errors. According to her corrected
    table [3]_, the category names of ``checking_account``, ``credit_history``, ``purpose``,
    ``savings``, ``personal_status_sex``, ``property`` and ``housing`` belong to other codes, yes
    and no are exchanged in ``foreign_worker``, and ``installment_rate``, ``residence_since``,
    ``existing_credits`` and ``dependents`` are class numbers, not quantities. The loader follows
    the original documentation, as the literature does. The errors do not affect a model, which
    only needs to distinguish the categories, but the names explain nothing.

    **Sex** is derived as in the literature: "Female" for "female: divorced/separated/married",
    else "Male". According to the original documentation, none of the 310 women is single, and the
    data do not show which of them are married. According to the corrected table [3]_, those 310
    samples are women who are not single *and* men who are single, the 92 samples "male:
    married/widowed" are single women, and sex cannot be recovered from the data. Use it only to
    compare methods with published results.

    **Age** is the sensitive feature whose values are reliable. It has 53 different values, so
    compare age groups: the usual ones are people of at most 25 years and older people, after
    Kamiran and Calders [4]_.

    Good credits are 201 of the 310 "Female" (64.84%) and 499 of the 690 "Male" (72.32%), and 110
    of the 190 people of at most 25 years (57.89%) and 590 of the 810 older people (72.84%). Bad
    credits are oversampled, so no rate here is the rate of a bank.

    **Costs.** The original documentation requires a cost matrix: predicting a bad credit as good
    costs 5 times as much as predicting a good credit as bad. Pass
    ``class_weight={0: 5, 1: 1}`` to the estimators to use these costs.

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
    >>> at_most_25 = german.sensitive_features["age"] <= 25
    >>> german.target.groupby(at_most_25).mean().round(3).to_dict()
    {False: 0.728, True: 0.579}
    """
    names = check_sensitive_features(sensitive_features, ("sex", *FEATURES))
    table = read_data_file(DATA_FILE, DATA_SHA256)
    for name, meanings in CODES.items():
        table[name] = pd.Categorical(
            table[name].map(meanings),
            categories=list(meanings.values()),
            ordered=name in ORDERED,
        )
    female = table["personal_status_sex"].str.startswith("female")
    sex = pd.Categorical(np.where(female, "Female", "Male"), categories=["Female", "Male"])
    return make_dataset(
        table[list(FEATURES)],
        (table[TARGET] == GOOD).astype(np.int64),
        table.assign(sex=sex)[names],
        name="german",
        target_names=TARGET_NAMES,
        filename=str(DATA_FILE),
        as_frame=as_frame,
        return_X_y=return_X_y,
    )
