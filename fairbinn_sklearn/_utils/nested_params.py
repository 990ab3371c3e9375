"""Parameters of what other parameters name, such as ``optimizer__momentum``."""

from difflib import get_close_matches


class NestedParams:
    """Mixin for keyword parameters ``<parameter>__<name>``, kept as attributes of that name.

    `get_params`, `set_params` and the constructor take them for the parameters in `_nested`, as
    skorch does. What they mean is checked in fit, where the classes are known.
    """

    _nested = ()

    def _store_nested(self, params):
        for key, value in params.items():
            if not self._is_nested(key):
                known = [*self._get_param_names(), *(f"{name}__" for name in self._nested)]
                close = get_close_matches(key.partition("__")[0], known, n=1)
                raise TypeError(
                    f"{type(self).__name__}.__init__() got an unexpected keyword argument {key!r}."
                    + (f" Did you mean {close[0]!r}?" if close else "")
                )
            setattr(self, key, value)

    def get_params(self, deep=True):
        """Get the parameters, those of the form ``optimizer__momentum`` that were set among them.

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
        """Set parameters.

        Setting `optimizer` or another parameter that has parameters of its own forgets these,
        unless they are given in the same call.

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
            If there is no parameter of a name.
        """
        nested = {key: value for key, value in params.items() if self._is_nested(key)}
        for parameter in self._nested:  # those of another class go with it
            if parameter in params and params[parameter] is not getattr(self, parameter):
                for name in self._nested_of(parameter):
                    delattr(self, f"{parameter}__{name}")
        super().set_params(**{key: params[key] for key in params if key not in nested})
        self._store_nested(nested)
        return self

    def _nested_of(self, parameter):
        """What was given for a parameter: names and values."""
        start = f"{parameter}__"
        return {k.removeprefix(start): v for k, v in vars(self).items() if k.startswith(start)}

    def _is_nested(self, key):
        parameter, separator, name = key.partition("__")
        return parameter in self._nested and bool(separator and name)
