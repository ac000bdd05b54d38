"""The records of a sample: rows of cells with their lines, and the text with a letter for each quoted cell."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from core.data.cells import COMMA, MISSING, MISSING_AMONG_NUMBERS, POINT, parse_written_number
from core.data.date_forms import date_forms_of
from core.data.readers.csv.layout import BLANKS, Layout
from core.data.readers.csv.stream import simplified

MASK = "Q"


class Record(NamedTuple):
    """A row of a sample."""

    cells: list[str]
    lines: range
    """The lines that it stands in."""

    @property
    def is_title(self) -> bool:
        """Whether only the first of at least three cells has a text, as spreadsheets write lines beside a table."""
        return len(self.cells) > 2 and bool(self.cells[0].strip()) and not any(cell.strip() for cell in self.cells[1:])


def lines_of(text: str) -> list[str]:
    """Return the lines of a text with their ends, LF, CR or CRLF."""
    return list(io.StringIO(text, newline=""))


def masked(text: str, quote: str, escape: str) -> str:
    """Return the text with one letter for each quoted cell."""
    if not quote:
        return text
    inside = rf"[^{quote}\\]|{quote}{quote}|\\." if escape == "\\" else rf"[^{quote}]|{quote}{quote}"
    return re.sub(rf"(?ms)(^|(?<=[,;|\t ])){quote}(?:{inside})*+{quote}", MASK, text)


def records_of(lines: Sequence[str], layout: Layout) -> list[Record]:
    """Return the rows of lines; empty lines are left out. A row that is not closed ends them."""
    reader = _reader((simplified(line, layout) for line in lines), layout)
    records, before = [], 0
    try:
        for cells in reader:
            if cells:
                records.append(Record(cells, range(before, reader.line_num)))
            before = reader.line_num
    except csv.Error:
        pass
    return records


def cells_of(blocks: Iterable[bytes], layout: Layout) -> Iterator[list[str]]:
    """Yield the cells of each row of a table in UTF-8, whose lines are simplified; a row that is not closed ends it."""
    try:
        yield from filter(None, _reader(_lines(blocks), layout))
    except (csv.Error, UnicodeDecodeError):
        return


def _lines(blocks: Iterable[bytes]) -> Iterator[str]:
    held = b""
    for block in blocks:
        *lines, held = (held + block).split(b"\n")
        yield from (f"{line.decode()}\n" for line in lines)
    yield held.decode()


def _reader(lines: Iterable[str], layout: Layout) -> Any:
    return csv.reader(
        lines,
        delimiter="\t" if layout.delimiter == BLANKS else layout.delimiter,
        quotechar=layout.quote or None,
        quoting=csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE,
        doublequote=layout.escape == layout.quote,
        escapechar=None if layout.escape == layout.quote else layout.escape,
        skipinitialspace=layout.delimiter != "\t",
    )


def usual_width(records: Sequence[Record]) -> int:
    """Return the number of cells that most records have."""
    widths = Counter(len(record.cells) for record in records)
    return max(widths, key=lambda width: (widths[width], width), default=0)


def kind_of(cell: str) -> str:
    """Return what a cell is: `missing`, `number`, `date` or `text`."""
    text = cell.strip()
    if text in MISSING or text in MISSING_AMONG_NUMBERS:
        return "missing"
    if any(parse_written_number(text, form) is not None for form in (POINT, COMMA)):
        return "number"
    return "date" if text[:1].isalnum() and text[-1:].isalnum() and len(text) < 40 and date_forms_of(text) else "text"
