"""Data sets that come with the package, and the functions that load them."""

from ._adult import load_adult

__all__ = ["load_adult"]
