"""Bilinear resampling of images at fractional positions, for random translations, zooms and rotations.

A position is a number of rows from the top or of columns from the left; pixels have integer positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.kernels.windows import require_axes
from core.nn.plan import Plan
from core.nn.step.context import PassContext

FillMode: TypeAlias = Literal["constant", "nearest", "reflect", "wrap"]
Indices: TypeAlias = NDArray[np.intp]

CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


def resampling_plan(shape: Shape, positions: int) -> Plan:
    """Return the plan of an image layer that resamples at this number of row and column positions."""
    pixels = size(require_axes(shape, ("height", "width"))[:2])
    return Plan(
        shape,
        flops=4 * (pixels + 2 * size(shape)),
        activation_size=3 * pixels + 3 * size(shape) + 10 * positions + 2,
        divisible=False,
    )


def bilinear(
    x: Array, rows: Array, columns: Array, mode: FillMode, value: float, ctx: PassContext, *, input_gradient: bool
) -> tuple[Array, Backward]:
    """Compute `y = v + Σ w · (x − v)` over the four pixels around each position, w their bilinear weights.

    `rows` are the row positions, `(batch, height, 1)` or one per pixel, `columns` the column positions,
    `(batch, 1, width)` or one per pixel; v is the fill value. The map is linear in x, so `∂x` is its transpose: each
    pixel gets `w · ∂y` of each output that it contributed to.
    """
    batch, height, width, channels = x.shape
    row_indices, row_weights = _neighbors(rows, height, mode, ctx)
    column_indices, column_weights = _neighbors(columns, width, mode, ctx)
    row_indices *= width
    row_indices += np.arange(0, batch * height * width, height * width)[:, None, None]
    index, weight, product = ctx.empty(x.shape[:3], np.intp), ctx.empty(x.shape[:3]), ctx.empty(x.shape)

    def corners() -> Iterator[Indices]:
        for i, j in CORNERS:
            np.multiply(row_weights[i], column_weights[j], out=weight)
            yield np.add(row_indices[i], column_indices[j], out=index)

    input_shape = x.shape
    y = ctx.empty(input_shape)
    y.fill(value)
    for corner in corners():
        np.take(x.reshape(-1, channels), corner, axis=0, out=product, mode="clip")
        if value:
            product -= value
        product *= weight[..., None]
        y += product

    def backward(d_y: Array) -> Array:
        if not input_gradient:
            return d_y
        d_x: Array = ctx.empty(input_shape)
        d_x.fill(0)
        for corner in corners():
            np.multiply(d_y, weight[..., None], out=product)
            np.add.at(d_x.reshape(-1, channels), corner.reshape(-1), product.reshape(-1, channels))
        return d_x

    return y, backward


def _neighbors(positions: Array, length: int, mode: FillMode, ctx: PassContext) -> tuple[Indices, Array]:
    """Return the pixels before and after each position of an axis, and their weights, both `(2, …)`."""
    before = np.floor(positions, out=ctx.empty(positions.shape))
    weights: Array = ctx.empty((2, *positions.shape))
    np.subtract(positions, before, out=weights[1])
    np.subtract(1, weights[1], out=weights[0])
    pixels: Indices = ctx.empty(weights.shape, np.intp)
    np.copyto(pixels[0], before, casting="unsafe")
    np.add(pixels[0], 1, out=pixels[1])
    if mode == "constant":  # pixels beyond the border have no weight; as unsigned, a negative index is huge
        weights *= np.less(pixels.view(np.uintp), length, out=ctx.empty(pixels.shape, np.bool_))
    FILL_MODES[mode](pixels, length)
    return pixels, weights


def _nearest(pixels: Indices, length: int) -> None:
    np.clip(pixels, 0, length - 1, out=pixels)


def _reflect(pixels: Indices, length: int) -> None:
    """Mirror at a border between two pixels, where `|2p + 1|` is the same on both sides."""
    pixels %= 2 * length
    pixels -= length
    pixels *= 2
    pixels += 1
    np.abs(pixels, out=pixels)
    pixels //= 2
    np.subtract(length - 1, pixels, out=pixels)


def _wrap(pixels: Indices, length: int) -> None:
    pixels %= length


FILL_MODES: Mapping[FillMode, Callable[[Indices, int], None]] = MappingProxyType(
    {"constant": _nearest, "nearest": _nearest, "reflect": _reflect, "wrap": _wrap}
)
"""The pixel read for one beyond the border: `abcd` continues with `dddd`, `dcba` or `abcd`; a constant reads none."""
