"""Padding: sequences with different numbers of steps become one array, the shorter filled with a padding value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from core.data.nested_lists import NotNumbers, array_from_lists

MAX_PADDED_NUMBERS = 10_000_000
"""Numbers of an array after padding: one long row among many short ones makes it large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Padding:
    """Padding of rows with different numbers of steps to one length."""

    value: float = 0.0
    """The padding value, which no step of the data may have. The net ignores it where it begins with `masking` of this
    `mask_value` or, for 0, with an `embedding` with `mask_zero`; otherwise padding counts as steps."""

    side: Literal["post", "pre"] = "post"
    """Whether padding is after the steps or before them."""

    maxlen: Annotated[int, Ge(1), Le(1_000_000)] | None = None
    """Steps of a row after padding; left out: as many as the longest row has. A larger number allows longer rows in
    predictions."""


def sequences_from_lists(rows: Sequence[Any]) -> list[NDArray[np.float64]]:
    """Return each row as an array `(its steps, …)`. Raises `NotNumbers` at the first that is not a list of numbers."""
    return [_sequence(row, index) for index, row in enumerate(rows)]


def _sequence(row: Any, index: int) -> NDArray[np.float64]:
    if not isinstance(row, list):
        raise NotNumbers((index,), "is not a list: give the steps of each row, since rows are padded")
    try:
        return array_from_lists(row)
    except NotNumbers as error:
        raise NotNumbers((index, *error.path), error.message) from None


def pad_sequences(rows: Sequence[NDArray[np.float64]], steps: int, value: float, side: str) -> NDArray[np.float64]:
    """Return `(rows, steps, …)`: each sequence with `value` after it, or before it where `side` is `pre`.

    Raises `NotNumbers` for steps of different shapes, and for more steps or more numbers than allowed.
    """
    shape = rows[0].shape[1:]
    for index, row in enumerate(rows):
        if row.shape[1:] != shape:
            message = f"has steps of the shape {row.shape[1:]} and the first row of {shape}: make them equal"
            raise NotNumbers((index,), message)
        if len(row) > steps:
            raise NotNumbers((index,), f"has {len(row)} steps, more than {steps}: shorten it, or raise padding.maxlen")
    size = len(rows) * steps * int(np.prod(shape, dtype=np.int64))
    if size > MAX_PADDED_NUMBERS:
        message = f"padded to {steps} steps has {size:,} numbers, more than {MAX_PADDED_NUMBERS:,}"
        raise NotNumbers((), f"{message}: shorten the longest rows")
    array = np.full((len(rows), steps, *shape), value)
    for row, place in zip(rows, array, strict=True):
        place[_step_slice(len(row), side)] = row
    return array


def _step_slice(count: int, side: str) -> slice:
    return slice(-count, None) if side == "pre" else slice(count)


def require_no_padding_value(rows: Sequence[NDArray[np.float64]], value: float) -> None:
    """Raise `NotNumbers` at the first step that equals the padding value, and would be taken for padding."""
    for index, row in enumerate(rows):
        padding = np.flatnonzero((row == value).reshape(len(row), -1).all(axis=1))
        if padding.size:
            message = f"is {value:g}, the padding value: choose another padding.value, or number categories from 1"
            raise NotNumbers((index, int(padding[0])), message)
