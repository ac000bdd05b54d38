"""Nested lists of numbers, as JSON brings them, become arrays.

Each level of nesting is looked at in one sweep (its types, its lengths), so that a million numbers take a moment and
the first that is wrong is still named by its place.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.cells import FLOAT32_MAX
from core.data.targets import Told
from core.json_pointer import pointer

MAX_DEPTH = 8
"""How deep lists may nest: rows and seven further axes."""


class Arrays(NamedTuple):
    """Rows that need no features: x (rows, *shape), y (rows, *shape) or ids of classes (rows,), and what y means.

    `weights` say how much each row counts (rows,); None: all alike.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    target: Told
    weights: NDArray[np.float32] | None = None


class NotNumbers(Exception):
    """The value at `path` (an index for each level) is not what an array of numbers needs."""

    def __init__(self, path: tuple[int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message

    @property
    def pointer(self) -> str:
        """The path as the end of a JSON pointer."""
        return pointer(*self.path)


class Ragged(NotNumbers):
    """The list at `path` is not as long as the first beside it."""


class _Level(NamedTuple):
    shape: tuple[int, ...]
    values: Sequence[Any]

    def fail(
        self, wrong: Callable[[Any], bool], message: Callable[[Any], str], fact: type[NotNumbers] = NotNumbers
    ) -> NotNumbers:
        """The error that names the first wrong value of this level."""
        index = next(i for i, value in enumerate(self.values) if wrong(value))
        path = tuple(int(i) for i in np.unravel_index(index, self.shape))
        return fact(path, message(self.values[index]))


def numbers(nested: Sequence[Any]) -> NDArray[np.float64]:
    """The array of a list of numbers, or of equally long lists of them, to any depth up to `MAX_DEPTH`.

    Raises `NotNumbers` for ragged or empty lists, for anything that is no number (booleans too), and for numbers
    that a float32 cannot hold.
    """
    level = _Level((len(nested),), nested)
    while True:
        if not level.values:
            raise NotNumbers((0,) * (len(level.shape) - 1), "is empty: give at least one number")
        kinds = set(map(type, level.values))
        if kinds <= {int, float}:
            return _filled(level)
        if kinds != {list}:
            raise _mixed(level, kinds)
        level = _below(level)


def _below(level: _Level) -> _Level:
    if len(level.shape) == MAX_DEPTH:
        raise NotNumbers((0,) * MAX_DEPTH, f"is nested too deep: at most {MAX_DEPTH} levels")
    length = len(level.values[0])
    if set(map(len, level.values)) != {length}:
        raise level.fail(
            lambda row: len(row) != length,
            lambda row: f"holds {len(row)} values where the first holds {length}: make all rows equally long",
            Ragged,
        )
    return _Level((*level.shape, length), list(chain.from_iterable(level.values)))


def _mixed(level: _Level, kinds: set[type]) -> NotNumbers:
    if list in kinds and type(level.values[0]) is list:
        return level.fail(
            lambda value: type(value) is not list,
            lambda value: f"is {_named(value)} where the first is a list: make all rows equally deep",
        )
    return level.fail(
        lambda value: type(value) not in {int, float},
        lambda value: f"is {_named(value)} where a number belongs",
    )


def _filled(level: _Level) -> NDArray[np.float64]:
    try:
        array = np.array(level.values, dtype=np.float64)
    except OverflowError:
        array = None
    # Not `abs(array).max()`: a NaN must fail the comparison too.
    if array is None or not (array.min() >= -FLOAT32_MAX and array.max() <= FLOAT32_MAX):
        raise level.fail(
            lambda value: not -FLOAT32_MAX <= value <= FLOAT32_MAX,
            lambda _: f"is not finite, or beyond what a float32 holds (±{FLOAT32_MAX:.4g}): scale it down",
        )
    return array.reshape(level.shape)


NAMES = {str: "a text", bool: "a boolean", dict: "an object", type(None): "null", list: "a list", int: "a number"}


def _named(value: Any) -> str:
    return NAMES.get(type(value), "a number")
