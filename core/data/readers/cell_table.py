"""Tables of text cells: what readers of CSV, JSON, Parquet and workbooks have in common.

A table comes in chunks of rows of texts; the first chunk is one row, the names of its columns. Empty texts are missing.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from core.data.cells import MISSING, parse_number, quote, quote_names
from core.data.column_statistics import ColumnStatistics, parse_floats
from core.data.errors import InvalidFile
from core.data.schema import Column, ColumnType, Limits, Schema

CHUNK_CELLS = 65_536
CHUNK_CHARACTERS = 4 * 2**20
MAX_NAME_LENGTH = 256
YEARS = range(1500, 2200)  # whole numbers that name a column of a year

Chunks = Iterator[list[list[str]]]


@dataclass(frozen=True, slots=True)
class CellTable(ABC):
    """A reader of tables whose rows come as lists of texts. Members are frozen dataclasses."""

    format: ClassVar[str]
    is_table: ClassVar[bool] = True

    @abstractmethod
    def records(self, path: Path, limits: Limits) -> Iterator[list[str]]:
        """Yield the names of the columns, then the rows, each with a text for every column. Raises `InvalidFile`."""

    @classmethod
    def of(cls, schema: Schema) -> Self:
        """Return the reader that reads a file as its schema was inferred."""
        return cls(**schema.layout)

    def options(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def infer_schema(self, path: Path, types: Mapping[str, ColumnType], limits: Limits) -> Schema:
        """Return the schema of a file. Raises `InvalidFile` at the first place that is wrong."""
        rows, columns = summarize(chunks_of(self.records(path, limits), limits), types, limits)
        return Schema(format=self.format, rows=rows, columns=columns, layout=self.options())

    def load(self, path: Path, schema: Schema, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
        """Return columns by name: float64 with NaN for missing values, categories as int32 codes with −1."""
        limits = Limits(cells=schema.rows * len(schema.columns), columns=len(schema.columns))
        return load_columns(chunks_of(self.records(path, limits), limits), schema, columns)

    def rows(self, path: Path, schema: Schema, offset: int, limit: int) -> list[dict[str, Any]]:
        """Return a page of rows, each an object by column; numbers as numbers, missing values as None."""
        page = islice(self.records(path, Limits()), offset + 1, offset + 1 + limit)
        return [to_record(row, schema.columns) for row in page]


def chunks_of(records: Iterator[list[str]], limits: Limits) -> Chunks:
    """Yield records in chunks of about `CHUNK_CELLS` cells; the first chunk is one row, the names.

    Raises `InvalidFile` for more columns or cells than the limits allow, and for rows that are too long.
    """
    first = next(records, None)
    if first is None:
        raise InvalidFile("the file is empty: it needs names of columns and rows of values")
    if len(first) > limits.columns:
        raise InvalidFile(f"the table has {len(first)} columns, more than {limits.columns}: remove some")
    names = column_names(first)
    yield [names]
    chunk: list[list[str]] = []
    characters = 0
    for number, row in enumerate(records, 1):
        size = sum(map(len, row))
        if size > limits.record_bytes:
            raise InvalidFile(f"row {number} is longer than {limits.record_bytes} characters: shorten it")
        if number * len(names) > limits.cells:
            raise InvalidFile(f"the table has more than {limits.cells} cells: send fewer rows or columns")
        chunk.append(row)
        characters += size
        if len(chunk) * len(names) >= CHUNK_CELLS or characters >= CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def summarize(chunks: Chunks, types: Mapping[str, ColumnType], limits: Limits) -> tuple[int, tuple[Column, ...]]:
    """Return the number of rows, and the columns with the types that a client sets. Raises `InvalidFile`."""
    names = next(chunks)[0]
    for name in types:
        if name not in names:
            raise InvalidFile(f"types names a column {quote(name)}, and the file has {quote_names(names)}")
    categories = min(limits.categories, max(2, limits.all_categories // len(names)))
    statistics = [ColumnStatistics(name, types.get(name), limits, categories) for name in names]
    rows = 0
    for chunk in chunks:
        rows += len(chunk)
        for of_column, cells in zip(statistics, zip(*chunk, strict=True), strict=True):
            of_column.add(cells)
    if not rows:
        raise InvalidFile("the file has a header and no rows: add at least one row of values")
    return rows, tuple(of_column.column() for of_column in statistics)


def load_columns(chunks: Chunks, schema: Schema, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
    """Return columns by name, of a table with this schema. Raises `InvalidFile` where it is another one."""
    places = [schema.columns.index(column) for column in columns]
    parsers = [PARSERS[column.type](column) for column in columns]
    arrays = [np.empty(schema.rows, parser.dtype) for parser in parsers]
    start = 0
    if next(chunks)[0] != [column.name for column in schema.columns]:
        raise InvalidFile("the file has other columns than when it was uploaded")
    for chunk in chunks:
        end = start + len(chunk)
        for array, parser, place in zip(arrays, parsers, places, strict=True):
            array[start:end] = parser.parse([row[place].strip() for row in chunk])
        start = end
    if start != schema.rows:
        raise InvalidFile("the file has fewer rows than when it was uploaded")
    return {column.name: array for column, array in zip(columns, arrays, strict=True)}


def text_of(value: Any) -> str:
    """Return a value as the text of a cell: nothing for None, digits for numbers, ISO for dates, JSON for lists."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_WHOLE_FLOAT:
        return str(int(value))
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


