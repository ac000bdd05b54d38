"""Layers that resize images and sequences: zero padding, cropping and upsampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le

from core.nn.arrays import MAX_AXIS_LENGTH, Array, Backward, Shape, size
from core.nn.kernels.windows import Count, Counts, per_axis, require_axes
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext

Width: TypeAlias = Annotated[int, Ge(0), Le(MAX_AXIS_LENGTH)]
Ends: TypeAlias = tuple[Width, Width]
"""A width before and a width after an axis."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ZeroPadding1D:
    """Zero padding of sequences: zeros before and after the steps of `(batch, steps, channels)`."""

    type: Literal["zero_padding1d"] = "zero_padding1d"
    padding: Width | Ends = 1
    """The number of zeros at both ends, or `[before, after]`."""
    axes: ClassVar = ("steps",)

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _padding_plan(shape, self.axes, _ends(self.padding, 1))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x` is `∂y` without the borders."""
        return _pad(_ends(self.padding, 1), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class ZeroPadding2D:
    """Zero padding of images: zeros around the pixels of `(batch, height, width, channels)`."""

    type: Literal["zero_padding2d"] = "zero_padding2d"
    padding: Width | Ends | tuple[Ends, Ends] = 1
    """The number of zeros at all sides, `[height, width]`, or `[[top, bottom], [left, right]]`."""
    axes: ClassVar = ("height", "width")

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _padding_plan(shape, self.axes, _ends(self.padding, 2))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x` is `∂y` without the borders."""
        return _pad(_ends(self.padding, 2), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cropping1D:
    """Cropping of sequences: cut off the first and last steps of `(batch, steps, channels)`."""

    type: Literal["cropping1d"] = "cropping1d"
    cropping: Width | Ends = 1
    """The number of steps to cut off at both ends, or `[before, after]`."""
    axes: ClassVar = ("steps",)

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _cropping_plan(shape, self.axes, _ends(self.cropping, 1))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x` is `∂y`, and 0 at what was cut off."""
        return _crop(_ends(self.cropping, 1), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cropping2D:
    """Cropping of images: cut off the borders of `(batch, height, width, channels)`."""

    type: Literal["cropping2d"] = "cropping2d"
    cropping: Width | Ends | tuple[Ends, Ends] = 1
    """The number of pixels to cut off at all sides, `[height, width]`, or `[[top, bottom], [left, right]]`."""
    axes: ClassVar = ("height", "width")

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _cropping_plan(shape, self.axes, _ends(self.cropping, 2))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x` is `∂y`, and 0 at what was cut off."""
        return _crop(_ends(self.cropping, 2), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class UpSampling1D:
    """Upsampling of sequences: repeat each step of `(batch, steps, channels)`."""

    type: Literal["up_sampling1d"] = "up_sampling1d"
    size: Count = 2
    """The number of repetitions."""
    axes: ClassVar = ("steps",)

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _upsampling_plan(shape, self.axes, per_axis(self.size, 1))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x = Σ ∂y` over the repetitions."""
        return _repeat(per_axis(self.size, 1), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class UpSampling2D:
    """Upsampling of images: repeat each pixel of `(batch, height, width, channels)` along both axes."""

    type: Literal["up_sampling2d"] = "up_sampling2d"
    size: Counts = 2
    """The number of repetitions along both axes, or `[height, width]`."""
    axes: ClassVar = ("height", "width")

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _upsampling_plan(shape, self.axes, per_axis(self.size, 2))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x = Σ ∂y` over the repetitions."""
        return _repeat(per_axis(self.size, 2), x, ctx)


Resizing: TypeAlias = ZeroPadding1D | ZeroPadding2D | Cropping1D | Cropping2D | UpSampling1D | UpSampling2D


def _ends(width: int | Ends | tuple[Ends, Ends], axes: int) -> list[Ends]:
    """Return the width before and after each axis."""
    if isinstance(width, int):
        return [(width, width)] * axes
    return [width] if axes == 1 else [one if isinstance(one, tuple) else (one, one) for one in width]  # type: ignore[list-item]


def _padding_plan(shape: Shape, axes: tuple[str, ...], ends: list[Ends]) -> Plan:
    lengths = zip(require_axes(shape, axes), ends, strict=False)
    output = (*(length + before + after for length, (before, after) in lengths), shape[-1])
    return Plan(output, activation_size=size(shape) + size(output))


def _cropping_plan(shape: Shape, axes: tuple[str, ...], ends: list[Ends]) -> Plan:
    lengths = zip(require_axes(shape, axes), ends, strict=False)
    output = (*(length - before - after for length, (before, after) in lengths), shape[-1])
    if min(output) < 1:
        raise ShapeMismatch(f"gets {shape} and would leave nothing of it: crop less")
    return Plan(output, activation_size=size(shape) + size(output))


def _upsampling_plan(shape: Shape, axes: tuple[str, ...], counts: tuple[int, ...]) -> Plan:
    lengths = zip(require_axes(shape, axes), counts, strict=False)
    output = (*(length * count for length, count in lengths), shape[-1])
    return Plan(output, flops=size(output), activation_size=size(shape) + size(output))


def _pad(ends: list[Ends], x: Array, ctx: PassContext) -> tuple[Array, Backward]:
    lengths = [length + sum(end) for length, end in zip(x.shape[1:], ends, strict=False)]
    inner = (slice(None), *(slice(end[0], length - end[1]) for end, length in zip(ends, lengths, strict=True)))
    y: Array = ctx.empty((len(x), *lengths, x.shape[-1]))
    y.fill(0)
    np.copyto(y[inner], x)
    input_shape = x.shape

    def backward(d_y: Array) -> Array:
        d_x: Array = ctx.empty(input_shape)
        np.copyto(d_x, d_y[inner])
        return d_x

    return y, backward


def _crop(ends: list[Ends], x: Array, ctx: PassContext) -> tuple[Array, Backward]:
    lengths = zip(ends, x.shape[1:], strict=False)
    inner = (slice(None), *(slice(end[0], length - end[1]) for end, length in lengths))
    y: Array = ctx.empty(x[inner].shape)
    np.copyto(y, x[inner])
    input_shape = x.shape

    def backward(d_y: Array) -> Array:
        d_x: Array = ctx.empty(input_shape)
        d_x.fill(0)
        np.copyto(d_x[inner], d_y)
        return d_x

    return y, backward


def _repeat(counts: Shape, x: Array, ctx: PassContext) -> tuple[Array, Backward]:
    axes = list(zip(x.shape[1:], counts, strict=False))
    y: Array = ctx.empty((len(x), *(length * count for length, count in axes), x.shape[-1]))
    repeated = (len(x), *(number for pair in axes for number in pair), x.shape[-1])
    single = (len(x), *(number for length, _ in axes for number in (length, 1)), x.shape[-1])
    np.copyto(y.reshape(repeated), x.reshape(single))
    input_shape = x.shape

    def backward(d_y: Array) -> Array:
        d_x: Array = ctx.empty(input_shape)
        np.add.reduce(d_y.reshape(repeated), axis=tuple(range(2, 2 * len(axes) + 1, 2)), out=d_x)
        return d_x

    return y, backward
