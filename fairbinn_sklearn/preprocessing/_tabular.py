"""Preprocessing of a DataFrame of numbers and categories by one transformer."""

import warnings
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder

from .._data.validation import refuse_times
from ._encoder import PiecewiseLinearEncoder

# Values of `infer_dtype` for dates, times and time spans.
TIME_TYPES = {"date", "datetime", "datetime64", "period", "time", "timedelta", "timedelta64"}

# Values of `infer_dtype` for numbers and booleans in columns of objects.
NUMBER_TYPES = {"boolean", "decimal", "floating", "integer", "mixed-integer-float"}


def tabular_preprocessor(*, categorical_columns=(), min_frequency=10, encoder=None):
    """Build a transformer of a DataFrame to features for neural networks.

    Numeric and boolean columns are encoded piecewise linearly, and all other columns one-hot. The
    types of the columns in `fit` determine which encoding is used.

    Parameters
    ----------
    categorical_columns : sequence of str, default=()
        Numeric columns that hold codes of categories, such as postal codes.

    min_frequency : int or float, default=10
        Minimum number, or fraction, of samples of a category. Categories of a column that are less
        frequent are combined into one, "infrequent"; see
        :class:`~sklearn.preprocessing.OneHotEncoder`. Categories that were not seen in `fit` are
        encoded as infrequent, or as zeros if the column has no infrequent categories.

    encoder : transformer, default=None
        Encoder of the numeric columns. None means
        ``PiecewiseLinearEncoder(handle_missing="median", dtype=np.float32)``.

    Returns
    -------
    preprocessor : ColumnTransformer
        Unfitted transformer with the parts "numeric" and "categorical".

    See Also
    --------
    PiecewiseLinearEncoder : Encoding of the numeric columns.
    sklearn.compose.make_column_transformer : Build a transformer from other encoders.

    Notes
    -----
    A missing value is a separate category in a categorical column, and has a missing indicator in
    a numeric column. If a numeric column had no missing values in `fit`, later missing values are
    replaced by its median. Categories are compared as text, and integers have the same text
    whatever their type: 7, 7.0 and "7" are the same category.

    `fit` raises a ValueError for columns of dates, times or time spans. Convert them to numbers or
    categories that matter for the task, such as an age or the day of the week.

    `fit` warns if all categories of a column are infrequent, because the column then becomes one
    constant feature. Identifiers and free text are typical examples.

    Examples
    --------
    >>> import pandas as pd
    >>> from fairbinn_sklearn.preprocessing import tabular_preprocessor
    >>> X = pd.DataFrame({"age": [20, 30, 40], "job": ["cook", "cook", None]})
    >>> preprocessor = tabular_preprocessor(min_frequency=1)
    >>> preprocessor.fit_transform(X)
    array([[0., 0., 1., 0.],
           [1., 0., 1., 0.],
           [1., 1., 0., 1.]], dtype=float32)
    >>> preprocessor.get_feature_names_out()
    array(['age_bin_0', 'age_bin_1', 'job_cook', 'job_<missing>'],
          dtype=object)
    """
    if isinstance(categorical_columns, str):
        raise TypeError(
            f"categorical_columns must be a sequence of column names, got {categorical_columns!r}. "
            f"Use [{categorical_columns!r}]."
        )
    if encoder is None:
        encoder = PiecewiseLinearEncoder(handle_missing="median", dtype=np.float32)
    category_encoder = CategoryEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=min_frequency,
        sparse_output=False,
        dtype=np.float32,
        feature_name_combiner=_feature_name,
    )
    categorical_columns = tuple(categorical_columns)
    return ColumnTransformer(
        [
            ("numeric", encoder, ColumnSelector(True, categorical_columns)),
            ("categorical", category_encoder, ColumnSelector(False, categorical_columns)),
        ],
        sparse_threshold=0,
        verbose_feature_names_out=False,
    )


