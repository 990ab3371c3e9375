"""Loaders of data sets, and data sets on disk."""

from .._data.on_disk import ArrayRows, ParquetRows
from ._adult import load_adult
from ._german import load_german
from ._health import load_health

__all__ = ["ArrayRows", "ParquetRows", "load_adult", "load_german", "load_health"]
