"""How a window slides along an axis: what convolution and pooling have in common."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal, NamedTuple, TypeAlias

import numpy as np
from annotated_types import Ge, Le

from core.nn.arrays import MOST, Array, Shape
from core.nn.plan import ShapeMismatch
from core.nn.step.context import PassContext

Count: TypeAlias = Annotated[int, Ge(1), Le(MOST)]
Counts: TypeAlias = Count | tuple[Count, Count]
"""A number for height and width, or one for each."""

Padding: TypeAlias = Literal["valid", "same", "causal"]


class Slide(NamedTuple):
    """A window's way along one axis, with `before` and `after` zeros around the axis's `length` numbers."""

    length: int
    size: int
    stride: int
    dilation: int
    before: int
    after: int
    output: int

    @property
    def span(self) -> int:
        """From the window's first number to its last, both counted."""
        return (self.size - 1) * self.dilation + 1


@lru_cache(maxsize=1024)
def slide(axis: str, length: int, size: int, stride: int = 1, dilation: int = 1, padding: Padding = "valid") -> Slide:
    """The window's way; `ShapeMismatch` where it is longer than the axis."""
    span = (size - 1) * dilation + 1
    lacking = max((-(-length // stride) - 1) * stride + span - length, 0)  # for one output each stride
    same = lacking // 2, lacking - lacking // 2  # the odd one behind, as TensorFlow pads
    before, after = {"valid": (0, 0), "same": same, "causal": (span - 1, 0)}[padding]
    output = (length + before + after - span) // stride + 1
    if output < 1 or not length:
        raise ShapeMismatch(
            f"gets {axis} {length}, and its window spans {span}: make the window smaller, or pad with same"
        )
    return Slide(length, size, stride, dilation, before, after, output)


def each(counts: Counts, axes: int) -> tuple[int, ...]:
    """A number for each axis."""
    return (counts,) * axes if isinstance(counts, int) else counts


def checked(shape: Shape, along: tuple[str, ...]) -> Shape:
    """The shape of a row, if it has these axes and channels; else `ShapeMismatch`."""
    if len(shape) != len(along) + 1:
        raise ShapeMismatch(f"needs ({', '.join(along)}, channels), and gets {shape}: put a reshape before it")
    return shape


def padded(x: Array, slides: tuple[Slide, Slide], ctx: PassContext) -> Array:
    """Images `(batch, height, width, channels)` with the zeros that the window's way wants around them."""
    down, across = slides
    if not any((down.before, down.after, across.before, across.after)):
        return x
    batch, height, width, channels = x.shape
    wide: Array = ctx.empty((batch, down.before + height + down.after, across.before + width + across.after, channels))
    wide.fill(0)
    np.copyto(wide[:, down.before : down.before + height, across.before : across.before + width], x)
    return wide
