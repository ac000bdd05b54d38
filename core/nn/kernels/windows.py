"""Sliding windows along an axis: the geometry that convolution and pooling share."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal, NamedTuple, TypeAlias

import numpy as np
from annotated_types import Ge, Le

from core.nn.arrays import MAX_AXIS_LENGTH, Array, Shape
from core.nn.plan import ShapeMismatch
from core.nn.step.context import PassContext

Count: TypeAlias = Annotated[int, Ge(1), Le(MAX_AXIS_LENGTH)]
Counts: TypeAlias = Count | tuple[Count, Count]
"""One number for height and width, or one for each."""

Padding: TypeAlias = Literal["valid", "same", "causal"]


class Window(NamedTuple):
    """A window that slides along an axis of `length`, with `before` and `after` zeros, to `output` positions."""

    length: int
    size: int
    stride: int
    dilation: int
    before: int
    after: int
    output: int

    @property
    def span(self) -> int:
        """The distance from the window's first element to its last, both included."""
        return (self.size - 1) * self.dilation + 1

    @property
    def padded(self) -> int:
        """The length of the axis with its padding."""
        return self.before + self.length + self.after


@lru_cache(maxsize=1024)
def window(axis: str, length: int, size: int, stride: int = 1, dilation: int = 1, padding: Padding = "valid") -> Window:
    """Return the window along an axis; raise `ShapeMismatch` if it is longer than the axis."""
    span = (size - 1) * dilation + 1
    missing = max((-(-length // stride) - 1) * stride + span - length, 0)  # for one output per stride
    same = missing // 2, missing - missing // 2  # an odd zero goes after, as in TensorFlow
    before, after = {"valid": (0, 0), "same": same, "causal": (span - 1, 0)}[padding]
    output = (length + before + after - span) // stride + 1
    if output < 1 or not length:
        raise ShapeMismatch(
            f"gets {axis} {length} but its window spans {span}: make the window smaller, or use padding same"
        )
    return Window(length, size, stride, dilation, before, after, output)


def per_axis(counts: Counts, axes: int) -> tuple[int, ...]:
    """Return one number for each axis."""
    return (counts,) * axes if isinstance(counts, int) else counts


def require_axes(shape: Shape, axes: tuple[str, ...]) -> Shape:
    """Return the shape of a row if it has these axes and channels; raise `ShapeMismatch` otherwise."""
    if len(shape) != len(axes) + 1:
        raise ShapeMismatch(f"needs ({', '.join(axes)}, channels) but gets {shape}: put a reshape before it")
    return shape


def zero_padded(x: Array, windows: tuple[Window, Window], ctx: PassContext) -> Array:
    """Return images `(batch, height, width, channels)` with the zeros that the windows need around them."""
    rows, columns = windows
    if not any((rows.before, rows.after, columns.before, columns.after)):
        return x
    batch, _, _, channels = x.shape
    padded: Array = ctx.empty((batch, rows.padded, columns.padded, channels))
    padded.fill(0)
    np.copyto(without_padding(padded, windows), x)
    return padded


def without_padding(padded: Array, windows: tuple[Window, Window]) -> Array:
    """Return the view of padded images that has no padding."""
    rows, columns = windows
    return padded[:, rows.before : rows.before + rows.length, columns.before : columns.before + columns.length]
