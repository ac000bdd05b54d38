"""Downsampling of a long series for a chart that keeps every spike.

The series is divided into buckets of neighbouring values. Each bucket contributes its minimum and its maximum; the
first and the last value are always kept.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NO_KEY = -1


class Downsampler:
    """Selects at most `points` (≥ 4) of `count` values that arrive in chunks, each value with a key.

    The selection includes the first and the last value, the global minimum and the global maximum. A value that is
    not a finite number (or is `None`) is neither a minimum nor a maximum. Memory depends only on `points`.
    """

    def __init__(self, count: int, points: int) -> None:
        self.count = count
        self.added = 0
        buckets = max(0, min(count, (points - 2) // 2 if count > points else count - 2))
        self._edges = np.linspace(1, count - 1, buckets + 1).astype(np.int64)
        self._extremes = np.full((2, buckets), np.nan)  # minimum and maximum of each bucket
        self._keys = np.full((2, buckets), NO_KEY)
        self._ends = [NO_KEY, NO_KEY]

    def add(self, keys: Sequence[int], values: Sequence[float | None]) -> None:
        """Add the next chunk of the series."""
        first, self.added = self.added, self.added + len(values)
        if values and not first:
            self._ends[0] = keys[0]
        if values and self.added == self.count:
            self._ends[1] = keys[-1]
        start, stop = max(first, 1), min(self.added, self.count - 1)
        if start < stop:
            inner = slice(start - first, stop - first)
            self._add_inner(start, np.array(keys[inner], np.int64), np.array(values[inner], np.float64))

    def _add_inner(self, start: int, keys: Ints, values: Floats) -> None:
        """Add values other than the first and the last of the series; `start` is the index of the first of them."""
        values[~np.isfinite(values)] = np.nan
        buckets = slice(
            int(np.searchsorted(self._edges, start, "right")) - 1,
            int(np.searchsorted(self._edges, start + len(values), "left")),
        )
        starts = np.maximum(self._edges[buckets], start) - start
        is_new = self._edges[buckets] >= start
        for reduce, is_beyond, extremes, selected in zip(
            (np.fmin, np.fmax), (np.less, np.greater), self._extremes[:, buckets], self._keys[:, buckets], strict=True
        ):
            selected[is_new] = keys[starts[is_new]]
            found = reduce.reduceat(values, starts)
            better = is_beyond(found, extremes) | (np.isnan(extremes) & ~np.isnan(found))
            extremes[better] = found[better]
            selected[better] = keys[_first_index_of(values, found, starts)[better]]

    def selected(self) -> Ints:
        """Return the keys of the selected values, ascending."""
        keys = np.unique([*self._keys.ravel(), *self._ends])
        return keys[keys != NO_KEY]


def downsample(values: Sequence[float | None], points: int) -> Ints:
    """Return the indices of at most `points` selected values, ascending."""
    downsampler = Downsampler(len(values), points)
    downsampler.add(range(len(values)), values)
    return downsampler.selected()


def _first_index_of(values: Floats, wanted: Floats, starts: Ints) -> Ints:
    """Return for each segment that begins at `starts` the first index of its wanted value; else its start."""
    segment = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(values)))
    hits = np.flatnonzero(values == wanted[segment])
    indices = starts.copy()
    segments, first = np.unique(segment[hits], return_index=True)
    indices[segments] = hits[first]
    return indices
