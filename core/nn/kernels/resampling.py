"""Pictures read between their pixels: what turns, moves or stretches them without a pixel of its own for each place.

A place is a number of rows from the top, or of columns from the left; pixels stand at the whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.kernels.windows import checked
from core.nn.plan import Plan
from core.nn.step.context import PassContext

FillMode: TypeAlias = Literal["constant", "nearest", "reflect", "wrap"]
Pixels: TypeAlias = NDArray[np.intp]

CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


def plan_of_a_picture(shape: Shape, places: int) -> Plan:
    """No weights, the same shape, read at so many places of the two axes together."""
    pixels = size(checked(shape, ("height", "width"))[:2])
    return Plan(
        shape,
        flops=4 * (pixels + 2 * size(shape)),
        activation_size=3 * pixels + 3 * size(shape) + 10 * places + 2,
        divisible=False,
    )


def resampled(
    x: Array, down: Array, across: Array, mode: FillMode, value: float, ctx: PassContext, *, input_gradient: bool
) -> tuple[Array, Backward]:
    """`y = v + Σ w · (x − v)` over the four pixels around each place, w by how near it is: bilinear.

    `down` are the rows at which to read, `(batch, height, 1)` or one for each pixel, `across` the columns,
    `(batch, 1, width)` or one for each. It is linear in x, so that `∂x` is its transpose: each pixel gets of `∂y` what
    it gave.
    """
    batch, height, width, channels = x.shape
    rows, of_rows = _around(down, height, mode, ctx)
    columns, of_columns = _around(across, width, mode, ctx)
    rows *= width
    rows += np.arange(0, batch * height * width, height * width)[:, None, None]
    index, share, product = ctx.empty(x.shape[:3], np.intp), ctx.empty(x.shape[:3]), ctx.empty(x.shape)

    def corners() -> Iterator[Pixels]:
        for i, j in CORNERS:
            np.multiply(of_rows[i], of_columns[j], out=share)
            yield np.add(rows[i], columns[j], out=index)

    given = x.shape
    y = ctx.empty(given)
    y.fill(value)
    for corner in corners():
        np.take(x.reshape(-1, channels), corner, axis=0, out=product, mode="clip")
        if value:
            product -= value
        product *= share[..., None]
        y += product

    def backward(d_y: Array) -> Array:
        if not input_gradient:
            return d_y
        d_x: Array = ctx.empty(given)
        d_x.fill(0)
        for corner in corners():
            np.multiply(d_y, share[..., None], out=product)
            np.add.at(d_x.reshape(-1, channels), corner.reshape(-1), product.reshape(-1, channels))
        return d_x

    return y, backward


def _around(places: Array, length: int, mode: FillMode, ctx: PassContext) -> tuple[Pixels, Array]:
    """The pixel before each place of an axis and the one behind it, and how much each counts: `(2, …)` both."""
    before = np.floor(places, out=ctx.empty(places.shape))
    shares: Array = ctx.empty((2, *places.shape))
    np.subtract(places, before, out=shares[1])
    np.subtract(1, shares[1], out=shares[0])
    pixels: Pixels = ctx.empty(shares.shape, np.intp)
    np.copyto(pixels[0], before, casting="unsafe")
    np.add(pixels[0], 1, out=pixels[1])
    if mode == "constant":  # beyond the border counts nothing; seen as unsigned, a negative number is huge
        shares *= np.less(pixels.view(np.uintp), length, out=ctx.empty(pixels.shape, np.bool_))
    FILLS[mode](pixels, length)
    return pixels, shares


def _nearest(pixels: Pixels, length: int) -> None:
    np.clip(pixels, 0, length - 1, out=pixels)


def _reflect(pixels: Pixels, length: int) -> None:
    """`|2p + 1|` is as long on either side of a mirror between two pixels."""
    pixels %= 2 * length
    pixels -= length
    pixels *= 2
    pixels += 1
    np.abs(pixels, out=pixels)
    pixels //= 2
    np.subtract(length - 1, pixels, out=pixels)


def _wrap(pixels: Pixels, length: int) -> None:
    pixels %= length


FILLS: Mapping[FillMode, Callable[[Pixels, int], None]] = MappingProxyType(
    {"constant": _nearest, "nearest": _nearest, "reflect": _reflect, "wrap": _wrap}
)
"""Which pixel stands for one beyond the border: `abcd` goes on with `dddd`, `dcba` or `abcd`; a constant is none."""
