"""Split of rows into training and validation.

The numbers of rows follow from class counts alone; which rows they are follows from a seed, the same on every machine.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Gt, Lt
from numpy.typing import NDArray

from core.data.errors import InvalidData

POINTER = "/data/validation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """A part of the rows that the net is not trained on: it is evaluated on them after each epoch."""

    fraction: Annotated[float, Gt(0), Lt(1)]
    """The part of the rows, such as 0.2."""

    stratify: bool = False
    """Take the same part of every class; a class with a single row stays in training."""


class Split(NamedTuple):
    """Indices of rows, each in ascending order."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64] | None


def count_validation_rows(validation: Validation | None, rows: int, class_counts: Sequence[int] | None) -> int:
    """Return how many of `rows` rows are for validation; `class_counts` are the rows of each class, if there are any.

    Raises `InvalidData` where a part would be empty, or where classes are required and there are none.
    """
    if validation is None:
        return 0
    if validation.stratify and class_counts is None:
        raise InvalidData(f"{POINTER}/stratify", "needs a target of classes, and the target is numbers: leave it out")
    if validation.stratify and class_counts is not None:
        validation_rows = sum(stratified_counts(validation.fraction, class_counts))
    else:
        validation_rows = _round(validation.fraction * rows)
    if not 1 <= validation_rows < rows:
        message = f"of {rows} rows leaves {rows - validation_rows} for training and {validation_rows} for validation"
        raise InvalidData(f"{POINTER}/fraction", f"{message}: give more rows or another fraction")
    return validation_rows


def stratified_counts(fraction: float, class_counts: Sequence[int]) -> list[int]:
    """Return how many rows of each class are for validation: their fraction, rounded so that the total is right.

    Rounded down first; the rest goes to the largest remainders (Hamilton's method). A class keeps one row for training.
    """
    exact = [fraction * count for count in class_counts]
    counts = [math.floor(share) for share in exact]
    rest = _round(fraction * sum(class_counts)) - sum(counts)
    by_remainder = sorted(range(len(class_counts)), key=lambda i: (counts[i] - exact[i], i))
    for i in [i for i in by_remainder if counts[i] < class_counts[i] - 1][: max(0, rest)]:
        counts[i] += 1
    return counts


def split_rows(validation: Validation | None, class_ids: NDArray[np.int64] | None, rows: int, seed: int) -> Split:
    """Return the rows for training and for validation; `class_ids` (rows,) are the classes to stratify by, if any."""
    if validation is None:
        return Split(np.arange(rows), None)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(rows)
    if validation.stratify and class_ids is not None:
        classes, class_counts = np.unique(class_ids, return_counts=True)
        counts = stratified_counts(validation.fraction, class_counts.tolist())
        chosen = np.concatenate(
            [order[class_ids[order] == name][:count] for name, count in zip(classes, counts, strict=True)]
        )
    else:
        chosen = order[: _round(validation.fraction * rows)]
    mask = np.zeros(rows, dtype=bool)
    mask[chosen] = True
    return Split(np.flatnonzero(~mask), np.flatnonzero(mask))


def _round(value: float) -> int:
    """Return the nearest integer; halves are rounded up."""
    return math.floor(value + 0.5)
