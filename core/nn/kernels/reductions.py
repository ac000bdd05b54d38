"""Sums as products with ones: BLAS takes a fifth of the time of `np.add.reduce` where rows are some dozens long.

And the largest number of each row, of which NumPy takes one after the other where it could take many at once.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from core.nn.arrays import Array
from core.nn.step.context import PassContext

NARROW = 64
"""How long a row is, at most, of which it is worth to have a copy: the largest of 256 rows of 10 took 2 µs for 11."""


def over_rows(rows: Array, out: Array) -> Array:
    """The sum of all rows `(rows, width)` into `out` `(width,)`."""
    return np.dot(ones(len(rows), rows.dtype.str), rows, out=out)


def within_rows(rows: Array, out: Array) -> Array:
    """The sum of each row `(rows, width)` into `out` `(rows,)`."""
    return np.dot(rows, ones(rows.shape[1], rows.dtype.str), out=out)


def total(numbers: Array) -> Any:
    """The sum of numbers `(length,)`."""
    return np.dot(ones(len(numbers), numbers.dtype.str), numbers)


def largest_within_rows(rows: Array, ctx: PassContext) -> Array:
    """The largest number of each row `(rows, width)`: `(rows, 1)`."""
    largest: Array = ctx.empty((len(rows), 1))
    if rows.shape[1] > NARROW:
        return np.maximum.reduce(rows, axis=1, keepdims=True, out=largest)
    turned = ctx.empty(rows.shape[::-1])
    np.copyto(turned, rows.T)
    np.maximum.reduce(turned, axis=0, out=largest[:, 0])
    return largest


@lru_cache(maxsize=64)
def ones(length: int, dtype: str) -> Any:
    """So many ones, the same at each call, for a product that sums."""
    made = np.ones(length, dtype)
    made.flags.writeable = False
    return made
