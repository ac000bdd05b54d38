"""Reader of CSV files, read as a stream.

Encoding is UTF-8, with or without a byte order mark; four delimiters; quotes as in RFC 4180; line ends LF or CRLF.

The first row is the header unless it cannot be: a row of only numbers is data (columns are then named `0`, `1`, …), and
so is a row with a number among texts, unless its numbers are 0, 1, 2, … or 1, 2, 3, …, the column names that programs
write for tables without names.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from core.data.cells import MISSING, parse_number, quote, quote_names
from core.data.column_statistics import ColumnStatistics, parse_floats
from core.data.errors import InvalidFile
from core.data.schema import Column, ColumnType, Limits, Schema

DELIMITERS = ",;\t|"
CHUNK_CELLS = 65_536
CHUNK_BYTES = 4 * 2**20
SAMPLE_BYTES = 65_536
SAMPLE_ROWS = 50
MAX_NAME_LENGTH = 256
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class _Lines:
    """The decoded lines of a file, counted with their bytes; a record of too many bytes is refused."""

    def __init__(self, file: BinaryIO, record_bytes: int) -> None:
        self.number = 0
        self.bytes = 0
        self.record = 0  # bytes since the last complete record; the consumer resets it after each record
        self._file = file
        self._max_record_bytes = record_bytes

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(self._max_record_bytes - self.record + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.bytes += len(line)
        self.record += len(line)
        if self.record > self._max_record_bytes:
            message = f"line {self.number}: a row is longer than {self._max_record_bytes} bytes"
            raise InvalidFile(f"{message}: close its quotes, or shorten it")
        return self._decode(line.removeprefix(BYTE_ORDER_MARK) if self.number == 1 else line)

    def _decode(self, line: bytes) -> str:
        if line.startswith(UTF16_MARKS) and self.number == 1:
            raise InvalidFile("the file is encoded as UTF-16: save it as UTF-8")
        if b"\0" in line:
            raise InvalidFile(f"line {self.number} has a NUL byte, so the file is not CSV text: save it as UTF-8")
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise InvalidFile(f"line {self.number} is not in UTF-8 ({error.reason}): save the file as UTF-8") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Csv:
    """Comma-separated values; options that are None are inferred from the first rows."""

    delimiter: str | None = None
    """Between cells: `,`, `;`, tab or `|`."""

    header: bool | None = None
    """Whether the first row names the columns."""

    format: ClassVar[str] = "csv"
    content_types: ClassVar[tuple[str, ...]] = ("text/csv", "application/csv", "text/tab-separated-values")
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".tab")
    is_table: ClassVar[bool] = True

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Return False: any text may be CSV."""
        return False

    @classmethod
    def of(cls, schema: Schema) -> Self:
        """Return the reader that reads a file as its schema was inferred."""
        return cls(**schema.layout)

    def options(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return asdict(self)

    def infer_schema(self, path: Path, types: Mapping[str, ColumnType], limits: Limits) -> Schema:
        """Return the schema of a file, in one pass. Raises `InvalidFile` at the first place that is wrong."""
        with path.open("rb") as file:
            return self.infer_options(file, limits).summarize(file, types, limits)

    def infer_options(self, file: BinaryIO, limits: Limits) -> Self:
        """Return the reader with every option set, by the file's first rows; the file is then at its start."""
        head = file.read(SAMPLE_BYTES)
        file.seek(0)
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter not in DELIMITERS):
            raise InvalidFile("a delimiter must be a comma, a semicolon, a tab or a bar")
        reader = replace(self, delimiter=self.delimiter or infer_delimiter(head))
        first = next(reader.records(file, limits), None)
        file.seek(0)
        if first is None:
            raise InvalidFile("the file is empty: it needs a row of names and rows of values")
        return replace(reader, header=is_header(first) if self.header is None else self.header)

    def records(self, file: BinaryIO, limits: Limits) -> Iterator[list[str]]:
        """Yield the rows as stored, the header included; empty lines are skipped."""
        yield from self._records(_Lines(file, limits.record_bytes))

    def _records(self, lines: _Lines) -> Iterator[list[str]]:
        try:
            for row in csv.reader(lines, delimiter=self.delimiter or ",", strict=True):
                lines.record = 0
                if row:
                    yield row
        except csv.Error as error:
            raise InvalidFile(f"line {lines.number}: {_message(error)}") from None

    def chunks(self, file: BinaryIO, limits: Limits) -> Iterator[list[list[str]]]:
        """Yield the rows in chunks of about `CHUNK_CELLS` cells; the first chunk is one row, the names.

        Raises `InvalidFile` for rows of different lengths, and for more columns or cells than the limits allow.
        """
        lines = _Lines(file, limits.record_bytes)
        records = self._records(lines)
        first = next(records)
        if len(first) > limits.columns:
            raise InvalidFile(f"the table has {len(first)} columns, more than {limits.columns}: remove some")
        names = _column_names(first) if self.header else [str(i) for i in range(len(first))]
        yield [names]
        chunk: list[list[str]] = []
        chunk_start = 0
        for row_number, row in zip(count(1), records if self.header else chain([first], records), strict=False):
            if len(row) != len(names):
                message = f"row {row_number} (line {lines.number}) has {len(row)} cells and not {len(names)}"
                raise InvalidFile(f"{message}: every row needs one cell for each column")
            if row_number * len(names) > limits.cells:
                raise InvalidFile(f"the table has more than {limits.cells} cells: send fewer rows or columns")
            chunk.append(row)
            if len(chunk) * len(names) >= CHUNK_CELLS or lines.bytes - chunk_start >= CHUNK_BYTES:
                yield chunk
                chunk, chunk_start = [], lines.bytes
        if chunk:
            yield chunk

    def summarize(self, file: BinaryIO, types: Mapping[str, ColumnType], limits: Limits) -> Schema:
        """Return the schema of a file whose options are set, by one pass from its start."""
        chunks = self.chunks(file, limits)
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
        columns = tuple(of_column.column() for of_column in statistics)
        layout = {"delimiter": self.delimiter or ",", "header": bool(self.header)}
        return Schema(format=self.format, rows=rows, columns=columns, layout=layout)

    def load(self, path: Path, schema: Schema, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
        """Return columns by name: float64 with NaN for missing values, categories as int32 codes with −1."""
        places = [schema.columns.index(column) for column in columns]
        parsers = [PARSERS[column.type](column) for column in columns]
        arrays = [np.empty(schema.rows, parser.dtype) for parser in parsers]
        start = 0
        with path.open("rb") as file:
            chunks = self.chunks(file, Limits(cells=schema.rows * len(schema.columns), columns=len(schema.columns)))
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

    def rows(self, path: Path, schema: Schema, offset: int, limit: int) -> list[dict[str, Any]]:
        """Return a page of rows, each an object by column; numbers as numbers, missing values as None."""
        with path.open("rb") as file:
            first = offset + bool(self.header)
            page = islice(self.records(file, Limits()), first, first + limit)
            return [_to_record(row, schema.columns) for row in page]


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


def infer_delimiter(head: bytes) -> str:
    """Return the delimiter that gives the most columns, the same number in each of the first rows.

    Where none does, the delimiter that occurs most often in one row.
    """
    text = head.decode(errors="replace").replace("\0", "")
    sample = text if len(head) < SAMPLE_BYTES else text[: text.rfind("\n") + 1] or text
    return max(DELIMITERS, key=lambda delimiter: _column_counts(sample, delimiter))


def _column_counts(sample: str, delimiter: str) -> tuple[int, int]:
    """Return the number of columns where it is the same in all rows and above 1, else 0; and the largest number."""
    reader = csv.reader(sample.splitlines(keepends=True), delimiter=delimiter)
    try:
        lengths = [len(row) for row in islice(reader, SAMPLE_ROWS) if row]
    except csv.Error:
        return 0, 0
    equal = lengths[0] if len(set(lengths)) == 1 else 0
    return equal if equal > 1 else 0, max(lengths, default=0)


def is_header(first: list[str]) -> bool:
    """Return whether the first row of a table is its header."""
    cells = [cell.strip() for cell in first]
    values = [value for cell in cells if (value := parse_number(cell)) is not None]
    if len(values) + sum(cell in MISSING for cell in cells) == len(cells):
        return False
    return not values or (len(values) > 1 and values in (list(range(len(values))), list(range(1, len(values) + 1))))


def _column_names(header: list[str]) -> list[str]:
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


def _to_record(row: list[str], columns: Sequence[Column]) -> dict[str, Any]:
    return {column.name: to_json(cell.strip(), column) for cell, column in zip(row, columns, strict=False)}


def to_json(cell: str, column: Column) -> Any:
    """Return a cell as JSON: a number, a text, or None where it is missing."""
    if cell in MISSING:
        return None
    return parse_number(cell) if column.type == "number" else cell


ERROR_MESSAGES = {
    "field larger": "a cell is longer than 131072 characters: shorten it",
    "unexpected end": "the file ends inside quotes: close them",
    "expected after": "text follows a closing quote: double the quotes inside a cell",
    "new-line character": "a line ends with a bare carriage return: save the file with LF or CRLF",
}
"""Messages for errors of Python's csv module, by a part of their text."""


def _message(error: csv.Error) -> str:
    return next((message for part, message in ERROR_MESSAGES.items() if part in str(error)), str(error))
