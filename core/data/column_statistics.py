"""What a column of texts turns out to be, found in one pass that holds none of it.

Numbers are summed up chunk by chunk (Chan, Golub and LeVeque 1979), different values are counted while they are few.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.cells import FLOAT32_MAX, MISSING, fits, number, shown
from core.data.errors import InvalidFile
from core.data.schema import Column, ColumnType, Limits


class Moments:
    """Count, least, greatest, mean and standard deviation of numbers that come in blocks."""

    def __init__(self) -> None:
        self.count = 0
        self.min = math.inf
        self.max = -math.inf
        self.integers = True
        self._mean = 0.0
        self._squares = 0.0  # the sum of squared distances from the mean

    def add(self, block: NDArray[Any]) -> None:
        """Take in a block of finite numbers."""
        if not block.size:
            return
        values = block.astype(np.float64, copy=False)
        total = self.count + values.size
        mean = float(values.mean())
        apart = mean - self._mean
        self._squares += float(np.square(values - mean).sum()) + apart**2 * self.count * values.size / total
        self._mean += apart * values.size / total
        self.count = total
        self.min = min(self.min, float(values.min()))
        self.max = max(self.max, float(values.max()))
        self.integers = self.integers and bool((values == np.rint(values)).all())

    def fields(self) -> dict[str, Any]:
        """These figures as fields of a `Column`; none where no number came."""
        if not self.count:
            return {}
        std = math.sqrt(self._squares / self.count)
        return {"min": self.min, "max": self.max, "mean": self._mean, "std": std, "integers": self.integers}


class IntegerCounts:
    """Counts of whole numbers that come in blocks, for as long as they are whole and few."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: Counter[int] | None = Counter()

    def add(self, block: NDArray[Any]) -> None:
        """Take in a block of finite numbers."""
        if self._counts is None:
            return
        found, times = np.unique(block, return_counts=True)
        if len(found) > self._most or (found != np.rint(found)).any():
            self._counts = None
            return
        for value, count in zip(found.tolist(), times.tolist(), strict=True):
            self._counts[int(value)] += count
        if len(self._counts) > self._most:
            self._counts = None

    def fields(self) -> dict[str, Any]:
        """The counts as fields of a `Column`."""
        counts = self._counts or Counter[int]()
        classes = tuple((str(value), counts[value]) for value in sorted(counts))
        return {"classes": classes, "distinct": len(classes) or None}


class ColumnStatistics:
    """One column of a CSV file while it is read."""

    def __init__(self, name: str, wanted: ColumnType | None, limits: Limits, categories: int) -> None:
        self._name = name
        self._wanted = wanted
        self._limits = limits
        self._categories = categories
        self._rows = 0
        self._missing = 0
        self._counts: Counter[str] | None = Counter()
        self._moments: Moments | None = Moments()
        self._stray: tuple[int, str] | None = None  # the first row that holds no number
        self._beyond: tuple[int, str] | None = None  # the first row that holds a number no float32 can hold

    def add(self, cells: Sequence[str]) -> None:
        """Take in the next cells of the column."""
        stripped = list(map(str.strip, cells))
        present = [cell for cell in stripped if cell not in MISSING]
        if self._moments is not None:
            self._measure(stripped, present, self._moments)
        if self._counts is not None:
            self._count(present, self._counts)
        self._missing += len(stripped) - len(present)
        self._rows += len(stripped)

    def _measure(self, stripped: list[str], present: list[str], moments: Moments) -> None:
        values = floats(present)
        if values is None:
            self._stray = self._first(stripped, lambda value: value is None)
            self._moments = None
            return
        held = np.abs(values) <= FLOAT32_MAX
        if not held.all():
            self._beyond = self._beyond or self._first(stripped, lambda value: value is not None and not fits(value))
            values = values[held]
        moments.add(values)

    def _first(self, stripped: list[str], wrong: Callable[[float | None], bool]) -> tuple[int, str]:
        return next(
            (self._rows + row, cell)
            for row, cell in enumerate(stripped, 1)
            if cell not in MISSING and wrong(number(cell))
        )

    def _count(self, present: list[str], counts: "Counter[str]") -> None:
        counts.update(present)
        if len(counts) > self._categories or max(map(len, present), default=0) > self._limits.category_length:
            self._counts = None

    def column(self) -> Column:
        """What the column is, by what was wanted or by what was seen."""
        kind = self._wanted or self._guess()
        distinct = None if self._counts is None else len(self._counts)
        found = Column(name=self._name, type=kind, rows=self._rows, missing=self._missing, distinct=distinct)
        finish = {"number": self._number, "category": self._category, "text": self._text}
        return finish[kind](found)

    def _guess(self) -> ColumnType:
        there = self._rows - self._missing
        if there and self._moments is not None:
            return "number"
        # Names and other keys differ in nearly every row: nothing can be learnt from them as categories.
        few = self._counts is not None and len(self._counts) <= max(20, there // 2)
        return "category" if there and few else "text"

    def _number(self, found: Column) -> Column:
        wrong = self._stray or self._beyond
        if wrong:
            what = "is not a number" if self._stray else "is beyond what a float32 holds"
            message = (
                f"row {wrong[0]}, column {shown(self._name)}: {shown(wrong[1])} {what}: correct it or leave it empty"
            )
            raise InvalidFile(message)
        figures = self._moments.fields() if self._moments else {}
        classes = whole_numbers(self._counts, self._limits) if figures.get("integers") else ()
        return replace(found, **figures, classes=classes)

    def _category(self, found: Column) -> Column:
        if self._counts is None:
            message = (
                f"column {shown(self._name)} is no category: it holds more than {self._categories} different values"
            )
            raise InvalidFile(f"{message}, or one over {self._limits.category_length} characters")
        return replace(found, classes=tuple((name, self._counts[name]) for name in in_order(self._counts)))

    def _text(self, found: Column) -> Column:
        return found


def floats(cells: list[str]) -> NDArray[np.float64] | None:
    """The numbers that all these cells write, or None where one writes none."""
    joined = "".join(cells)
    if "_" in joined or not joined.isascii():
        return None
    try:
        values = np.fromiter(map(float, cells), dtype=np.float64, count=len(cells))
    except ValueError:
        return None
    return None if np.isnan(values).any() else values


def whole_numbers(counts: "Counter[str] | None", limits: Limits) -> tuple[tuple[str, int], ...]:
    """The counts of whole numbers by their plain spelling (`1`, also for `1.0` and `01`); none where they are many."""
    if counts is None or len(counts) > 4 * limits.whole_numbers:
        return ()
    whole: Counter[int] = Counter()
    for cell, count in counts.items():
        whole[int(float(cell))] += count
    return tuple((str(n), whole[n]) for n in sorted(whole)) if len(whole) <= limits.whole_numbers else ()


def in_order(names: Iterable[str]) -> list[str]:
    """Classes in their order: by number where all are numbers, else by letters."""
    listed = sorted(names)
    return sorted(listed, key=float) if all(number(name) is not None for name in listed) else listed
