"""Chance in shards: of one stream of numbers each thread draws those of its own rows, and goes past the others."""

from typing import Any

import numpy as np


class DrawsOfRows(np.random.Generator):
    """What `random` draws into the rows of a shard is what it would draw into the same rows of the whole batch."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))
        self._before, self._rows, self._after = 0, 1, 0

    def follow(self, whole: np.random.Generator, before: int, rows: int, after: int) -> None:
        """Go on where the generator of the whole batch stands, with so many rows before and after the shard's own."""
        self.bit_generator.state = whole.bit_generator.state
        self._before, self._rows, self._after = before, rows, after

    def lead(self, whole: np.random.Generator) -> None:
        """Let the generator of the whole batch go on where this one stands, past the draws of all rows."""
        whole.bit_generator.state = self.bit_generator.state

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Fill `out`, which has to be given: its first axis are the shard's rows, or so many places of each."""
        of_each = out.size // self._rows
        self._skip(self._before * of_each, dtype)
        super().random(size, dtype, out)
        self._skip(self._after * of_each, dtype)
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