MAX_WHOLE_FLOAT = 2**53
"""Floats of at least this size do not say their last digits."""


def is_header(first: list[str]) -> bool:
    """Return whether the first row of a table is its header."""
    cells = [cell.strip() for cell in first]
    values = [value for cell in cells if (value := parse_number(cell)) is not None]
    if len(values) + sum(cell in MISSING for cell in cells) == len(cells):
        return False
    return not values or _count_columns(values)


def _count_columns(values: list[float]) -> bool:
    """Return whether numbers among texts are names of columns: 0, 1, 2, …; 1, 2, 3, …; or years in equal steps."""
    if len(values) < 2:
        return False
    step = values[1] - values[0]
    if any(after - before != step for before, after in pairwise(values)):
        return False
    return (step == 1 and values[0] in (0, 1)) or (step != 0 and all(value in YEARS for value in values))


def column_names(header: list[str]) -> list[str]:
    """Return the names in a header. Raises `InvalidFile` for a name that is empty, repeated or too long."""
    names = [cell.strip() for cell in header]
    if "" in names:
        raise InvalidFile(f"column {names.index('') + 1} has no name: write one into the first row, or remove it")
    seen: dict[str, int] = {}
    for place, name in enumerate(names, 1):
        if len(name) > MAX_NAME_LENGTH:
            raise InvalidFile(f"the name of column {place} is longer than {MAX_NAME_LENGTH} characters: shorten it")
        if name in seen:
            raise InvalidFile(f"columns {seen[name]} and {place} are both named {quote(name)}: rename one of them")
        seen[name] = place
    return names


def to_record(row: list[str], columns: Sequence[Column]) -> dict[str, Any]:
    """Return a row as an object by column."""
    return {column.name: to_json(cell.strip(), column) for cell, column in zip(row, columns, strict=False)}


def to_json(cell: str, column: Column) -> Any:
    """Return a cell as JSON: a number, a text, or None where it is missing."""
    if cell in MISSING:
        return None
    return parse_number(cell) if column.type == "number" else cell


class _NumberParser:
    dtype = np.float64

    def __init__(self, column: Column) -> None:
        self._name = column.name

    def parse(self, cells: list[str]) -> NDArray[np.float64]:
        # `parse_floats` refuses NaN, and stored numbers are finite: infinity marks missing values until they are NaN.
        values = parse_floats(["inf" if cell in MISSING else cell for cell in cells])
        if values is None:
            raise InvalidFile(f"column {quote(self._name)} has cells that are not numbers, as it had not at the upload")
        values[np.isinf(values)] = np.nan
        return values


class _CategoryParser:
    dtype = np.int32

    def __init__(self, column: Column) -> None:
        self._name = column.name
        self._codes = dict.fromkeys(MISSING, -1) | {name: code for code, (name, _) in enumerate(column.classes)}

    def parse(self, cells: list[str]) -> NDArray[np.int32]:
        try:
            return np.fromiter(map(self._codes.__getitem__, cells), dtype=np.int32, count=len(cells))
        except KeyError as error:
            found = f"column {quote(self._name)} has {quote(str(error.args[0]))}"
            raise InvalidFile(f"{found}, which is not one of its categories at the upload") from None


class _TextParser:
    dtype = object

    def __init__(self, column: Column) -> None:
        pass

    def parse(self, cells: list[str]) -> list[str | None]:
        return [None if cell in MISSING else cell for cell in cells]


PARSERS: dict[ColumnType, type[_NumberParser] | type[_CategoryParser] | type[_TextParser]] = {
    "number": _NumberParser,
    "category": _CategoryParser,
    "text": _TextParser,
}
