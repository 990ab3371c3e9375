"""Loader of the UCI Adult data set, which comes with the package."""

from importlib import resources

import numpy as np

from .._utils.upstream import validate_params
from ._base import (
    CONSTRAINTS,
    SUBSET_CONSTRAINTS,
    check_sensitive_features,
    make_dataset,
    read_data_file,
)

# The columns in the order of the original files.
FEATURES = (
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
)
CATEGORICAL = (
    "workclass",
    "education",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "native-country",
)
TARGET, TARGET_NAMES = "income", ("<=50K", ">50K")
SPLIT = "split"
MISSING = "?"

DATA_FILE = resources.files(__package__) / "data" / "adult.csv.xz"
DATA_SHA256 = "458ac9105961b2f3b5f53511e613035605bfa24a41e3089152798ebecb3e8cab"


@validate_params(
    {"dropna": ["boolean"], **SUBSET_CONSTRAINTS, **CONSTRAINTS},
    prefer_skip_nested_validation=True,
)
def load_adult(
    *,
    subset="all",
    dropna=False,
    sensitive_features=("sex", "race"),
    as_frame=True,
    return_X_y=False,  # noqa: N803
):
    """Load the UCI Adult data set (binary classification).

    The task is to predict whether the yearly income of a person is above 50,000 dollars, from
    14 features of the US census survey of 1994. The data [1]_ come with the package: the loader
    downloads nothing and caches nothing between calls.

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
        Which part of the original split to load. With "all", the training samples come first and
        the test samples after them.

    dropna : bool, default=False
        Whether to drop the samples with a missing value in any feature.

    sensitive_features : str, or list or tuple of str, default=("sex", "race")
        The features to return as ``sensitive_features`` as well, in this order. They **stay in**
        ``data``; drop them from ``data`` if the model must not see them.

    as_frame : bool, default=True
        If True, ``data`` and ``sensitive_features`` are pandas DataFrames, and ``target`` and
        ``split`` are pandas Series. If False, all four are NumPy arrays.

    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch, as the loaders of scikit-learn do.
        The sensitive features are then only available as features in ``data``.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes, where ``n_samples`` depends on
        `subset` and `dropna`.

        data : DataFrame or object ndarray of shape (n_samples, 14)
            The features, under the names of the original documentation. In the DataFrame, numbers
            have dtype int64 and all other features dtype category. The categories are sorted,
            unordered and the same for every `subset` and `dropna`, so a category may have no
            sample. The array holds ints and strings. Missing values are NaN in both. The index
            of the DataFrame is the position of the sample in the whole data set, 0 to 48841.
        target : Series or ndarray of shape (n_samples,), dtype int64
            1 if the income is above 50,000 dollars, else 0. The name of the Series is "income".
        sensitive_features : DataFrame or object ndarray of shape (n_samples, n_sensitive)
            A copy of the features chosen by `sensitive_features`.
        split : Series or ndarray of str, of shape (n_samples,)
            The part of the original split that contains the sample, "train" or "test".
        feature_names : list of 14 str
            The names of the columns of ``data``.
        target_names : list of 2 str
            The meaning of the targets 0 and 1: "<=50K" and ">50K".
        sensitive_feature_names : list of str
            The names of the columns of ``sensitive_features``.
        frame : DataFrame of shape (n_samples, 15), or None
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
    load_german : Load the German credit data set.
    sklearn.datasets.fetch_openml : Fetch other data sets in the same form.

    Notes
    -----
    Of the 48842 people, 11687 (23.93%) have an income above 50,000 dollars: 9918 of the 32650 men
    (30.38%) and 1769 of the 16192 women (10.93%).

    In 3620 samples at least one of ``workclass`` (2799 missing), ``occupation`` (2809) and
    ``native-country`` (857) is missing. All other features are complete. Ten people have no
    occupation because their ``workclass`` is "Never-worked", so `dropna` removes this category
    entirely.

    ``fnlwgt`` is the survey weight: roughly the number of people in the population that the
    sample represents. It results from the design of the survey and describes no trait of the
    person, so most studies exclude it from the features. ``education-num`` encodes ``education``
    with one number for each category. In 244 samples ``capital-gain`` has its maximum, 99999.

    Neither the original documentation nor this loader states how many labels are wrong. 52
    samples repeat an earlier sample in all features and the target; they are kept.

    **Limits.** Use this data set to compare methods with published results, not to draw
    conclusions about people. The survey is from 1994, covers one country, and is restricted to
    working people older than 16 with some income. The threshold of 50,000 dollars is arbitrary:
    Ding et al. [2]_ show that the measured unfairness of a model strongly depends on it, and that
    results on this sample need not carry over to other years or states. They provide larger and
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
    names = check_sensitive_features(sensitive_features, FEATURES)
    table = read_data_file(
        DATA_FILE,
        DATA_SHA256,
        dtype=dict.fromkeys(CATEGORICAL, "category"),
        keep_default_na=False,
        na_values=MISSING,
    )
    if dropna:
        table = table.dropna()
    return make_dataset(
        table[list(FEATURES)],
        (table[TARGET] == TARGET_NAMES[1]).astype(np.int64),
        table[names],
        split=table[SPLIT],
        subset=subset,
        name="adult",
        target_names=TARGET_NAMES,
        filename=str(DATA_FILE),
        as_frame=as_frame,
        return_X_y=return_X_y,
    )
