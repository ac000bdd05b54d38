"""A chart of N points out of a million rows that hides no spike.

Each bucket of neighbouring rows gives its lowest and its highest; the first and the last row always stay.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def downsample(values: Sequence[float | None], points: int) -> NDArray[np.intp]:
    """The indices of at most `points` (≥ 4) of these values, ascending.

    Kept are the first, the last, the global minimum and the global maximum. A value that is no finite number (`None`)
    counts as neither low nor high.
    """
    count = len(values)
    if count <= points:
        return np.arange(count)
    numbers = np.array([np.nan if value is None else value for value in values], np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    buckets = (points - 2) // 2
    edges = np.linspace(1, count - 1, buckets + 1).astype(np.intp)
    inner = edges[:-1]
    lowest = _first_where(numbers, np.fmin.reduceat(numbers[: count - 1], inner), edges)
    highest = _first_where(numbers, np.fmax.reduceat(numbers[: count - 1], inner), edges)
    return np.unique(np.concatenate(([0], lowest, highest, [count - 1])))


def _first_where(
    numbers: NDArray[np.float64], wanted: NDArray[np.float64], edges: NDArray[np.intp]
) -> NDArray[np.intp]:
    """In each bucket the first index that holds the wanted value, or the bucket's first where nothing is finite."""
    owner = np.repeat(np.arange(len(wanted)), np.diff(edges))
    hits = np.flatnonzero(numbers[edges[0] : edges[-1]] == wanted[owner])
    found = edges[:-1].copy()
    buckets, first = np.unique(owner[hits], return_index=True)
    found[buckets] = hits[first] + edges[0]
    return found
