"""Which rows are held out of training to validate what was learnt.

How many is known from counts alone; which ones follows from a seed, the same on every machine.
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
    """A part of the rows that is never trained on: after each epoch the net is measured with it."""

    fraction: Annotated[float, Gt(0), Lt(1)]
    """The part of the rows that is held out, such as 0.2."""

    stratify: bool = False
    """Hold out the same part of every class; a class with a single row stays in training."""


class Split(NamedTuple):
    """Indices of rows, each in rising order."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64] | None


def held_out(validation: Validation | None, rows: int, counts: Sequence[int] | None) -> int:
    """How many of `rows` rows are held out; `counts` are the rows of each class, where there are classes.

    Raises `InvalidData` where a side would be empty, or where classes are asked for and there are none.
    """
    if validation is None:
        return 0
    if validation.stratify and counts is None:
        raise InvalidData(f"{POINTER}/stratify", "needs a target of classes, and the target is numbers: leave it out")
    wanted = _rounded(validation.fraction * rows)
    held = sum(shares(validation.fraction, counts)) if validation.stratify and counts is not None else wanted
    if not 1 <= held < rows:
        left = f"{rows - held} to train on and {held} to validate with"
        raise InvalidData(f"{POINTER}/fraction", f"of {rows} rows leaves {left}: give more rows or another fraction")
    return held


def shares(fraction: float, counts: Sequence[int]) -> list[int]:
    """How many rows of each class are held out: its share, rounded so that the whole comes out right.

    What the shares leave over goes to the largest remainders (Hamilton's method); a class keeps one row for training.
    """
    exact = [fraction * count for count in counts]
    held = [math.floor(share) for share in exact]
    over = _rounded(fraction * sum(counts)) - sum(held)
    by_remainder = sorted(range(len(counts)), key=lambda i: (held[i] - exact[i], i))
    for i in [i for i in by_remainder if held[i] < counts[i] - 1][: max(0, over)]:
        held[i] += 1
    return held


def split(validation: Validation | None, ids: NDArray[np.int64] | None, rows: int, seed: int) -> Split:
    """The rows to train on and those held out; `ids` (rows,) are the classes to stratify by, if there are any."""
    if validation is None:
        return Split(np.arange(rows), None)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(rows)
    if validation.stratify and ids is not None:
        classes, counts = np.unique(ids, return_counts=True)
        held = shares(validation.fraction, counts.tolist())
        drawn = [order[ids[order] == name][:n] for name, n in zip(classes, held, strict=True)]
        chosen = np.concatenate(drawn)
    else:
        chosen = order[: _rounded(validation.fraction * rows)]
    mask = np.zeros(rows, dtype=bool)
    mask[chosen] = True
    return Split(np.flatnonzero(~mask), np.flatnonzero(mask))


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)
