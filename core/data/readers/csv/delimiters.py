"""What separates the cells of a file, and what quotes them, by its first lines."""

import re
from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

from core.data.cells import COMMA, POINT, parse_written_number
from core.data.readers.csv.layout import BLANKS, ReadAs
from core.data.readers.csv.records import MASK

DELIMITERS = ",;\t|"
WORDS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar", BLANKS: "runs of blanks"}
SAMPLE_LINES = 200
MOST = 0.9
"""The part of lines or cells that counts as all of them: there may be lines above the table."""


class _Split(NamedTuple):
    """How well a delimiter separates cells; the greatest is the best."""

    several: bool
    """Whether there is more than one cell in a line."""
    steady: bool
    """Whether most lines have as many cells."""
    clean: bool
    """Whether few cells have another delimiter in them, unless it is the sign of a number."""
    share: float
    spaced: float
    """The part of cells that do not begin with a blank, as words after a comma do."""
    width: int


def quote_of(text: str) -> tuple[ReadAs, str]:
    """Return what quotes cells, and what stands before a quote inside quotes."""
    found = {
        quote: len(re.findall(rf"(?m)(?:^|[,;|\t ]){quote}[^{quote}\n]*{quote}(?=[,;|\t ]|$)", text)) for quote in "\"'"
    }
    if found["'"] > 1 and not found['"'] and found["'"] >= len(text.splitlines()) / 2:
        return ReadAs("'", f"{found[chr(39)]} cells of the first lines stand in it"), "'"
    escape = "\\" if re.search(r'[^"\\]\\"[^,;|\t\r\n]', text) else '"'
    reason = f"{found[chr(34)]} cells of the first lines stand in it" if found['"'] else "nothing is quoted"
    return ReadAs('"', reason), escape


def delimiter_of(lines: Sequence[str]) -> tuple[ReadAs, bool]:
    """Return what separates cells, and whether another one would do as well; quoted cells of `lines` are masked."""
    body = [line.rstrip("\r\n") for line in lines if line.strip()][:SAMPLE_LINES]
    splits = {delimiter: _split(body, delimiter) for delimiter in DELIMITERS}
    best = max(splits, key=lambda delimiter: splits[delimiter])
    split = splits[best]
    if not (split.several and split.steady):
        words = [line.split() for line in body]
        if _are_columns(words):
            return ReadAs(BLANKS, f"they give {len(words[-1])} cells in each of the first lines"), False
    if not split.several:
        most = max(DELIMITERS, key=lambda delimiter: max((line.count(delimiter) for line in body), default=0))
        return ReadAs(most, "no line has more than one cell" if not split.share else "it occurs most often"), False
    rivals = [d for d, other in splits.items() if d != best and other[:3] == split[:3] == (True, True, True)]
    return ReadAs(best, f"{WORDS[best]} gives {split.width} cells in {_how_many(split.share)} first lines"), bool(
        rivals
    )


def _how_many(share: float) -> str:
    return "all" if share == 1 else f"{share:.0%} of the"


def _split(lines: Sequence[str], delimiter: str) -> _Split:
    rows = [line.split(delimiter) for line in lines]
    widths = [len(row) for row in rows]
    width = max(set(widths), key=lambda each: (widths.count(each), each), default=1)
    if width == 1 and len(rows) < 20:  # few lines, of which some are above or below the table
        width = max(widths, default=1)
    share = widths.count(width) / max(1, len(rows))
    others = DELIMITERS.replace(delimiter, "")
    cells = [cell for row in rows if len(row) == width for cell in row]
    dirty = sum(any(other in cell for other in others) and not _is_number(cell.strip()) for cell in cells)
    blank = sum(cell.startswith(" ") for cell in cells)
    count = max(1, len(cells))
    return _Split(width > 1, share >= MOST, dirty <= (1 - MOST) * count, share, 1 - blank / count, width)


def _is_number(cell: str) -> bool:
    return any(parse_written_number(cell, form) is not None for form in (POINT, COMMA))


def _are_columns(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether words are columns: the last lines have as many, and one of them is a number in each."""
    if len(rows) < 2:
        return False
    width = len(rows[len(rows) // 2])
    body = list(takewhile(lambda row: len(row) == width, reversed(rows[: len(rows) // 2 + 1])))
    body += list(takewhile(lambda row: len(row) == width, rows[len(rows) // 2 + 1 :]))
    if width < 2 or len(body) < 0.5 * len(rows):
        return False
    data = body if len(body) == 1 else [row for row in body if row is not rows[0]]
    return any(all(_is_number(row[place]) or row[place] == MASK + "NA" for row in data) for place in range(width))


def comment_of(lines: Sequence[str], delimiter: str) -> ReadAs:
    """Return what begins lines between the rows that have other cells than the rows; quoted cells are masked."""
    rows = [line.strip() for line in lines if line.strip()]
    first = next((place for place, line in enumerate(rows) if not line.startswith("#")), len(rows))
    separator = None if delimiter == BLANKS else delimiter
    widths = [len(line.split(separator)) for line in rows]
    usual = max(set(widths[first:]), key=widths[first:].count, default=0)
    marked = [width for line, width in zip(rows[first:], widths[first:], strict=True) if line.startswith("#")]
    if not marked or usual in marked:
        return ReadAs("", "no line between the rows begins with # and has other cells than they")
    return ReadAs("#", f"{len(marked)} lines between the first rows begin with it")
