"""Statistics of columns, accumulated block by block without keeping the values.

Means and deviations are merged as by Chan, Golub and LeVeque (1979); different values are counted while they are few.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.cells import FLOAT32_MAX, MISSING, fits_float32, parse_number, quote
from core.data.errors import InvalidFile
from core.data.schema import Column, ColumnType, Limits

NEARLY = 0.05
"""The part of a column's cells that may be no numbers in a column that is nearly numeric."""
MIN_NUMBERS = 5
"""Cells from which a column with a single one that is no number is nearly numeric."""
MAX_NOT_NUMBERS = 20
"""Cells that are no numbers after which a short column is not counted further."""


class Moments:
    """Count, minimum, maximum, mean and standard deviation of numbers, added in blocks."""

    def __init__(self) -> None:
        self.count = 0
        self.min = math.inf
        self.max = -math.inf
        self.integers = True
        self._mean = 0.0
        self._squares = 0.0  # the sum of squared differences from the mean

    def add(self, block: NDArray[Any]) -> None:
        """Add a block of finite numbers."""
        if not block.size:
            return
        values = block.astype(np.float64, copy=False)
        total = self.count + values.size
        mean = float(values.mean())
        difference = mean - self._mean
        self._squares += float(np.square(values - mean).sum()) + difference**2 * self.count * values.size / total
        self._mean += difference * values.size / total
        self.count = total
        self.min = min(self.min, float(values.min()))
        self.max = max(self.max, float(values.max()))
        self.integers = self.integers and bool((values == np.rint(values)).all())

    def fields(self) -> dict[str, Any]:
        """Return the statistics as fields of a `Column`; empty where no number was added."""
        if not self.count:
            return {}
        std = math.sqrt(self._squares / self.count)
        return {"min": self.min, "max": self.max, "mean": self._mean, "std": std, "integers": self.integers}


class IntegerCounts:
    """Counts of integers, added in blocks; dropped when a number is not an integer or too many are different."""

    def __init__(self, max_distinct: int) -> None:
        self._max_distinct = max_distinct
        self._counts: Counter[int] | None = Counter()

    def add(self, block: NDArray[Any]) -> None:
        """Add a block of finite numbers."""
        if self._counts is None:
            return
        integers, counts = np.unique(block, return_counts=True)
        if len(integers) > self._max_distinct or (integers != np.rint(integers)).any():
            self._counts = None
            return
        for value, count in zip(integers.tolist(), counts.tolist(), strict=True):
            self._counts[int(value)] += count
        if len(self._counts) > self._max_distinct:
            self._counts = None

    def fields(self) -> dict[str, Any]:
        """Return the counts as fields of a `Column`."""
        counts = self._counts or Counter[int]()
        classes = tuple((str(value), counts[value]) for value in sorted(counts))
        return {"classes": classes, "distinct": len(classes) or None}


