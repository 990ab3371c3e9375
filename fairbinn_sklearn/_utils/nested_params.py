"""Parameters of other parameters, such as ``optimizer__momentum``."""

from .identity import is_same
from .suggest import did_you_mean

# Names that users of other libraries try first.
ALIASES = {"learning_rate": "lr", "n_epochs": "max_epochs", "epochs": "max_epochs"}


class NestedParams:
    """Mixin for keyword parameters ``<parameter>__<name>``, kept as attributes of that name.

    `get_params`, `set_params` and the constructor accept them for the parameters in `_nested`, as
    in skorch. `fit` checks their values, because the classes are known only then.
    """

    _nested = ()

    def _store_nested(self, params):
        self._check_nested(params)
        vars(self).update(params)

    def _check_nested(self, params):
        for key in params:
            if self._is_nested(key):
                continue
            name = key.partition("__")[0]
            known = [*super().get_params(deep=False), *(f"{n}__" for n in self._nested)]
            raise TypeError(
                f"{type(self).__name__}.__init__() got an unexpected keyword argument {key!r}."
                + did_you_mean(ALIASES.get(name, name), known)
            )

    def get_params(self, deep=True):
        """Return the parameters, with those such as ``optimizer__momentum`` that were set.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of objects that are parameters.

        Returns
        -------
        params : dict
            Names and values.
        """
        nested = {key: value for key, value in vars(self).items() if self._is_nested(key)}
        return {**super().get_params(deep=deep), **nested}

    def set_params(self, **params):
        """Set all parameters, or none if one of them raises an error.

        Setting a parameter such as `optimizer` to another value removes its parameters, such as
        ``optimizer__momentum``, unless they are set in the same call.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self : FairBiNNClassifier
            The estimator.

        Raises
        ------
        ValueError
            If a name is not the name of a parameter.
        """
        self._check_has_params(params)
        before = vars(self).copy()
        nested = {key: value for key, value in params.items() if self._is_nested(key)}
        try:
            for parameter in self._nested:
                if parameter in params and not is_same(params[parameter], before[parameter]):
                    for name in self._nested_of(parameter):
                        delattr(self, f"{parameter}__{name}")
            super().set_params(**{key: params[key] for key in params if key not in nested})
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
        vars(self).update(nested)
        return self

    def _check_has_params(self, params):
        """Raise if parameters are set on a value without parameters, such as a string."""
        for key in params:
            name, separator, _ = key.partition("__")
            value = params.get(name, getattr(self, name, None))
            if not separator or self._is_nested(key) or hasattr(value, "set_params"):
                continue
            if hasattr(self, name):
                raise ValueError(
                    f"{name} must be an object with parameters to set {key}, got {value!r}. Pass "
                    "an instance, such as constraint=DemographicParity()."
                )

    def _nested_of(self, parameter):
        """Return the parameters of a parameter by name."""
        prefix = f"{parameter}__"
        return {k.removeprefix(prefix): v for k, v in vars(self).items() if k.startswith(prefix)}

    def _is_nested(self, key):
        parameter, separator, name = key.partition("__")
        return parameter in self._nested and bool(separator and name)
