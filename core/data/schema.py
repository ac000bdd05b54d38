"""The schema of a dataset: its columns, and how its file is read.

It is inferred once, at the upload. It has all that checking a spec needs (shapes, classes, counts), so that no dataset
is read before a job trains.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Literal

ColumnType = Literal["number", "category", "text", "datetime", "image", "audio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Maximum contents of a file; more is refused."""

    cells: int = 100_000_000
    """Rows × columns, or the elements of all arrays together."""

    columns: int = 16_384
    """Columns of a table, or arrays of an archive."""

    record_bytes: int = 4 * 2**20
    """Bytes of one row of a CSV file, with quoted line breaks."""

    categories: int = 1000
    """Different values of one column of categories; with more, the column is text."""

    all_categories: int = 100_000
    """Different values counted over all columns together, so that a wide file cannot fill the memory."""

    category_length: int = 128
    """Characters of one category."""

    files: int = 200_000
    """Files of an archive."""

    file_bytes: int = 2**28
    """Bytes of one file of an archive, unpacked."""

    files_bytes: int = 2**33
    """Bytes of all files of an archive, unpacked."""

    whole_numbers: int = 64
    """Different values up to which a column of integers keeps their counts, as a target of class ids needs them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table, or one array of an archive."""

    name: str
    """Its name in the file; its index where the file has no names."""

    type: ColumnType
    """`number`, `category` (few different texts), `text`, `datetime` (seconds since 1970 UTC), or of an archive's files
    `image` or `audio`."""

    rows: int
    """The number of values; of an array: of entries along its first axis."""

    missing: int = 0
    """The number of missing values."""

    min: float | None = None
    """The smallest number; of recordings the seconds of the shortest, and so with the next three."""

    max: float | None = None
    """The largest number."""

    mean: float | None = None
    """The mean of the numbers that are not missing."""

    std: float | None = None
    """Their standard deviation (of the population)."""

    integers: bool = False
    """Whether every number is an integer."""

    distinct: int | None = None
    """The number of different values; null where there are too many to count."""

    classes: tuple[tuple[str, int], ...] = ()
    """The categories with their counts; also of integers, where few are different."""

    shape: tuple[int, ...] = ()
    """The shape of one row of an array; `()` for single values. Of pictures (height, width, channels): the medians, and
    1 channel where all are grey."""

    not_numbers: int = 0
    """Of a column that is nearly all numbers, but is read as words: the number of its cells that are not numbers."""

    first_not_number: tuple[int, str] | None = None
    """The row of the first of them, from 1, and its text."""

    decimal: str = "."
    """Of a column of numbers: the decimal sign of its texts."""

    date_format: str | None = None
    """Of a column of dates: the format of its texts, as `strptime` reads them, or `iso`."""

    names_rows: bool = False
    """Whether its values only name the rows, so that it is no feature unless a spec names it."""

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> "Column":
        """Return the column that `asdict` wrote."""
        classes = tuple((str(name), int(count)) for name, count in json["classes"])
        first = json.get("first_not_number")
        known = {"classes": classes, "shape": tuple(json["shape"]), "first_not_number": first and tuple(first)}
        return cls(**{**json, **known})


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The columns of a dataset, and how its file is read."""

    format: str
    """The format of the file, a key of `core.data.readers.READERS`."""

    rows: int
    """Rows of the table; of an archive: entries of its array `x`, or of its first."""

    columns: tuple[Column, ...]
    """In the order of the file."""

    layout: Mapping[str, Any] = field(default_factory=dict)
    """The options of the reader, such as the delimiter of a CSV file, as JSON."""

    def column(self, name: str) -> Column | None:
        """Return the column of that name, if there is one."""
        return next((column for column in self.columns if column.name == name), None)

    def fingerprint(self, sha256: str, options: Mapping[str, str] = MappingProxyType({})) -> str:
        """Return the sha256 that identifies a dataset.

        It is that of its bytes' sha256, its format, its columns' types, and the reader's options that a client set.
        """
        read_as = [sha256, self.format, *(column.type for column in self.columns)]
        read_as += [f"{name}={options[name]}" for name in sorted(options)]
        return hashlib.sha256(" ".join(read_as).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, to be stored; the layout's fields are beside the others."""
        columns = [asdict(column) for column in self.columns]
        return {**self.layout, "format": self.format, "rows": self.rows, "columns": columns}

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> "Schema":
        """Return the schema that `to_json` wrote."""
        layout = {name: value for name, value in json.items() if name not in {"format", "rows", "columns"}}
        columns = tuple(map(Column.from_json, json["columns"]))
        return cls(format=json["format"], rows=json["rows"], columns=columns, layout=layout)
