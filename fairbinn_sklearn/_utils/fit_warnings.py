"""Warnings of fits: one of each kind for all fits of a search, a path or a cross-validation.

Python's filters do not ensure this: scikit-learn's searches set the filters anew before each fit,
and Python then forgets which warnings it has shown.
"""

import contextlib
import itertools
import os
import warnings
import weakref
from contextvars import ContextVar
from dataclasses import dataclass, replace

MAX_NAMES = 6  # fits that a warning names

_scope = ContextVar("scope", default=None)  # original of the estimator in fit, or a list
_shown = set()  # pairs of an original and a kind
_originals = weakref.WeakKeyDictionary()
_counter = itertools.count()


@dataclass(frozen=True)
class FitWarning:
    """A warning of a fit. Of each `kind`, one is shown."""

    kind: str
    text: str
    category: type = UserWarning


class SharedWarnings:
    """Mixin of estimators: of all clones of an estimator, as in a search, one warns of each kind.

    The original warns in each fit. Clones in another process warn once in that process.
    """

    def __sklearn_clone__(self):
        cloned = super().__sklearn_clone__()
        cloned._original = _original_of(self) or _originals.setdefault(
            self, f"{os.getpid()}-{next(_counter)}"
        )
        return cloned


def _original_of(estimator):
    """Return the key of the estimator from which an estimator was cloned, None for others."""
    return vars(estimator).get("_original")


@contextlib.contextmanager
def _scope_of(value):
    token = _scope.set(value)
    try:
        yield value
    finally:
        _scope.reset(token)


def warnings_of(estimator):
    """Return a context in which warnings are those of an estimator, unless they are collected."""
    is_collected = isinstance(_scope.get(), list)
    return contextlib.nullcontext() if is_collected else _scope_of(_original_of(estimator))


def collected_warnings():
    """Return a context that collects the warnings of fits in a list instead of showing them."""
    return _scope_of([])


def warn(warning):
    """Show a `FitWarning`, or collect it; do nothing if a clone has shown one of this kind."""
    scope = _scope.get()
    if isinstance(scope, list):
        scope.append(warning)
        return
    if (scope, warning.kind) in _shown:
        return
    text = warning.text
    if scope is not None:
        text += " Other clones of this estimator do not repeat this warning."
    warnings.warn(text, warning.category, stacklevel=3)
    if scope is not None:
        _shown.add((scope, warning.kind))  # only now, because a filter may raise an error


def warn_of_many(found, n_fits):
    """Show one warning of each kind, with the number and the names of the fits.

    Parameters
    ----------
    found : list of (str, FitWarning)
        Names of fits and their warnings.

    n_fits : int
        Number of all fits.
    """
    by_kind = {}
    for name, warning in found:
        by_kind.setdefault(warning.kind, {}).setdefault(name, warning)
    for by_name in by_kind.values():
        first, names = next(iter(by_name.values())), list(by_name)
        n_more = len(names) - MAX_NAMES
        listed = "; ".join(names[:MAX_NAMES]) + (f" and {n_more} more" if n_more > 0 else "")
        suffix = f" This concerns {len(names)} of {n_fits} fits: {listed}." if n_fits > 1 else ""
        warn(replace(first, text=first.text + suffix))
