"""What an uploaded dataset holds, as found once at its upload.

A schema says all that a job's check needs (shapes, classes, counts), so that no dataset is read before it trains.
"""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, Literal

ColumnType = Literal["number", "category", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a file may hold before it is refused."""

    cells: int = 100_000_000
    """Rows × columns, or the elements of all arrays together."""

    columns: int = 16_384
    """Columns of a table, or arrays of an archive."""

    record_bytes: int = 4 * 2**20
    """One row of a CSV file, its quoted line breaks included."""

    categories: int = 1000
    """Different values of one column of categories; beyond it the column is text."""

    all_categories: int = 100_000
    """Different values that are counted over all columns, so that a wide file cannot fill the memory."""

    category_length: int = 128
    """Characters of one category."""

    whole_numbers: int = 64
    """Different values up to which a column of whole numbers keeps its counts, as a target of class ids needs them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table, or one array of an archive."""

    name: str
    """Its name in the file; the number of its place where the file names none."""

    type: ColumnType
    """`number`, `category` (few different texts) or `text`."""

    rows: int
    """How many values (for an array: how many entries along its first axis)."""

    missing: int = 0
    """How many values are not there."""

    min: float | None = None
    """The least number."""

    max: float | None = None
    """The greatest number."""

    mean: float | None = None
    """The mean of the numbers that are there."""

    std: float | None = None
    """Their standard deviation (of the population)."""

    integers: bool = False
    """Whether every number is whole."""

    distinct: int | None = None
    """How many different values; null where they are too many to count."""

    classes: tuple[tuple[str, int], ...] = ()
    """The categories with their counts; also of whole numbers, where they are few."""

    shape: tuple[int, ...] = ()
    """The shape of one row of an array; `()` for plain values."""

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> "Column":
        """The column that `asdict` wrote."""
        classes = tuple((str(name), int(count)) for name, count in json["classes"])
        return cls(**{**json, "classes": classes, "shape": tuple(json["shape"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The columns of a dataset, and how its file was read."""

    format: Literal["csv", "npy", "npz"]
    """The word for the format."""

    rows: int
    """Rows of the table; of an archive: entries of its array `x`, or of its first."""

    columns: tuple[Column, ...]
    """In the order of the file."""

    delimiter: str = ","
    """What separates the cells of a CSV file."""

    header: bool = True
    """Whether the first row of a CSV file names the columns."""

    @property
    def table(self) -> bool:
        """Whether rows are records of single values (CSV, npy) or entries of arrays (npz)."""
        return self.format != "npz"

    def column(self, name: str) -> Column | None:
        """The column of that name, if there is one."""
        return next((column for column in self.columns if column.name == name), None)

    def fingerprint(self, sha256: str) -> str:
        """What tells this dataset from others: its bytes, by their sha256, and the way they are read, as a sha256."""
        read_as = [sha256, self.format, *(column.type for column in self.columns)]
        return hashlib.sha256(" ".join(read_as).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, to be stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> "Schema":
        """The schema that `to_json` wrote."""
        return cls(**{**json, "columns": tuple(map(Column.from_json, json["columns"]))})