@dataclass(frozen=True)
class ColumnSelector:
    """Select the positions of numeric or of categorical columns, for a ColumnTransformer.

    Positions are used because a ColumnTransformer reads integer column names as positions.
    """

    numeric: bool
    categorical_columns: tuple

    def __call__(self, X):
        """Return the positions of the selected columns of X."""
        _check_is_frame(X)
        columns = X.columns.tolist()
        if unknown := [name for name in self.categorical_columns if name not in columns]:
            raise ValueError(
                f"categorical_columns must be names of columns of X, got {unknown}. X has the "
                f"columns {columns}."
            )
        refuse_times([name for name, column in X.items() if _holds_times(column)])
        is_numeric = np.array([_is_numeric(column) for _, column in X.items()], dtype=bool)
        is_numeric &= ~X.columns.isin(self.categorical_columns)
        return np.flatnonzero(is_numeric if self.numeric else ~is_numeric).tolist()


def _check_is_frame(X):
    if not isinstance(X, pd.DataFrame):
        raise TypeError(
            f"X must be a pandas DataFrame, got {type(X).__module__}.{type(X).__qualname__}. The "
            "types of its columns determine how they are encoded; convert other data frames by "
            "to_pandas()."
        )


def _is_numeric(column):
    """Return whether a column holds numbers or booleans, decimals and objects included."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return False
    if pd.api.types.is_numeric_dtype(column):
        return True
    return infer_dtype(column.dropna()) in NUMBER_TYPES


def _holds_times(column):
    """Return whether the values of a column, or its categories, are dates, times or time spans."""
    is_categorical = isinstance(column.dtype, pd.CategoricalDtype)
    return infer_dtype(column.cat.categories if is_categorical else column.dropna()) in TIME_TYPES


def _feature_name(column, category):
    """Return the name of a feature; a missing value differs from the category "nan"."""
    return f"{column}_{category if isinstance(category, str) else '<missing>'}"


class CategoryEncoder(OneHotEncoder):
    """OneHotEncoder of the columns of a DataFrame that compares categories as text."""

    def fit(self, X, y=None):
        """Learn the categories."""
        super().fit(as_text(X), y)
        constant_columns = [
            name
            for name, categories, infrequent in zip(
                X.columns, self.categories_, infrequent_categories(self), strict=True
            )
            if infrequent is not None and 1 < len(categories) == len(infrequent)
        ]
        if constant_columns:
            warnings.warn(
                f"All categories of the columns {constant_columns} have fewer samples than "
                f"min_frequency={self.min_frequency}, so each column becomes one constant feature "
                "and is lost to the model. Drop the columns, group their values into fewer "
                "categories, or lower min_frequency.",
                stacklevel=2,
            )
        return self

    def transform(self, X):
        """Encode samples."""
        return super().transform(as_text(X))


def infrequent_categories(encoder):
    """Return the infrequent categories of each column, or None for a column without them.

    OneHotEncoder defines `infrequent_categories_` only if it may combine categories.
    """
    return getattr(encoder, "infrequent_categories_", [None] * len(encoder.categories_))


def as_text(X):
    """Return the values of a DataFrame as text, and missing values as NaN.

    Integers have the same text whatever their type: 7 and 7.0 both become "7".
    """
    _check_is_frame(X)
    text_columns = {}
    for name, column in X.items():
        try:
            codes, values = pd.factorize(column)  # The code of missing values is -1.
        except TypeError as error:
            raise TypeError(
                f"X must have columns of hashable values, got {error} in column {name!r}. Convert "
                "its values to text, or drop it."
            ) from error
        texts = np.array([*map(_value_as_text, values), np.nan], dtype=object)
        text_columns[name] = texts[codes]
    return pd.DataFrame(text_columns, index=X.index, columns=X.columns, dtype=object)


def _value_as_text(value):
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return str(int(value)) if is_number and float(value).is_integer() else str(value)
