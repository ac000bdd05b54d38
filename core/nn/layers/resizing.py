"""Layers that make images and sequences larger or smaller: zeros around them, borders cut off, numbers repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le

from core.nn.arrays import MOST, Array, Backward, Shape, size
from core.nn.kernels.windows import Count, Counts, checked, each
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext

Width: TypeAlias = Annotated[int, Ge(0), Le(MOST)]
Ends: TypeAlias = tuple[Width, Width]
Inner: TypeAlias = tuple[slice, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ZeroPadding1D:
    """Zeros before and after a sequence: `(batch, steps, channels)`."""

    type: Literal["zero_padding1d"] = "zero_padding1d"
    padding: Width | Ends = 1
    """How many; one number stands for both ends."""
    along: ClassVar = ("steps",)

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan_padding(self, shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradient is that of the numbers within."""
        return _pad(_ends(self.padding, 1), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class ZeroPadding2D:
    """Zeros around images: `(batch, height, width, channels)`."""

    type: Literal["zero_padding2d"] = "zero_padding2d"
    padding: Width | Ends | tuple[Ends, Ends] = 1
    """How many: everywhere; above and below, left and right alike; or `[[above, below], [left, right]]`."""
    along: ClassVar = ("height", "width")

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan_padding(self, shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradient is that of the numbers within."""
        return _pad(_ends(self.padding, 2), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cropping1D:
    """A sequence without its first and last steps: `(batch, steps, channels)`."""

    type: Literal["cropping1d"] = "cropping1d"
    cropping: Width | Ends = 1
    """How many steps go; one number stands for both ends."""
    along: ClassVar = ("steps",)

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan_cropping(self, shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """What was cut off has no gradient."""
        return _crop(_ends(self.cropping, 1), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cropping2D:
    """Images without their borders: `(batch, height, width, channels)`."""

    type: Literal["cropping2d"] = "cropping2d"
    cropping: Width | Ends | tuple[Ends, Ends] = 1
    """How much goes: everywhere; above and below, left and right alike; or `[[above, below], [left, right]]`."""
    along: ClassVar = ("height", "width")

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan_cropping(self, shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """What was cut off has no gradient."""
        return _crop(_ends(self.cropping, 2), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class UpSampling1D:
    """Each step of a sequence several times: `(batch, steps, channels)`."""

    type: Literal["up_sampling1d"] = "up_sampling1d"
    size: Count = 2
    """How often."""
    along: ClassVar = ("steps",)

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan_repeating(self, shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradients of a number's copies add up."""
        return _repeat(each(self.size, 1), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class UpSampling2D:
    """Each pixel several times, downwards and across: `(batch, height, width, channels)`."""

    type: Literal["up_sampling2d"] = "up_sampling2d"
    size: Counts = 2
    """How often, downwards and across; one number stands for both."""
    along: ClassVar = ("height", "width")

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan_repeating(self, shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradients of a number's copies add up."""
        return _repeat(each(self.size, 2), x, ctx)


Bordering: TypeAlias = ZeroPadding1D | ZeroPadding2D | Cropping1D | Cropping2D | UpSampling1D | UpSampling2D


def _ends(width: int | Ends | tuple[Ends, Ends], axes: int) -> list[Ends]:
    """Before and after, for each axis."""
    if isinstance(width, int):
        return [(width, width)] * axes
    return [width] if axes == 1 else [one if isinstance(one, tuple) else (one, one) for one in width]  # type: ignore[list-item]


def _plan_padding(layer: ZeroPadding1D | ZeroPadding2D, shape: Shape) -> Plan:
    ends = _ends(layer.padding, len(layer.along))
    lengths = zip(checked(shape, layer.along), ends, strict=False)
    output = (*(length + before + after for length, (before, after) in lengths), shape[-1])
    return Plan(output, activation_size=size(shape) + size(output))


def _plan_cropping(layer: Cropping1D | Cropping2D, shape: Shape) -> Plan:
    ends = _ends(layer.cropping, len(layer.along))
    lengths = zip(checked(shape, layer.along), ends, strict=False)
    output = (*(length - before - after for length, (before, after) in lengths), shape[-1])
    if min(output) < 1:
        raise ShapeMismatch(f"gets {shape} and would leave nothing of it: crop less")
    return Plan(output, activation_size=size(shape) + size(output))


def _plan_repeating(layer: UpSampling1D | UpSampling2D, shape: Shape) -> Plan:
    counts = each(layer.size, len(layer.along))
    lengths = zip(checked(shape, layer.along), counts, strict=False)
    output = (*(length * count for length, count in lengths), shape[-1])
    return Plan(output, flops=size(output), activation_size=size(shape) + size(output))


def _pad(ends: list[Ends], x: Array, ctx: PassContext) -> tuple[Array, Backward]:
    lengths = [length + sum(end) for length, end in zip(x.shape[1:], ends, strict=False)]
    inner: Inner = (slice(None), *(slice(end[0], length - end[1]) for end, length in zip(ends, lengths, strict=True)))
    y: Array = ctx.empty((len(x), *lengths, x.shape[-1]))
    y.fill(0)
    np.copyto(y[inner], x)
    given = x.shape

    def backward(d_y: Array) -> Array:
        d_x: Array = ctx.empty(given)
        np.copyto(d_x, d_y[inner])
        return d_x

    return y, backward


def _crop(ends: list[Ends], x: Array, ctx: PassContext) -> tuple[Array, Backward]:
    axes = zip(ends, x.shape[1:], strict=False)
    inner: Inner = (slice(None), *(slice(end[0], length - end[1]) for end, length in axes))
    y: Array = ctx.empty(x[inner].shape)
    np.copyto(y, x[inner])
    given = x.shape

    def backward(d_y: Array) -> Array:
        d_x: Array = ctx.empty(given)
        d_x.fill(0)
        np.copyto(d_x[inner], d_y)
        return d_x

    return y, backward


def _repeat(counts: Shape, x: Array, ctx: PassContext) -> tuple[Array, Backward]:
    axes = list(zip(x.shape[1:], counts, strict=False))
    copies = [number for pair in axes for number in pair]
    y: Array = ctx.empty((len(x), *(length * count for length, count in axes), x.shape[-1]))
    where = (len(x), *copies, x.shape[-1])
    singles = (len(x), *(number for length, _ in axes for number in (length, 1)), x.shape[-1])
    np.copyto(y.reshape(where), x.reshape(singles))
    given = x.shape

    def backward(d_y: Array) -> Array:
        d_x: Array = ctx.empty(given)
        np.add.reduce(d_y.reshape(where), axis=tuple(range(2, 2 * len(axes) + 1, 2)), out=d_x)
        return d_x

    return y, backward
