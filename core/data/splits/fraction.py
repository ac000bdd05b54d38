"""Rows drawn at random, on request the same part of every class."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from core.data.errors import InvalidData
from core.data.splits.split import (
    POINTER,
    Counts,
    Fraction,
    FractionOrNone,
    KnownRows,
    LoadedRows,
    Parts,
    parts_of,
    require_filled,
    require_fractions,
    rounded,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FractionSplit:
    """Rows drawn at random by the seed of the training."""

    keeps_feature: ClassVar[bool] = True

    type: Literal["fraction"] = "fraction"
    """`fraction`."""

    validation: FractionOrNone = 0.0
    """The part of the rows that the net is evaluated on after each epoch, such as 0.2."""

    test: FractionOrNone = 0.0
    """The part of the rows that the net is evaluated on once, after the last epoch."""

    stratify: bool = False
    """Take the same part of every class; a class keeps a row for training."""

    @property
    def reads(self) -> None:
        """None: no column is read."""

    def count(self, known: KnownRows) -> Counts:
        """Return the rows of each part. Raises `InvalidData` where a part is empty, and without classes to stratify."""
        return self.count_at(known, POINTER, POINTER)

    def count_at(self, known: KnownRows, stratify_at: str, fraction_at: str) -> Counts:
        """Return the same, with errors at pointers of another form of this split."""
        require_fractions(self.validation, self.test)
        if self.stratify and known.class_counts is None:
            message = "needs a target of classes, and the target is numbers: leave it out"
            raise InvalidData(f"{stratify_at}/stratify", message)
        validation, test = self._held_out(known.rows, known.class_counts)
        counts = Counts(known.rows - validation - test, validation, test)
        return require_filled(
            counts,
            validation=self.validation > 0,
            test=self.test > 0,
            pointer=fraction_at,
            remedy="give more rows or another fraction",
        )

    def split(self, loaded: LoadedRows, seed: int) -> Parts:
        """Return the parts: the first rows of a permutation are for validation, the next for testing.

        Raises `InvalidData` as `count` does.
        """
        self.count(loaded.known())
        return self.draw(loaded, seed)

    def draw(self, loaded: LoadedRows, seed: int) -> Parts:
        """Return the parts of rows that were counted before."""
        order = np.random.Generator(np.random.PCG64(seed)).permutation(loaded.rows)
        if self.stratify and loaded.class_ids is not None:
            validation, test = self._stratified(order, loaded.class_ids)
        else:
            first, second = self._held_out(loaded.rows, None)
            validation, test = order[:first], order[first : first + second]
        return parts_of(loaded.rows, validation if self.validation else None, test if self.test else None)

    def _held_out(self, rows: int, class_counts: Sequence[int] | None) -> tuple[int, int]:
        """Return the rows for validation and for testing."""
        if self.stratify and class_counts is not None:
            of_classes = self._stratified_counts(class_counts)
            return sum(of_classes[0]), sum(of_classes[1])
        both = rounded((self.validation + self.test) * rows)
        validation = min(rounded(self.validation * rows), both)
        return validation, both - validation

    def _stratified_counts(self, class_counts: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return how many rows of each class are for validation and for testing."""
        validation = stratified_counts(self.validation, class_counts)
        both = stratified_counts(min(self.validation + self.test, 1.0), class_counts)
        return validation, [max(0, total - part) for total, part in zip(both, validation, strict=True)]

    def _stratified(
        self, order: NDArray[np.int64], class_ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        classes, class_counts = np.unique(class_ids, return_counts=True)
        validation, test = self._stratified_counts(class_counts.tolist())
        members = [order[class_ids[order] == name] for name in classes]
        return (
            np.concatenate([rows[:first] for rows, first in zip(members, validation, strict=True)]),
            np.concatenate(
                [rows[first : first + second] for rows, first, second in zip(members, validation, test, strict=True)]
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """A part of the rows that the net is not trained on: it is evaluated on them after each epoch."""

    keeps_feature: ClassVar[bool] = True

    fraction: Fraction
    """The part of the rows, such as 0.2."""

    stratify: bool = False
    """Take the same part of every class; a class with a single row stays in training."""

    @property
    def reads(self) -> None:
        """None: no column is read."""

    def count(self, known: KnownRows) -> Counts:
        """Return the rows of each part. Raises `InvalidData` where a part is empty, and without classes to stratify."""
        return self._split.count_at(known, "/data/validation", "/data/validation/fraction")

    def split(self, loaded: LoadedRows, seed: int) -> Parts:
        """Return the parts. Raises `InvalidData` as `count` does."""
        self.count(loaded.known())
        return self._split.draw(loaded, seed)

    @property
    def _split(self) -> FractionSplit:
        return FractionSplit(validation=self.fraction, stratify=self.stratify)


def stratified_counts(fraction: float, class_counts: Sequence[int]) -> list[int]:
    """Return how many rows of each class are held out: their fraction, rounded so that the total is right.

    Rounded down first; the rest goes to the largest remainders (Hamilton's method). A class keeps one row for training.
    """
    exact = [fraction * count for count in class_counts]
    counts = [min(math.floor(share), count - 1) for share, count in zip(exact, class_counts, strict=True)]
    rest = rounded(fraction * sum(class_counts)) - sum(counts)
    by_remainder = sorted(range(len(class_counts)), key=lambda i: (counts[i] - exact[i], i))
    for i in [i for i in by_remainder if counts[i] < class_counts[i] - 1][: max(0, rest)]:
        counts[i] += 1
    return counts
