"""Reading of CSV and its relatives."""

from core.data.readers.csv.reader import Csv

__all__ = ["Csv"]
