"""Sums as products with ones: BLAS takes a fifth of the time of `np.add.reduce` where rows are some dozens long."""

from functools import lru_cache
from typing import Any

import numpy as np

from core.nn.arrays import Array


def over_rows(rows: Array, out: Array) -> Array:
    """The sum of all rows `(rows, width)` into `out` `(width,)`."""
    return np.dot(ones(len(rows), rows.dtype.str), rows, out=out)


def within_rows(rows: Array, out: Array) -> Array:
    """The sum of each row `(rows, width)` into `out` `(rows,)`."""
    return np.dot(rows, ones(rows.shape[1], rows.dtype.str), out=out)


@lru_cache(maxsize=64)
def ones(length: int, dtype: str) -> Any:
    """So many ones, the same at each call, for a product that sums."""
    made = np.ones(length, dtype)
    made.flags.writeable = False
    return made
