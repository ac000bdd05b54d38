"""What every optimizer works on: the flat vectors, block by block or weight by weight."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from core.nn.arrays import Array, Shape, size
from core.nn.step.context import PassContext

Slots: TypeAlias = Mapping[str, Array]
"""What an optimizer remembers from step to step: vectors by name, of the weights' length unless it says otherwise."""


class Slot(NamedTuple):
    """Where a vector of another length begins, and that length by the shapes of all weights."""

    start: float
    length: Callable[[Sequence[Shape]], int]


Starts: TypeAlias = Mapping[str, float | Slot]
"""Where the vectors begin that an optimizer remembers, by name."""


def lengths(starts: Starts, shapes: Sequence[Shape]) -> dict[str, int]:
    """How long each vector is for weights of these shapes; nothing is allocated."""
    whole = sum(map(size, shapes))
    return {name: begin.length(shapes) if isinstance(begin, Slot) else whole for name, begin in starts.items()}


def first_slots(starts: Starts, shapes: Sequence[Shape], dtype: DTypeLike) -> dict[str, Array]:
    """The vectors before the first step."""
    begins = [begin.start if isinstance(begin, Slot) else begin for begin in starts.values()]
    sized = lengths(starts, shapes).items()
    return {name: np.full(length, begin, dtype) for (name, length), begin in zip(sized, begins, strict=True)}


BLOCK = 32_768
"""How many numbers are updated at a time, so that the several passes over them find them in the cache. Twice as many
took as long, and a piece of scratch for which the step has no memory left over.
"""

FLUSH_STEPS = 256
"""After how many steps what has died away in the slots is cleared."""
DIED_AWAY = 1e-30
"""Beside this, what has died away vanishes in the rounding: less than some 1e-37."""


def flush(slots: Slots) -> None:
    """Turn what has died away into zeros.

    The moments of a unit that gets no gradient any more shrink until they are denormal numbers, and rounding then keeps
    them there for ever. Many processors compute with those ten times as long: Adam's step over 235,000 dead weights
    took 3,270 µs, and 330 with zeros.
    """
    for slot in slots.values():
        np.add(slot, DIED_AWAY, out=slot)
        np.subtract(slot, DIED_AWAY, out=slot)


def blocks(ctx: PassContext, weights: Array, *vectors: Array) -> Iterator[tuple[Array, ...]]:
    """Cut the vectors into blocks; yield each with a scratch array of its length in front."""
    spare = ctx.empty((min(BLOCK, len(weights)),))
    if len(weights) <= BLOCK:
        yield spare, weights, *vectors
        return
    for start in range(0, len(weights), BLOCK):
        block = slice(start, start + BLOCK)
        piece = weights[block]
        yield spare[: len(piece)], piece, *(vector[block] for vector in vectors)


def descend(weights: Array, gradient: Array, rate: float, ctx: PassContext) -> None:
    """`w ← w − η · g`."""
    for scratch, w, g in blocks(ctx, weights, gradient):
        np.multiply(g, rate, out=scratch)
        np.subtract(w, scratch, out=w)


def decay(weights: Array, share: float) -> None:
    """`w ← w − share · w`."""
    np.multiply(weights, 1 - share, out=weights)


def each_weight(ctx: PassContext, *vectors: Array) -> Iterator[tuple[Any, ...]]:
    """The vectors cut into the weights of the network, each in its shape; whole where the run knows no shapes."""
    start = 0
    for shape in ctx.shapes or (vectors[0].shape,):
        end = start + size(shape)
        yield tuple(vector[start:end].reshape(shape) for vector in vectors)
        start = end
