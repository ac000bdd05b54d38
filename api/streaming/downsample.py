"""A chart of N points out of a million rows that hides no spike.

Each bucket of neighbouring rows gives its lowest and its highest; the first and the last row always stay.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]
NONE = -1


class Thinned:
    """A series of `count` values that come in portions, each with its number, of which at most `points` (≥ 4) stay.

    Those are the first, the last, the global minimum and the global maximum among others. A value that is no finite
    number (`None`) counts as neither low nor high. What is held meanwhile depends on `points` alone.
    """

    def __init__(self, count: int, points: int) -> None:
        self.count = count
        self.came = 0
        buckets = max(0, min(count, (points - 2) // 2 if count > points else count - 2))
        self._edges = np.linspace(1, count - 1, buckets + 1).astype(np.int64)
        self._values = np.full((2, buckets), np.nan)
        self._numbers = np.full((2, buckets), NONE)
        self._ends = [NONE, NONE]

    def add(self, numbers: Sequence[int], values: Sequence[float | None]) -> None:
        """Take what follows that which came."""
        first, self.came = self.came, self.came + len(values)
        if values and not first:
            self._ends[0] = numbers[0]
        if values and self.came == self.count:
            self._ends[1] = numbers[-1]
        start, stop = max(first, 1), min(self.came, self.count - 1)
        if start < stop:
            inner = slice(start - first, stop - first)
            self._add(start, np.array(numbers[inner], np.int64), np.array(values[inner], np.float64))

    def _add(self, start: int, numbers: Whole, values: Numbers) -> None:
        """Take inner values, the first of which is the series' value `start`."""
        values[~np.isfinite(values)] = np.nan
        touched = slice(
            int(np.searchsorted(self._edges, start, "right")) - 1,
            int(np.searchsorted(self._edges, start + len(values), "left")),
        )
        inner = np.maximum(self._edges[touched], start) - start
        begun = self._edges[touched] >= start
        for extreme, beats, held, kept in zip(
            (np.fmin, np.fmax), (np.less, np.greater), self._values[:, touched], self._numbers[:, touched], strict=True
        ):
            kept[begun] = numbers[inner[begun]]
            wanted = extreme.reduceat(values, inner)
            better = beats(wanted, held) | (np.isnan(held) & ~np.isnan(wanted))
            held[better] = wanted[better]
            kept[better] = numbers[_first_where(values, wanted, inner)[better]]

    def kept(self) -> Whole:
        """The numbers of the values that stay, ascending."""
        every = np.unique([*self._numbers.ravel(), *self._ends])
        return every[every != NONE]


def downsample(values: Sequence[float | None], points: int) -> Whole:
    """The indices of those of these values that stay, ascending."""
    thinned = Thinned(len(values), points)
    thinned.add(range(len(values)), values)
    return thinned.kept()


def _first_where(numbers: Numbers, wanted: Numbers, starts: Whole) -> Whole:
    """In each part that begins at `starts` the first index that holds the wanted value; its start where none does."""
    owner = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(numbers)))
    hits = np.flatnonzero(numbers == wanted[owner])
    found = starts.copy()
    parts, first = np.unique(owner[hits], return_index=True)
    found[parts] = hits[first]
    return found
