"""Warnings of fits: a search, a path or a cross-validation shows one of each kind for all fits.

Python's filters do not ensure this, because scikit-learn's searches set the filters again before
each fit, and Python then forgets which warnings it has shown.
"""

import contextlib
import itertools
import os
import warnings
import weakref
from contextvars import ContextVar
from dataclasses import dataclass, replace

MAX_NAMES = 6  # largest number of fits that a warning names

_scope = ContextVar(
    "scope", default=None
)  # key of the original of a clone, or a list that collects
_shown = set()  # pairs of a key of an original and a kind
_originals = weakref.WeakKeyDictionary()
_counter = itertools.count()


@dataclass(frozen=True)
class FitWarning:
    """A warning of a fit; only one of each `kind` is shown."""

    kind: str
    text: str
    category: type = UserWarning


class SharedWarnings:
    """Mixin for estimators: all clones of an estimator, as in a search, show one warning per kind.

    The original warns in each fit. Clones in another process warn once in that process.
    """

    def __sklearn_clone__(self):
        cloned = super().__sklearn_clone__()
        cloned._original = _original_of(self) or _originals.setdefault(
            self, f"{os.getpid()}-{next(_counter)}"
        )
        return cloned


def _original_of(estimator):
    """Return the key of the original of an estimator, None if the estimator is not a clone."""
    return vars(estimator).get("_original")


@contextlib.contextmanager
def _scope_of(value):
    token = _scope.set(value)
    try:
        yield value
    finally:
        _scope.reset(token)


def warnings_of(estimator):
    """Return a context that assigns warnings to an estimator, unless they are collected."""
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
        _shown.add((scope, warning.kind))  # after the call, because a filter may raise an error


def warn_of_many(named_warnings, n_fits):
    """Show one warning of each kind, with the number and the names of the fits.

    Parameters
    ----------
    named_warnings : list of (str, FitWarning)
        Pairs of the name of a fit and a warning of the fit.

    n_fits : int
        Number of all fits.
    """
    by_kind = {}
    for name, warning in named_warnings:
        by_kind.setdefault(warning.kind, {}).setdefault(name, warning)
    for by_name in by_kind.values():
        first, names = next(iter(by_name.values())), list(by_name)
        n_more = len(names) - MAX_NAMES
        listed = "; ".join(names[:MAX_NAMES]) + (f" and {n_more} more" if n_more > 0 else "")
        suffix = f" This concerns {len(names)} of {n_fits} fits: {listed}." if n_fits > 1 else ""
        warn(replace(first, text=first.text + suffix))
