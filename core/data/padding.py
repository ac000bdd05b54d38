"""Sequences of different lengths in one array: the shorter are filled up with a value that a net can tell and mask."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from core.data.nested_lists import NotNumbers, numbers

MOST = 10_000_000
"""Numbers that an array may have once it is filled up: a long row among many short ones makes it large."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Padding:
    """How rows that are sequences become equally long."""

    value: float = 0.0
    """What fills up. It stands for no step at all where the net begins with `masking` of this `mask_value`, or, for 0,
    with an `embedding` with `mask_zero`; so no step of the data may be it."""

    side: Literal["post", "pre"] = "post"
    """Whether it comes after the steps or before them."""

    maxlen: Annotated[int, Ge(1), Le(1_000_000)] | None = None
    """How many steps a row has once it is filled up; left out: as many as the longest. More leave room for longer ones
    in predictions."""


def sequences(rows: Sequence[Any]) -> list[Floats]:
    """Each row as an array `(its steps, …)`. Raises `NotNumbers` at the first that is none."""
    return [_sequence(row, index) for index, row in enumerate(rows)]


def _sequence(row: Any, index: int) -> Floats:
    if not isinstance(row, list):
        raise NotNumbers((index,), "is no list: give the steps of each row, since rows are padded")
    try:
        return numbers(row)
    except NotNumbers as error:
        raise NotNumbers((index, *error.path), error.message) from None


def filled(rows: Sequence[Floats], steps: int, value: float, side: str) -> Floats:
    """`(rows, steps, …)`: the sequences with `value` after them, or before them where the side is `pre`.

    Raises `NotNumbers` for steps that differ in shape, and for more steps or more numbers than there may be.
    """
    shape = rows[0].shape[1:]
    for index, row in enumerate(rows):
        if row.shape[1:] != shape:
            message = f"has steps of the shape {row.shape[1:]} where the first row has {shape}: make them alike"
            raise NotNumbers((index,), message)
        if len(row) > steps:
            raise NotNumbers((index,), f"has {len(row)} steps, and {steps} are the most: cut it, or allow more")
    size = len(rows) * steps * int(np.prod(shape, dtype=np.int64))
    if size > MOST:
        message = f"padded to {steps} steps make {size:,} numbers, and {MOST:,} are allowed: cut the longest rows"
        raise NotNumbers((), message)
    array = np.full((len(rows), steps, *shape), value)
    for row, place in zip(rows, array, strict=True):
        place[_steps(len(row), side)] = row
    return array


def _steps(count: int, side: str) -> slice:
    return slice(-count, None) if side == "pre" else slice(count)


def refuse_hidden(rows: Sequence[Floats], value: float) -> None:
    """Raise `NotNumbers` at the first step that would be taken for padding."""
    for index, row in enumerate(rows):
        hidden = np.flatnonzero((row == value).reshape(len(row), -1).all(axis=1))
        if hidden.size:
            message = f"is {value:g}, which stands for padding: pad with another value, or count from 1"
            raise NotNumbers((index, int(hidden[0])), message)