class ColumnStatistics:
    """Statistics of one column of texts, from which its type is inferred."""

    def __init__(self, name: str, requested: ColumnType | None, limits: Limits, categories: int) -> None:
        self._name = name
        self._requested = requested
        self._limits = limits
        self._categories = categories
        self._rows = 0
        self._missing = 0
        self._counts: Counter[str] | None = Counter()
        self._moments: Moments | None = Moments()
        self._not_a_number: tuple[int, str] | None = None  # the first row whose cell is not a number, and the cell
        self._not_numbers: int | None = 0  # cells that are not numbers; None where too many are
        self._outside: tuple[int, str] | None = None  # the first row whose number is outside the range of float32

    def add(self, cells: Sequence[str]) -> None:
        """Add the next cells of the column."""
        stripped = list(map(str.strip, cells))
        present = [cell for cell in stripped if cell not in MISSING]
        if self._moments is not None:
            self._add_numbers(stripped, present, self._moments)
        if self._not_a_number is not None and self._not_numbers is not None:
            self._count_not_numbers(present)
        if self._counts is not None:
            self._add_counts(present, self._counts)
        self._missing += len(stripped) - len(present)
        self._rows += len(stripped)

    def _add_numbers(self, stripped: list[str], present: list[str], moments: Moments) -> None:
        values = parse_floats(present)
        if values is None:
            self._not_a_number = self._first_row(stripped, lambda value: value is None)
            self._moments = None
            return
        inside = np.abs(values) <= FLOAT32_MAX
        if not inside.all():
            self._outside = self._outside or self._first_row(
                stripped, lambda value: value is not None and not fits_float32(value)
            )
            values = values[inside]
        moments.add(values)

    def _count_not_numbers(self, present: list[str]) -> None:
        """Count cells that are not numbers, until they are too many for a column that is nearly numeric."""
        seen = self._rows - self._missing + len(present)
        if self._not_numbers is not None and parse_floats(present) is None:
            self._not_numbers += sum(parse_number(cell) is None for cell in present)
            if self._not_numbers > max(MAX_NOT_NUMBERS, seen * NEARLY):
                self._not_numbers = None

    def _first_row(self, stripped: list[str], wrong: Callable[[float | None], bool]) -> tuple[int, str]:
        return next(
            (self._rows + row, cell)
            for row, cell in enumerate(stripped, 1)
            if cell not in MISSING and wrong(parse_number(cell))
        )

    def _add_counts(self, present: list[str], counts: "Counter[str]") -> None:
        counts.update(present)
        if len(counts) > self._categories or max(map(len, present), default=0) > self._limits.category_length:
            self._counts = None

    def column(self) -> Column:
        """Return the column, of the type that was requested or else inferred. Raises `InvalidFile`."""
        column_type = self._requested or self._inferred_type()
        distinct = None if self._counts is None else len(self._counts)
        found = Column(name=self._name, type=column_type, rows=self._rows, missing=self._missing, distinct=distinct)
        if column_type != "number" and self._requested is None and self._is_nearly_numeric():
            found = replace(found, not_numbers=self._not_numbers or 0, first_not_number=self._not_a_number)
        complete = {"number": self._number, "category": self._category, "text": self._text}
        return complete[column_type](found)

    def _inferred_type(self) -> ColumnType:
        present = self._rows - self._missing
        if present and self._moments is not None:
            return "number"
        # Names and keys differ in nearly every row: as categories, a net cannot learn from them.
        few = self._counts is not None and len(self._counts) <= max(20, present // 2)
        return "category" if present and few else "text"

    def _is_nearly_numeric(self) -> bool:
        present = self._rows - self._missing
        most = max(NEARLY * present, 1 if present >= MIN_NUMBERS else 0)
        return self._not_a_number is not None and 0 < (self._not_numbers or 0) <= most

    def _number(self, found: Column) -> Column:
        wrong = self._not_a_number or self._outside
        if wrong:
            row, cell = wrong
            problem = "is not a number" if self._not_a_number else "is outside the range of float32"
            message = f"row {row}, column {quote(self._name)}: {quote(cell)} {problem}: correct it or leave it empty"
            raise InvalidFile(message)
        fields = self._moments.fields() if self._moments else {}
        classes = integer_classes(self._counts, self._limits) if fields.get("integers") else ()
        return replace(found, **fields, classes=classes)

    def _category(self, found: Column) -> Column:
        if self._counts is None:
            message = f"column {quote(self._name)} cannot be a category: it has more than {self._categories} different"
            raise InvalidFile(f"{message} values, or a value of more than {self._limits.category_length} characters")
        return replace(found, classes=tuple((name, self._counts[name]) for name in sort_classes(self._counts)))

    def _text(self, found: Column) -> Column:
        return found


def parse_floats(cells: list[str]) -> NDArray[np.float64] | None:
    """Return the numbers in all cells, or None where one is not a number."""
    joined = "".join(cells)
    if "_" in joined or not joined.isascii():
        return None
    try:
        values = np.fromiter(map(float, cells), dtype=np.float64, count=len(cells))
    except ValueError:
        return None
    return None if np.isnan(values).any() else values


def integer_classes(counts: "Counter[str] | None", limits: Limits) -> tuple[tuple[str, int], ...]:
    """Return the counts of integers by their digits (`1` also for `1.0` and `01`); empty where too many differ."""
    if counts is None or len(counts) > 4 * limits.whole_numbers:
        return ()
    integers: Counter[int] = Counter()
    for cell, count in counts.items():
        integers[int(float(cell))] += count
    if len(integers) > limits.whole_numbers:
        return ()
    return tuple((str(integer), integers[integer]) for integer in sorted(integers))


def sort_classes(names: Iterable[str]) -> list[str]:
    """Return class names in order: by value where all are numbers, else by letters."""
    alphabetic = sorted(names)
    numeric = all(parse_number(name) is not None for name in alphabetic)
    return sorted(alphabetic, key=float) if numeric else alphabetic
