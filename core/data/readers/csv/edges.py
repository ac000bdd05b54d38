"""Where a table begins and ends in a file: lines above it, a footer, and a last row that is cut short."""

from collections.abc import Sequence
from typing import NamedTuple

from core.data.readers.csv.records import Record, kind_of

MAX_FOOTER = 20
"""Records at the end of a file that may be no rows."""
TABLE_SHARE = 0.8
"""The part of the last records that are rows, where the end of a file can be read by itself."""


class Begin(NamedTuple):
    """Where the table begins."""

    first: int
    """The place of its first record, the header if there is one."""
    names_rows: bool = False
    """Whether the header has one cell less than the rows, which begin with names, as R writes them."""


class End(NamedTuple):
    """Where the table ends."""

    footer: int = 0
    """Records after the table."""
    lacking: int = 0
    """Cells that the last row lacks."""


def begin_of(records: Sequence[Record], width: int) -> Begin:
    """Return where the first record of `width` cells is that another follows; titles and comments stand above it."""
    for place, record in enumerate(records):
        after = records[place + 1] if place + 1 < len(records) else None
        if record.cells[0].lstrip().startswith("#") and not _is_header_of_comment(records, place, width):
            continue
        followed = after is not None and len(after.cells) == width
        title = record.is_title and after is not None and not after.is_title
        if len(record.cells) == width and not title and (after is None or followed or place == 0):
            return Begin(place)
        if len(record.cells) == width - 1 and followed and place < 2 and _names_columns(record, records[place + 1 :]):
            return Begin(place, names_rows=True)
    return Begin(0)


def _is_header_of_comment(records: Sequence[Record], place: int, width: int) -> bool:
    """Return whether a line of a comment names the columns: it has their number, and the rows follow it."""
    if len(records[place].cells) != width or width == 1 or place + 1 >= len(records):
        return False
    after = records[place + 1].cells
    return len(after) == width and not after[0].lstrip().startswith("#")


def _names_columns(record: Record, rows: Sequence[Record]) -> bool:
    """Return whether a record has words only, and the rows below it begin with names of their own."""
    full = [row for row in rows if len(row.cells) == len(record.cells) + 1]
    names = [row.cells[0] for row in full]
    words = [all(kind_of(cell) == "text" for cell in row.cells) for row in (record, *full[:20])]
    # A title stands above a row of words, which is the header where the rows below it are not.
    is_title = record.lines[-1] + 1 != full[0].lines[0] or (words[1] and not all(words))
    return words[0] and not is_title and len(set(names)) == len(names)


def end_of(records: Sequence[Record], width: int) -> End:
    """Return what stands after the last row of a table that has at least one row."""
    if width < 2 or sum(len(record.cells) == width for record in records) < TABLE_SHARE * (len(records) - MAX_FOOTER):
        return End()
    footer = 0
    for record in reversed(records[1:][-MAX_FOOTER:]):
        if len(record.cells) != 1 and not record.is_title:
            break
        footer += 1
    rows = records[: len(records) - footer]
    if footer == 1 and len(records[-1].cells) == 1 and _is_cut(records[-1], rows, width):
        return End(0, width - 1)
    if footer and rows and _has_titles(rows):
        return End()
    if not footer and rows and 1 < len(rows[-1].cells) < width and len(rows) > 1:
        return End(0, width - len(rows[-1].cells))
    return End(footer)


def _has_titles(rows: Sequence[Record]) -> bool:
    """Return whether rows with one text are usual in the table, and so no footer."""
    return sum(row.is_title for row in rows) > 0.05 * len(rows)


def _is_cut(last: Record, rows: Sequence[Record], width: int) -> bool:
    """Return whether one cell is the beginning of a row, and not a line below the table."""
    if not rows or last.lines[0] > rows[-1].lines[-1] + 1:
        return False
    kinds = {kind_of(row.cells[0]) for row in rows if len(row.cells) == width} - {"missing"}
    cell = last.cells[0].strip()
    return kind_of(cell) in kinds and not (kind_of(cell) == "text" and (" " in cell or ":" in cell))
