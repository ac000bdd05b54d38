"""What the scans of a table find of one column, and the column that follows from it."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from core.data.cells import FLOAT32_MAX, NumberForm, parse_number, quote
from core.data.column_statistics import MIN_NUMBERS, NEARLY, integer_classes, sort_classes
from core.data.date_forms import DateForm
from core.data.errors import InvalidFile
from core.data.readers.tables.rules import CellRules, seconds, stripped
from core.data.readers.tables.table import TextTable, first_row
from core.data.schema import Column, ColumnType, Limits

FEW = 20
"""Different values up to which any column of texts has classes."""


@dataclass
class Found:
    """What is known of a column."""

    place: int
    name: str
    requested: ColumnType | None
    rows: int
    numbers: dict[str, Any]
    """Count, minimum, maximum, mean and deviation of its finite numbers; counts of fractions and infinite ones; the
    least and the greatest of its other texts (`low`, `high`)."""
    number_of: str
    """The expression of its numbers."""
    missing: int = 0
    form: NumberForm | None = None
    codes: int = 0
    """Numbers that are codes: digits after a zero, or more than a number keeps."""
    few: bool = False
    """Whether it may have few different values."""
    date: DateForm | None = None
    dates: dict[str, Any] = field(default_factory=dict)
    unclear_date: bool = False
    """Whether day and month can be exchanged in every date."""
    counts: dict[str, int] | None = None
    """Its values with their counts; None where they are too many."""

    @property
    def present(self) -> int:
        """Cells that are not missing."""
        return self.rows - self.missing

    @property
    def not_numbers(self) -> int:
        """Cells that are neither missing nor a number."""
        return self.present - int(self.numbers["count"]) - int(self.numbers["infinite"])

    @property
    def type(self) -> ColumnType:
        """The type that a client sets, or that follows from the cells."""
        if self.requested is not None:
            return self.requested
        if self.present and not self.not_numbers and not self.codes:
            return "number"
        if self.date is not None:
            return "datetime"
        # Names and keys differ in nearly every row: as categories, a net cannot learn from them.
        few = self.counts is not None and len(self.counts) <= max(FEW, self.present // 2)
        return "category" if self.present and few else "text"

    @property
    def is_nearly_numeric(self) -> bool:
        """Whether few cells stand in the way of a column of numbers."""
        most = max(NEARLY * self.present, 1 if self.present >= MIN_NUMBERS else 0)
        return self.requested is None and self.type != "number" and 0 < self.not_numbers <= most


class Asked(NamedTuple):
    """What columns are made of."""

    table: TextTable
    rules: CellRules
    limits: Limits
    categories: int
    """Different values up to which a column of texts has classes."""


def column_of(found: Found, asked: Asked) -> Column:
    """Return the column. Raises `InvalidFile` where its cells are not of the type that a client sets."""
    distinct = None if found.counts is None else len(found.counts)
    column = Column(name=found.name, type=found.type, rows=found.rows, missing=found.missing, distinct=distinct)
    if found.is_nearly_numeric:
        first = first_row(asked.table, found.place, _not_a_number(found, asked.rules))
        column = replace(column, not_numbers=found.not_numbers, first_not_number=first)
    complete = _COMPLETE.get(found.type)
    return complete(column, found, asked) if complete else column


def _not_a_number(found: Found, rules: CellRules) -> str:
    return f"{found.number_of} IS NULL AND NOT {rules.is_missing_number(stripped())}"


def _number(column: Column, found: Found, asked: Asked) -> Column:
    if found.not_numbers:
        _refuse(found, first_row(asked.table, found.place, _not_a_number(found, asked.rules)), "is not a number")
    numbers = found.numbers
    if numbers["infinite"] or max(abs(numbers["min"] or 0), abs(numbers["max"] or 0)) > FLOAT32_MAX:
        outside = first_row(asked.table, found.place, f"abs({found.number_of}) > {FLOAT32_MAX!r}")
        _refuse(found, outside, "is outside the range of float32")
    column = replace(column, decimal=(found.form or asked.rules.form).decimal)
    if not numbers["count"]:
        return column
    integers = not numbers["fractions"]
    moments: dict[str, Any] = {name: float(numbers[name]) for name in ("min", "max", "mean", "std")}
    plain = integers and found.counts is not None and all(parse_number(text) is not None for text in found.counts)
    classes = integer_classes(Counter(found.counts), asked.limits) if plain else ()
    return replace(column, **moments, integers=integers, classes=classes)


def _refuse(found: Found, first: tuple[int, str] | None, problem: str) -> None:
    row, cell = first or (0, "")
    place = f"row {row}, column {quote(found.name)}"
    raise InvalidFile(f"{place}: {quote(cell.strip())} {problem}: correct it or leave it empty")


def _category(column: Column, found: Found, asked: Asked) -> Column:
    if found.counts is None:
        message = f"column {quote(column.name)} cannot be a category: it has more than {asked.categories} different"
        raise InvalidFile(f"{message} values, or a value of more than {asked.limits.category_length} characters")
    return replace(column, classes=tuple((name, found.counts[name]) for name in sort_classes(found.counts)))


def _datetime(column: Column, found: Found, asked: Asked) -> Column:
    if found.date is None:
        form = asked.rules.dates
        if form is not None:
            other = f"{seconds(stripped(), form)} IS NULL AND NOT {asked.rules.is_missing(stripped())}"
            _refuse(found, first_row(asked.table, found.place, other), f"is not a date of the form {form.format}")
        message = f"column {quote(column.name)} is not all dates of one usual form"
        raise InvalidFile(f"{message}: say its date_format, such as %d.%m.%Y, or leave its type out")
    moments: dict[str, Any] = {name: float(found.dates[name]) for name in ("min", "max", "mean", "std")}
    return replace(column, **moments, date_format=found.date.format)


_COMPLETE: Mapping[str, Callable[[Column, Found, Asked], Column]] = {
    "number": _number,
    "category": _category,
    "datetime": _datetime,
}
"""Completes a column of a type; texts have nothing more."""
