"""Private and experimental APIs of scikit-learn that this package uses, in one place.

They may move with any release. `tests/utils/test_upstream.py` fails if one does.
"""

from sklearn.base import _fit_context as fit_context
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
    validate_params,
)
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import _check_feature_names as check_feature_names
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_n_features as check_n_features
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _check_y as check_y

__all__ = [
    "UNUSED",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "Options",
    "StrOptions",
    "check_feature_names",
    "check_feature_names_in",
    "check_n_features",
    "check_sample_weight",
    "check_y",
    "fit_context",
    "safe_indexing",
    "validate_parameter_constraints",
    "validate_params",
    "validate_params_of",
    "with_callbacks",
]


def validate_params_of(estimator):
    """Raise if a parameter of an estimator violates its ``_parameter_constraints``."""
    estimator._validate_params()
