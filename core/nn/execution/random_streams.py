"""Random numbers in shards: each shard draws those of its own rows from one stream, and skips the others."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class StreamPosition(NamedTuple):
    """The state of a whole batch's generator, and the number of its rows before and after those of a shard."""

    state: Mapping[str, Any]
    rows_before: int
    rows_after: int


class ShardGenerator(np.random.Generator):
    """A generator whose `random` draws into a shard's rows what it would draw into these rows of the whole batch."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))
        self._position = StreamPosition({}, 0, 0)
        self._rows = 1
        self._drawn = False

    def start_at(self, position: StreamPosition, rows: int) -> None:
        """Start where the generator of the whole batch is, for a shard of so many rows."""
        self._position, self._rows, self._drawn = position, rows, False

    def advance(self, whole: np.random.Generator) -> None:
        """Advance the generator of the whole batch past the draws of all rows."""
        if self._drawn:
            whole.bit_generator.state = self.bit_generator.state

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Fill `out`, which is required: its first axis is the shard's rows, or a multiple of them."""
        if not self._drawn:
            self.bit_generator.state, self._drawn = self._position.state, True
        row_size = out.size // self._rows
        self._skip(self._position.rows_before * row_size, dtype)
        super().random(size, dtype, out)
        self._skip(self._position.rows_after * row_size, dtype)
        return out

    def _skip(self, count: int, dtype: Any) -> None:
        """Skip so many numbers without drawing them (Brown 1994).

        A word of PCG64 makes one number of 64 bits or two of 32, of which it keeps the second.
        """
        bits: Any = self.bit_generator
        kept = bits.state
        if np.dtype(dtype) == np.float64:
            bits.advance(count)  # which drops the kept half
            bits.state = bits.state | {name: kept[name] for name in ("has_uint32", "uinteger")}
        elif count:
            count -= kept["has_uint32"]
            bits.advance(count // 2)
            if count % 2:
                super().random(dtype=np.float32)
