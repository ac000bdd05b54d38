"""Tables as text: comma-separated values, read as a stream.

UTF-8 (with or without its mark), one of four delimiters, quotes as RFC 4180 has them, line ends LF or CRLF.

The first row names the columns unless it cannot: a row of numbers alone is data (the columns are then named `0`, `1`,
…), and so is one with a number among its texts, unless its numbers count 0, 1, 2, … or 1, 2, 3, … as an unnamed
table's columns do where a program wrote it.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.data.cells import MISSING, number, shown
from core.data.column_statistics import ColumnStatistics, floats
from core.data.errors import InvalidFile
from core.data.schema import Column, ColumnType, Limits, Schema

DELIMITERS = ",;\t|"
CHUNK_CELLS = 65_536
CHUNK_BYTES = 4 * 2**20
SAMPLE_BYTES = 65_536
NAME_LENGTH = 256


class _Lines:
    """The lines of a file, decoded one by one, none longer than a record may be; counts them and their bytes."""

    def __init__(self, file: BinaryIO, record_bytes: int) -> None:
        self.number = 0
        self.bytes = 0
        self.record = 0  # bytes since the last whole record; whoever takes a record sets it back
        self._file = file
        self._most = record_bytes

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(self._most - self.record + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.bytes += len(line)
        self.record += len(line)
        if self.record > self._most:
            raise InvalidFile(f"line {self.number}: a row is longer than {self._most} bytes: is a quote left open?")
        return self._text(line.removeprefix(b"\xef\xbb\xbf") if self.number == 1 else line)

    def _text(self, line: bytes) -> str:
        if line.startswith((b"\xff\xfe", b"\xfe\xff")) and self.number == 1:
            raise InvalidFile("the file is in UTF-16: save it as UTF-8")
        if b"\0" in line:
            raise InvalidFile(f"line {self.number} holds a NUL byte: this is no CSV text in UTF-8")
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise InvalidFile(f"line {self.number} is not in UTF-8 ({error.reason}): save the file as UTF-8") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Csv:
    """How a CSV file is laid out; what is not said is found from its first rows."""

    delimiter: str | None = None
    """What separates cells: `,`, `;`, tab or `|`."""

    header: bool | None = None
    """Whether the first row names the columns."""

    def inspect(self, path: Path, types: Mapping[str, ColumnType], limits: Limits) -> Schema:
        """The schema of a file, in one pass over it."""
        with path.open("rb") as file:
            layout = self.settled(file, limits)
            return layout.summed_up(file, types, limits)

    def settled(self, file: BinaryIO, limits: Limits) -> "Csv":
        """The layout with nothing left open, by the file's first rows; the file is at its start again."""
        head = file.read(SAMPLE_BYTES)
        file.seek(0)
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter not in DELIMITERS):
            raise InvalidFile("a delimiter is one of comma, semicolon, tab and bar")
        layout = replace(self, delimiter=self.delimiter or sniff(head))
        first = next(layout.records(file, limits), None)
        file.seek(0)
        if first is None:
            raise InvalidFile("the file is empty: it needs a row of names and rows of values")
        return replace(layout, header=names_columns(first) if self.header is None else self.header)

    def records(self, file: BinaryIO, limits: Limits) -> Iterator[list[str]]:
        """The rows as they stand, the header's among them; empty lines are no rows."""
        yield from self._records(_Lines(file, limits.record_bytes))

    def _records(self, lines: _Lines) -> Iterator[list[str]]:
        try:
            for row in csv.reader(lines, delimiter=self.delimiter or ",", strict=True):
                lines.record = 0
                if row:
                    yield row
        except csv.Error as error:
            raise InvalidFile(f"line {lines.number}: {_explained(error)}") from None

    def chunks(self, file: BinaryIO, limits: Limits) -> Iterator[list[list[str]]]:
        """The rows in chunks of some `CHUNK_CELLS` cells, the first a chunk of its own that holds the names.

        Every row is as long as the first; rows × columns are within the limits.
        """
        lines = _Lines(file, limits.record_bytes)
        records = self._records(lines)
        first = next(records)
        if len(first) > limits.columns:
            raise InvalidFile(f"the table has {len(first)} columns: at most {limits.columns} are taken")
        names = _checked(first) if self.header else [str(i) for i in range(len(first))]
        yield [names]
        chunk: list[list[str]] = []
        begun = 0
        for row_number, row in zip(count(1), records if self.header else chain([first], records), strict=False):
            if len(row) != len(names):
                message = f"row {row_number} (line {lines.number}) has {len(row)} cells where {len(names)} belong"
                raise InvalidFile(f"{message}: every row needs one cell for each column")
            if row_number * len(names) > limits.cells:
                raise InvalidFile(f"the table has more than {limits.cells} cells: send fewer rows or columns")
            chunk.append(row)
            if len(chunk) * len(names) >= CHUNK_CELLS or lines.bytes - begun >= CHUNK_BYTES:
                yield chunk
                chunk, begun = [], lines.bytes
        if chunk:
            yield chunk

    def summed_up(self, file: BinaryIO, types: Mapping[str, ColumnType], limits: Limits) -> Schema:
        """The schema, by one pass over the file from its start."""
        chunks = self.chunks(file, limits)
        names = next(chunks)[0]
        for name in types:
            if name not in names:
                raise InvalidFile(f"there is no column {shown(name)} to give a type: the file has {listed(names)}")
        categories = min(limits.categories, max(2, limits.all_categories // len(names)))
        tallies = [ColumnStatistics(name, types.get(name), limits, categories) for name in names]
        rows = 0
        for chunk in chunks:
            rows += len(chunk)
            for statistics, cells in zip(tallies, zip(*chunk, strict=True), strict=True):
                statistics.add(cells)
        if not rows:
            raise InvalidFile("the file has a header and no rows: add at least one row of values")
        columns = tuple(statistics.column() for statistics in tallies)
        return Schema(
            format="csv", rows=rows, columns=columns, delimiter=self.delimiter or ",", header=bool(self.header)
        )

    def load(self, path: Path, schema: Schema, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
        """The named columns whole: float64 with NaN for what is missing, categories as int32 codes with −1."""
        places = [schema.columns.index(column) for column in columns]
        parsers = [PARSERS[column.type](column) for column in columns]
        arrays = [np.empty(schema.rows, parser.dtype) for parser in parsers]
        start = 0
        with path.open("rb") as file:
            chunks = self.chunks(file, Limits(cells=schema.rows * len(schema.columns), columns=len(schema.columns)))
            _same(next(chunks)[0], schema)
            for chunk in chunks:
                end = start + len(chunk)
                for array, parser, place in zip(arrays, parsers, places, strict=True):
                    array[start:end] = parser.parse([row[place].strip() for row in chunk])
                start = end
        if start != schema.rows:
            raise InvalidFile("the file holds fewer rows than when it was uploaded")
        return {column.name: array for column, array in zip(columns, arrays, strict=True)}

    def rows(self, path: Path, schema: Schema, offset: int, limit: int) -> list[dict[str, Any]]:
        """A page of rows, each an object by column; numbers as numbers, what is missing as None."""
        with path.open("rb") as file:
            begin = offset + bool(self.header)
            page = islice(self.records(file, Limits()), begin, begin + limit)
            return [_record(row, schema.columns) for row in page]


class _Numbers:
    dtype = np.float64

    def __init__(self, column: Column) -> None:
        self._name = column.name

    def parse(self, cells: list[str]) -> NDArray[np.float64]:
        # `floats` takes no NaN, and no stored number is infinite: so infinity may stand for what is missing.
        values = floats(["inf" if cell in MISSING else cell for cell in cells])
        if values is None:
            raise InvalidFile(f"column {shown(self._name)} no longer holds numbers alone")
        values[np.isinf(values)] = np.nan
        return values


class _Codes:
    dtype = np.int32

    def __init__(self, column: Column) -> None:
        self._codes = dict.fromkeys(MISSING, -1) | {name: code for code, (name, _) in enumerate(column.classes)}

    def parse(self, cells: list[str]) -> NDArray[np.int32]:
        try:
            return np.fromiter(map(self._codes.__getitem__, cells), dtype=np.int32, count=len(cells))
        except KeyError as error:
            raise InvalidFile(f"the file holds {shown(str(error.args[0]))}, which it did not at its upload") from None


PARSERS: dict[ColumnType, type[_Numbers] | type[_Codes]] = {"number": _Numbers, "category": _Codes}


def sniff(head: bytes) -> str:
    """The delimiter that cuts the first rows into the most columns, equally many in each; else the commonest."""
    text = head.decode(errors="replace").replace("\0", "")
    sample = text if len(head) < SAMPLE_BYTES else text[: text.rfind("\n") + 1] or text
    return max(DELIMITERS, key=lambda delimiter: _evenness(sample, delimiter))


def _evenness(sample: str, delimiter: str) -> tuple[int, int]:
    reader = csv.reader(sample.splitlines(keepends=True), delimiter=delimiter)
    try:
        lengths = [len(row) for row in islice(reader, 50) if row]
    except csv.Error:
        return 0, 0
    even = lengths[0] if len(set(lengths)) == 1 else 0
    return even if even > 1 else 0, max(lengths, default=0)


def names_columns(first: list[str]) -> bool:
    """Whether a table's first row is its header."""
    cells = [cell.strip() for cell in first]
    values = [value for cell in cells if (value := number(cell)) is not None]
    if len(values) + sum(cell in MISSING for cell in cells) == len(cells):
        return False
    return not values or (len(values) > 1 and values in (list(range(len(values))), list(range(1, len(values) + 1))))


def _checked(header: list[str]) -> list[str]:
    """The names of a header, each of them there, none twice and none endless."""
    names = [cell.strip() for cell in header]
    if "" in names:
        raise InvalidFile(f"column {names.index('') + 1} has no name: write one into the first row, or take it out")
    seen: dict[str, int] = {}
    for place, name in enumerate(names, 1):
        if len(name) > NAME_LENGTH:
            raise InvalidFile(f"the name of column {place} is longer than {NAME_LENGTH} characters: shorten it")
        if name in seen:
            raise InvalidFile(f"columns {seen[name]} and {place} are both named {shown(name)}: give each its own name")
        seen[name] = place
    return names


def _same(names: list[str], schema: Schema) -> None:
    if names != [column.name for column in schema.columns]:
        raise InvalidFile("the file's columns are not those that it had when it was uploaded")


def _record(row: list[str], columns: Sequence[Column]) -> dict[str, Any]:
    return {column.name: _value(cell.strip(), column) for cell, column in zip(row, columns, strict=False)}


def _value(cell: str, column: Column) -> Any:
    if cell in MISSING:
        return None
    return number(cell) if column.type == "number" else cell


def listed(names: Sequence[str]) -> str:
    """Some names for a message: the first ten, and how many more."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(shown(name) for name in names[:10]) + more


EXPLAINED = {
    "field larger": "a cell is longer than 131072 characters",
    "unexpected end": "the file ends inside quotes: close them",
    "expected after": "text follows a closing quote: double the quotes inside a cell",
    "new-line character": "a line ends with a bare carriage return: save the file with LF or CRLF",
}


def _explained(error: csv.Error) -> str:
    return next((text for words, text in EXPLAINED.items() if words in str(error)), str(error))
