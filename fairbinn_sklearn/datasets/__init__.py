"""Data sets that come with the package or that users bring, and the functions that load them."""

from .._data.on_disk import ArrayRows, ParquetRows
from ._adult import load_adult
from ._german import load_german
from ._health import load_health

__all__ = ["ArrayRows", "ParquetRows", "load_adult", "load_german", "load_health"]
