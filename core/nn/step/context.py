"""The memory of a step: buffers that are handed out again in the same order at every step.

After its first step a network allocates nothing, and no layer has to hold a buffer of its own. In its first step it
learns which buffers can share memory: what nobody refers to any more is free for what is asked for next.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from core.nn.arrays import Array, Mask, Shape, size

SMALL = 1 << 14
"""Bytes up to which a buffer has memory of its own: it is not worth a search."""
SMALL_ONCE = 1 << 18
"""The same where there is but one pass, which searches at each buffer."""
MOST_WASTE = 2
"""How many times as large as a buffer the memory may be that it is put into."""
_FREE = 2
"""CPython's count of references to memory that no buffer is in: the list's, and that of the question."""


def fitting(free: Mapping[int, int], nbytes: int) -> int | None:
    """The place of the smallest memory, of lengths by place, that holds so many bytes and not many more; None: none."""
    fits = (place for place, length in free.items() if nbytes <= length <= MOST_WASTE * nbytes)
    return min(fits, key=lambda place: free[place], default=None) if nbytes > SMALL else None


class Arena:
    """Buffers for one size of batch, in the order in which a step asks for them; up to `small` bytes each by itself."""

    __slots__ = ("_buffers", "_dtype", "_first", "_lengths", "_memory", "_small", "turn")

    def __init__(self, dtype: DTypeLike = np.float32, small: int | None = None) -> None:
        self._small = SMALL if small is None else small
        self._buffers: list[Any] = []
        self._first: list[Any] = []
        """Of the first step: small buffers, and the places of large ones, to which nothing may refer from here yet."""
        self._memory: list[Any] = []
        self._lengths: list[int] = []
        self.turn = 0
        """Which buffer comes next."""
        self._dtype = np.dtype(dtype)

    def rewind(self) -> None:
        """Begin the next step: the first buffer is handed out first again."""
        self.turn = 0
        if self._first:
            self._buffers += [self._within(*one) if isinstance(one, tuple) else one for one in self._first]
            self._first.clear()

    def empty(self, shape: Shape, dtype: DTypeLike | None = None) -> Any:
        """An array of `shape` whose numbers are whatever was last in its memory."""
        turn = self.turn
        self.turn = turn + 1
        if turn < len(self._buffers):
            return self._buffers[turn]
        kind = self._dtype if dtype is None else np.dtype(dtype)
        nbytes = size(shape) * kind.itemsize
        if nbytes > self._small:
            place = self._found(nbytes), shape, kind
            self._first.append(place)
            return self._within(*place)
        buffer = np.empty(shape, kind)
        self._first.append(buffer)
        return buffer

    def has(self, array: Array) -> bool:
        """Whether it lies in the buffers that are handed out again."""
        return any(np.may_share_memory(array, one) for one in self._buffers)

    def _found(self, nbytes: int) -> int:
        """The place of memory that nobody uses, or of new memory."""
        free = {
            place: length for place, length in enumerate(self._lengths) if length >= nbytes and self._is_free(place)
        }
        found = fitting(free, nbytes)
        if found is None:
            found = len(self._memory)
            self._memory.append(np.empty(nbytes, np.uint8))
            self._lengths.append(nbytes)
        return found

    def _is_free(self, place: int) -> bool:
        return sys.getrefcount(self._memory[place]) == _FREE

    def _within(self, place: int, shape: Shape, kind: Any) -> Any:
        return np.ndarray(shape, kind, self._memory[place])

    @property
    def nbytes(self) -> int:
        """The bytes that all buffers take together."""
        buffers = (one for one in (*self._buffers, *self._first) if isinstance(one, np.ndarray))
        small = (one for one in buffers if one.base is None)  # the others are views of the memory
        return sum(one.nbytes for one in (*small, *self._memory))


class PassContext:
    """One pass through a network: where its arrays come from, whether it learns, and its source of chance.

    One that is not `training` keeps nothing for a backward pass, and has none.

    `shapes` are those of the weights in the order of the flat vector, for what looks at each of them by itself, and
    `names` say where each stands in the architecture.

    `mask` says which steps of the sequences are there, `(batch, steps)`; None: all of them. `Network.forward` begins
    each pass without one; `masking` and an `embedding` with `mask_zero` set it; recurrent layers, pooling and attention
    read it, and losses count no step that is not there. Composites give each branch the mask that came in, and drop it
    by `keep_mask` after a layer that emits other steps; a layer that moves steps about drops it itself.

    `sample_weight` says how much each row counts in the loss, `(batch,)`; None: all alike. `weights` are what comes of
    both: how much each row `(batch,)`, or each of its steps `(batch, steps)`, counts; None: all alike.

    `loss` is the batch's, and `again` computes it once more, and its gradient into the vector that held it, at the
    weights as they stand and with the same draws; both are there for an optimizer that takes more than one pass a step.
    """

    __slots__ = (
        "again",
        "arena",
        "empty",
        "loss",
        "mask",
        "names",
        "rng",
        "sample_weight",
        "shapes",
        "training",
        "weights",
    )

    loss: float
    again: Callable[[], float]

    def __init__(
        self,
        arena: Arena,
        *,
        training: bool,
        rng: np.random.Generator | None = None,
        shapes: tuple[Shape, ...] = (),
        names: tuple[str, ...] = (),
    ) -> None:
        self.arena = arena
        self.empty = arena.empty
        self.shapes = shapes
        self.names = names
        self.training = training
        self.rng = rng
        self.mask: Mask | None = None
        self.sample_weight: Array | None = None
        self.weights: Array | None = None

    def weigh(self) -> None:
        """Make `weights` of the mask and of how much each row counts."""
        self.weights = self.sample_weight
        if self.mask is None:
            return
        weights = self.weights = self.empty(self.mask.shape)
        np.copyto(weights, self.mask)
        if self.sample_weight is not None:
            np.multiply(weights, self.sample_weight[:, None], out=weights)

    def keep_mask(self, y: Array) -> None:
        """Drop the mask unless the layer's output `y` is `(batch, steps, …)` with as many steps as it has."""
        if self.mask is not None and (y.ndim < 3 or y.shape[:2] != self.mask.shape):
            self.mask = None


def inference(dtype: DTypeLike = np.float32) -> PassContext:
    """A pass that only predicts, with memory of its own: any number of threads may have one each."""
    return PassContext(Arena(dtype, SMALL_ONCE), training=False)
