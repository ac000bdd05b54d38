"""Chance in shards: of one stream of numbers each draws those of its own rows, and goes past the others."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class Chance(NamedTuple):
    """Where the generator of a whole batch stands, and how many rows of the batch are before and after a shard's."""

    state: Mapping[str, Any]
    before: int
    after: int


class DrawsOfRows(np.random.Generator):
    """What `random` draws into the rows of a shard is what it would draw into the same rows of the whole batch."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))
        self._chance = Chance({}, 0, 0)
        self._rows = 1
        self._drawn = False

    def follow(self, chance: Chance, rows: int) -> None:
        """Go on where the generator of the whole batch stands, for so many rows."""
        self._chance, self._rows, self._drawn = chance, rows, False

    def lead(self, whole: np.random.Generator) -> None:
        """Let the generator of the whole batch go on where this one stands, past the draws of all rows."""
        if self._drawn:
            whole.bit_generator.state = self.bit_generator.state

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Fill `out`, which has to be given: its first axis are the shard's rows, or so many places of each."""
        if not self._drawn:
            self.bit_generator.state, self._drawn = self._chance.state, True
        of_each = out.size // self._rows
        self._skip(self._chance.before * of_each, dtype)
        super().random(size, dtype, out)
        self._skip(self._chance.after * of_each, dtype)
        return out

    def _skip(self, count: int, dtype: Any) -> None:
        """Go past so many numbers, without drawing them (Brown 1994).

        A word of PCG64 makes one number of 64 bits or two of 32, of which it keeps the second.
        """
        bits: Any = self.bit_generator
        kept = bits.state
        if np.dtype(dtype) == np.float64:
            bits.advance(count)  # which drops the half that is kept
            bits.state = bits.state | {name: kept[name] for name in ("has_uint32", "uinteger")}
        elif count:
            count -= kept["has_uint32"]
            bits.advance(count // 2)
            if count % 2:
                super().random(dtype=np.float32)
