"""Rows that are equal in all columns, found by a hash of 64 bits of each row."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.files.values import Pixels

SHOWN = 5
"""Pairs of equal rows that are named."""
FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
STEP = np.uint64(0x9E3779B97F4A7C15)


def row_hashes(columns: Iterable[NDArray[Any]]) -> NDArray[np.uint64]:
    """Return a hash of each row `(n,)` of loaded columns `(n, …)`; missing values are equal to each other."""
    found: NDArray[np.uint64] | None = None
    for column in columns:
        bits = _bits(column)
        found = _mixed(bits if found is None else found * STEP + bits)
    if found is None:
        raise ValueError("there are no columns")
    return found


def _bits(column: NDArray[Any]) -> NDArray[np.uint64]:
    """Return 64 bits for each value, equal exactly for equal values but for collisions of texts."""
    if column.dtype.kind == "O":
        return np.fromiter((hash(_content(value)) & 0xFFFFFFFFFFFFFFFF for value in column), np.uint64, len(column))
    if column.ndim > 1:
        return row_hashes(column.reshape(len(column), -1).T)
    if column.dtype.kind == "f":
        numbers = column.astype(np.float64) + 0.0  # −0 becomes 0
        numbers[np.isnan(numbers)] = np.nan
        return numbers.view(np.uint64)
    return column.astype(np.int64).view(np.uint64)


def _content(value: Any) -> Any:
    if isinstance(value, Pixels):
        return value.array.shape, value.array.tobytes()
    return value if value is None or isinstance(value, str) else value.read()


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the bits after the finalizer of SplitMix64 (Steele, Lea and Flood 2014)."""
    bits = bits + STEP
    bits = (bits ^ (bits >> np.uint64(30))) * FACTORS[0]
    bits = (bits ^ (bits >> np.uint64(27))) * FACTORS[1]
    return bits ^ (bits >> np.uint64(31))


def repeated_rows(hashes: NDArray[np.uint64], rows: NDArray[np.int64]) -> dict[str, Any]:
    """Return how many rows repeat an earlier one, and the first of them with the row that they repeat."""
    _, first, ids = np.unique(hashes, return_index=True, return_inverse=True)
    repeated = np.flatnonzero(first[ids] != np.arange(len(hashes)))
    examples = [{"row": int(rows[at]), "same_as": int(rows[first[ids[at]]])} for at in repeated[:SHOWN]]
    return {"rows": len(repeated), "of": len(hashes), "examples": examples}


def rows_of_both(hashes: NDArray[np.uint64], part: NDArray[np.bool_], other: NDArray[np.bool_]) -> int:
    """Return how many rows of `part` are in `other` too; both are masks `(n,)`."""
    return int(np.isin(hashes[part], hashes[other]).sum())
