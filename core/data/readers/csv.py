"""Reader of CSV files, plain or compressed by gzip or zstd, read as a stream.

Encoding is UTF-8, with or without a byte order mark; four delimiters; quotes as in RFC 4180; line ends LF or CRLF.

The first row is the header unless it cannot be: a row of only numbers is data (columns are then named `0`, `1`, …), and
so is a row with a number among texts, unless its numbers count columns: 0, 1, 2, … or 1, 2, 3, …, which programs write
for tables without names, or years in equal steps, as 2019, 2020, ….
"""

import csv
import gzip
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Self

from numpy.typing import NDArray

from core.data.errors import InvalidFile
from core.data.readers.cell_table import CHUNK_CELLS, column_names, is_header, load_columns, summarize, to_record
from core.data.schema import Column, ColumnType, Limits, Schema

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DELIMITERS = ",;\t|"
CHUNK_BYTES = 4 * 2**20
SAMPLE_BYTES = 65_536
SAMPLE_ROWS = 50
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
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
        """Return whether a file is compressed, as no other format of one file is; any text may be CSV."""
        return head.startswith((GZIP, ZSTD))

    @classmethod
    def of(cls, schema: Schema) -> Self:
        """Return the reader that reads a file as its schema was inferred."""
        return cls(**schema.layout)

    def options(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return asdict(self)

    def infer_schema(self, path: Path, types: Mapping[str, ColumnType], limits: Limits) -> Schema:
        """Return the schema of a file, in one pass. Raises `InvalidFile` at the first place that is wrong."""
        with opened(path) as file:
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
        names = column_names(first) if self.header else [str(i) for i in range(len(first))]
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
        rows, columns = summarize(self.chunks(file, limits), types, limits)
        layout = {"delimiter": self.delimiter or ",", "header": bool(self.header)}
        return Schema(format=self.format, rows=rows, columns=columns, layout=layout)

    def load(self, path: Path, schema: Schema, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
        """Return columns by name: float64 with NaN for missing values, categories as int32 codes with −1."""
        with opened(path) as file:
            chunks = self.chunks(file, Limits(cells=schema.rows * len(schema.columns), columns=len(schema.columns)))
            return load_columns(chunks, schema, columns)

    def rows(self, path: Path, schema: Schema, offset: int, limit: int) -> list[dict[str, Any]]:
        """Return a page of rows, each an object by column; numbers as numbers, missing values as None."""
        with opened(path) as file:
            first = offset + bool(self.header)
            page = islice(self.records(file, Limits()), first, first + limit)
            return [to_record(row, schema.columns) for row in page]


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, decompressing it on the way if it is compressed by gzip or zstd. Raises `InvalidFile` if damaged."""
    with path.open("rb") as file:
        head = file.read(len(ZSTD))
    opener: Any = gzip.open if head.startswith(GZIP) else zstd.open if head == ZSTD else open
    try:
        with opener(path, "rb") as unpacked:
            yield unpacked
    except (gzip.BadGzipFile, zlib.error, zstd.ZstdError, EOFError) as error:
        raise InvalidFile(f"the compressed file is damaged or cut short ({error}): compress it again") from None


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


ERROR_MESSAGES = {
    "field larger": "a cell is longer than 131072 characters: shorten it",
    "unexpected end": "the file ends inside quotes: close them",
    "expected after": "text follows a closing quote: double the quotes inside a cell",
    "new-line character": "a line ends with a bare carriage return: save the file with LF or CRLF",
}
"""Messages for errors of Python's csv module, by a part of their text."""


def _message(error: csv.Error) -> str:
    return next((message for part, message in ERROR_MESSAGES.items() if part in str(error)), str(error))
