"""The table of a file of text, read by DuckDB with everything said."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from core.data.errors import InvalidFile
from core.data.readers.csv.layout import BLANKS, Layout
from core.data.readers.csv.records import cells_of
from core.data.readers.csv.stream import Source, text_blocks
from core.data.readers.tables.connection import NotReadable, literal, locked_connection
from core.data.readers.tables.pipe import piped
from core.data.readers.tables.table import Scan

NEVER = "\x01"
"""A text that stands for no value: DuckDB gives empty texts, not NULL."""
BUFFER_BYTES = 8 * 2**20


class MixedLineEnds(Exception):
    """The lines of the file end in different ways."""


class NotUtf8(InvalidFile):
    """The file has bytes that are not UTF-8."""


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A file of text as a table of texts."""

    source: Source
    layout: Layout
    width: int
    record_bytes: int

    @property
    def _is_direct(self) -> bool:
        return self.layout.plain and not isinstance(self.source, bytes)

    @property
    def _skipped(self) -> int:
        """Records that DuckDB skips; a pipe begins after them."""
        return self.layout.header_lines if self._is_direct else 0

    @contextmanager
    def scan(self) -> Iterator[Scan]:
        """Open the table for one query. Raises `InvalidFile` where the file does not fit its layout."""
        with ExitStack() as stack:
            path = str(self.source)
            if not self._is_direct:
                path = stack.enter_context(piped(partial(text_blocks, self.source, self.layout, self.record_bytes)))
            try:
                with locked_connection(path) as connection:
                    yield Scan(connection, self._relation(path))
            except NotReadable as error:
                raise self._explained(str(error)) from None

    def _relation(self, path: str) -> str:
        layout = self.layout
        columns = ", ".join(f"c{place}: 'VARCHAR'" for place in range(self.width))
        options = {
            "auto_detect": "false",
            "header": "false",
            "delim": literal("\t" if layout.delimiter == BLANKS else layout.delimiter),
            "quote": literal(layout.quote),
            "escape": literal(layout.escape),
            "nullstr": literal(NEVER),
            "skip": str(self._skipped),
            "max_line_size": str(self.record_bytes),
            "buffer_size": str(max(BUFFER_BYTES, 2 * self.record_bytes)),
            "compression": "'none'",
            "columns": f"{{{columns}}}",
        }
        return f"read_csv({literal(path)}, {', '.join(f'{name} = {value}' for name, value in options.items())})"

    def _explained(self, message: str) -> Exception:
        if "invalid state" in message and not self.layout.line_ends:
            return MixedLineEnds()
        if found := re.search(r"Expected Number of Columns: (\d+)", message):
            return self._wrong_width(int(found[1]))
        line = re.search(r"CSV Error on Line: (\d+)", message)
        row = int(line[1]) - self._skipped if line else 0
        for words, kind, problem in PROBLEMS:
            if words in message:
                return kind(f"row {row} {problem.format(bytes=self.record_bytes)}")
        return InvalidFile(f"the file cannot be read as CSV: {message.splitlines()[0][:200]}")

    def _wrong_width(self, width: int) -> InvalidFile:
        """Return the error of the first row that has not `width` cells; DuckDB counts empty lines as rows too."""
        blocks = text_blocks(self.source, self.layout, self.record_bytes)
        for row, cells in enumerate(cells_of(blocks, self.layout), 1):
            if len(cells) != width:
                message = f"row {row} has {len(cells)} cells and not {width}"
                return InvalidFile(f"{message}: every row needs one cell for each column")
        return InvalidFile(f"a row has not {width} cells: every row needs one cell for each column")


PROBLEMS = (
    (
        "unterminated quote",
        InvalidFile,
        "has a quote that is not closed, or text after a closing quote: close it, and double the quotes inside a cell",
    ),
    ("Maximum line size", InvalidFile, "is longer than {bytes} bytes: close its quotes, or shorten it"),
    ("Invalid unicode", NotUtf8, "is not in UTF-8: save the file as UTF-8, or name its encoding"),
)
"""What DuckDB says of a file that it cannot read, and what to say instead."""
