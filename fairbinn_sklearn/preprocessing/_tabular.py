"""Preprocessing of a table of numbers and categories, as one transformer."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder

from ._encoder import PiecewiseLinearEncoder


def tabular_preprocessor(*, categorical_columns=(), min_frequency=10, encoder=None):
    """Build a transformer of DataFrames to columns that suit neural nets.

    Numbers and booleans get a piecewise-linear encoding, all else a one-hot one. Which column is
    which is decided in `fit`, by the types of its columns.

    Parameters
    ----------
    categorical_columns : sequence of str, default=()
        Columns of numbers that are codes of categories, such as postal codes.

    min_frequency : int or float, default=10
        Rows, or share of the rows, below which categories of a column count as one, "infrequent";
        see :class:`~sklearn.preprocessing.OneHotEncoder`. Categories that were not seen in `fit`
        count as that too, and as zeros if there is none.

    encoder : transformer, default=None
        Encoder of the numbers. None means
        ``PiecewiseLinearEncoder(handle_missing="median", dtype=np.float32)``.

    Returns
    -------
    preprocessor : ColumnTransformer
        The transformer, not fitted. Its parts are named "numeric" and "categorical".

    See Also
    --------
    PiecewiseLinearEncoder : The encoding of numbers.
    sklearn.compose.make_column_transformer : Other choices.

    Notes
    -----
    Missing values are a category of their own, and have an indicator among the numbers. A number
    missing in a column that was complete in `fit` is read as the column's median. Categories are
    compared as text, whole numbers alike whatever their type: 7, 7.0 and "7" are one.

    `fit` raises a ValueError for columns of dates, times or time spans: what matters in them, such
    as an age or the day of the week, is for the user to compute.

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
    array(['age_bin_0', 'age_bin_1', 'job_cook', 'job_nan'], dtype=object)
    """
    if isinstance(categorical_columns, str):
        raise TypeError(
            f"categorical_columns must be a sequence of names, got {categorical_columns!r}; "
            f"write [{categorical_columns!r}]."
        )
    if encoder is None:
        encoder = PiecewiseLinearEncoder(handle_missing="median", dtype=np.float32)
    categories = CategoryEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=min_frequency,
        sparse_output=False,
        dtype=np.float32,
    )
    codes = tuple(categorical_columns)
    return ColumnTransformer(
        [
            ("numeric", encoder, ColumnSelector(numeric=True, categorical_columns=codes)),
            (
                "categorical",
                categories,
                ColumnSelector(numeric=False, categorical_columns=codes),
            ),
        ],
        sparse_threshold=0,
        verbose_feature_names_out=False,
    )


@dataclass(frozen=True)
class ColumnSelector:
    """Positions of the columns of numbers, or of all others, for a ColumnTransformer.

    Not their names, as those that are numbers would be taken for positions.
    """

    numeric: bool
    categorical_columns: tuple

    def __call__(self, X):
        """Return the positions."""
        if not isinstance(X, pd.DataFrame):
            raise TypeError(
                f"X must be a pandas DataFrame, whose columns have types, got {type(X).__name__}."
            )
        if strange := [name for name in self.categorical_columns if name not in X.columns]:
            raise ValueError(
                f"categorical_columns must be columns of X, {X.columns.tolist()}, got {strange}."
            )
        if times := X.select_dtypes(["datetime", "datetimetz", "timedelta"]).columns.tolist():
            raise ValueError(
                f"X must not have columns of dates or time spans, got {times}; replace them by "
                "numbers, such as the days since a date, or drop them."
            )
        numbers = X.columns.isin(X.select_dtypes(["number", "bool", "boolean"]).columns)
        numbers &= ~X.columns.isin(self.categorical_columns)
        return np.flatnonzero(numbers if self.numeric else ~numbers).tolist()


class CategoryEncoder(OneHotEncoder):
    """OneHotEncoder of the columns of a DataFrame, whose values are compared as text."""

    def fit(self, X, y=None):
        """Learn the categories."""
        return super().fit(as_words(X), y)

    def transform(self, X):
        """Encode rows."""
        return super().transform(as_words(X))


def as_words(X):
    """Values of a DataFrame as text, whole numbers alike whatever their type; missing is NaN."""
    words = {}
    for name, column in X.items():
        try:
            codes, values = pd.factorize(column)  # the code of a missing value is -1
        except TypeError as error:
            raise TypeError(
                f"X must hold categories, numbers or booleans, got others in column {name!r}: "
                f"{error}."
            ) from error
        table = np.array([*map(_word, values), np.nan], dtype=object)
        words[name] = table[codes]
    return pd.DataFrame(words, index=X.index, columns=X.columns, dtype=object)


def _word(value):
    whole = isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer()
    return str(int(value)) if whole else str(value)
