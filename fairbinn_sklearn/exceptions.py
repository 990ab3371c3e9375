"""Warnings of this package that a filter can single out."""


class MissingSensitiveFeaturesWarning(UserWarning):
    """Warn that `fit` got no sensitive features although the parameters ask for a fairness loss.

    The network is then trained for accuracy alone. Turn the warning into an error if this must not
    happen.

    Examples
    --------
    >>> import warnings
    >>> from fairbinn_sklearn.exceptions import MissingSensitiveFeaturesWarning
    >>> warnings.simplefilter("error", MissingSensitiveFeaturesWarning)
    """


__all__ = ["MissingSensitiveFeaturesWarning"]
