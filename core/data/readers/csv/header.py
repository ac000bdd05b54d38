"""Whether the first record of a table names its columns."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from core.data.readers.cell_table import is_header
from core.data.readers.csv.layout import ReadAs
from core.data.readers.csv.records import kind_of

BODY_ROWS = 200


class _First(NamedTuple):
    """The first record, beside the rows below it."""

    cells: Sequence[str]
    kinds: Sequence[str]
    """What each of its cells is."""
    body: Sequence[str]
    """What all cells below each of them are, `text` where they differ."""
    recurs: str | None
    """One of its texts that a row below has in the same column."""


_RULES: Sequence[tuple[Callable[[_First], bool], bool, bool, str]] = (
    (
        lambda first: all(kind in ("number", "missing") for kind in first.kinds),
        False,
        True,
        "all its cells are numbers",
    ),
    (lambda first: "date" in first.kinds, False, True, "it has a date"),
    (lambda first: "number" in first.kinds and is_header(list(first.cells)), True, True, "its numbers count columns"),
    (lambda first: "number" in first.kinds, False, True, "it has a number among its texts"),
    (lambda first: bool({"number", "date"} & set(first.body)), True, True, "it has words above columns of numbers"),
    (lambda first: first.recurs is not None, False, False, "one of its words is in a row below it too"),
    (lambda _: True, True, False, "it has words only"),
)
"""What shows a header or its lack, the surest first: test, whether it is one, whether that is certain, reason."""


def header_of(first: Sequence[str], body: Sequence[Sequence[str]]) -> tuple[ReadAs, bool]:
    """Return whether the first record is the header, and whether that is certain."""
    rows = [row for row in body[:BODY_ROWS] if len(row) == len(first)]
    columns = list(zip(*rows, strict=True)) or [()] * len(first)
    repeated = (cell for cell, column in zip(first, columns, strict=True) if cell.strip() and cell in column)
    seen = _First(first, list(map(kind_of, first)), list(map(_kind_of_all, columns)), next(repeated, None))
    value, certain, reason = next((value, certain, reason) for test, value, certain, reason in _RULES if test(seen))
    return ReadAs(value, reason), certain


def _kind_of_all(cells: Sequence[str]) -> str:
    kinds = set(map(kind_of, cells)) - {"missing"}
    return kinds.pop() if len(kinds) == 1 else "text"
