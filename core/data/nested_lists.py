"""Conversion of nested lists of numbers, from JSON, to arrays.

Each level of nesting is checked at once, its types and then its lengths: a million numbers take a fraction of a second,
and an error still names the place of the first wrong value.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.cells import FLOAT32_MAX
from core.json_pointer import pointer

MAX_AXES = 8
"""Levels of nesting: rows and seven more axes."""

JSON_TYPES = {str: "a text", bool: "a boolean", dict: "an object", type(None): "null", list: "a list", int: "a number"}


class NotNumbers(Exception):
    """The value at `path` (an index for each level) cannot be part of an array of numbers."""

    def __init__(self, path: tuple[int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message

    @property
    def pointer(self) -> str:
        """The path as the end of a JSON pointer."""
        return pointer(*self.path)


class Ragged(NotNumbers):
    """The list at `path` has another length than the first of its level."""


class _Level(NamedTuple):
    shape: tuple[int, ...]
    values: Sequence[Any]

    def error_at_first(
        self, wrong: Callable[[Any], bool], message: Callable[[Any], str], error: type[NotNumbers] = NotNumbers
    ) -> NotNumbers:
        """Return the error for the first wrong value of this level."""
        index = next(i for i, value in enumerate(self.values) if wrong(value))
        path = tuple(int(i) for i in np.unravel_index(index, self.shape))
        return error(path, message(self.values[index]))


def array_from_lists(nested: Sequence[Any]) -> NDArray[np.float64]:
    """Return the array of a list of numbers, or of equally long lists of them, up to `MAX_AXES` levels deep.

    Raises `NotNumbers` for ragged or empty lists, for values that are not numbers (booleans too), and for numbers
    outside the range of float32.
    """
    level = _Level((len(nested),), nested)
    while True:
        if not level.values:
            raise NotNumbers((0,) * (len(level.shape) - 1), "is empty: give at least one number")
        types = set(map(type, level.values))
        if types <= {int, float}:
            return _array(level)
        if types != {list}:
            raise _mixed_types(level, types)
        level = _next_level(level)


def _next_level(level: _Level) -> _Level:
    if len(level.shape) == MAX_AXES:
        raise NotNumbers((0,) * MAX_AXES, f"is nested too deep: use at most {MAX_AXES} levels")
    length = len(level.values[0])
    if set(map(len, level.values)) != {length}:
        raise level.error_at_first(
            lambda row: len(row) != length,
            lambda row: f"has {len(row)} values and the first has {length}: make all rows equally long",
            Ragged,
        )
    return _Level((*level.shape, length), list(chain.from_iterable(level.values)))


def _mixed_types(level: _Level, types: set[type]) -> NotNumbers:
    if list in types and type(level.values[0]) is list:
        return level.error_at_first(
            lambda value: type(value) is not list,
            lambda value: f"is {_type_name(value)} and the first is a list: make all rows equally deep",
        )
    return level.error_at_first(
        lambda value: type(value) not in {int, float},
        lambda value: f"is {_type_name(value)}: give a number",
    )


def _array(level: _Level) -> NDArray[np.float64]:
    try:
        array = np.array(level.values, dtype=np.float64)
    except OverflowError:
        array = None
    # Not `abs(array).max()`: a NaN must fail the comparison too.
    if array is None or not (array.min() >= -FLOAT32_MAX and array.max() <= FLOAT32_MAX):
        raise level.error_at_first(
            lambda value: not -FLOAT32_MAX <= value <= FLOAT32_MAX,
            lambda _: f"is not finite or is outside the range of float32 (±{FLOAT32_MAX:.4g}): scale it down",
        )
    return array.reshape(level.shape)


def _type_name(value: Any) -> str:
    return JSON_TYPES.get(type(value), "a number")
