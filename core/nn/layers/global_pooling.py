"""Global pooling layers: the maximum or the mean of each channel over all positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from core.nn.arrays import Array, Backward, Mask, Shape, size
from core.nn.kernels.windows import require_axes
from core.nn.plan import Plan, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class GlobalMaxPooling1D:
    """Global 1D max pooling: the maximum of each channel, `(batch, steps, channels)` → `(batch, channels)`."""

    type: Literal["global_max_pooling1d"] = "global_max_pooling1d"
    axes: ClassVar = ("steps",)

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan(shape, self.axes)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂y` goes to the maximum; several share it equally."""
        return _maximum(x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class GlobalMaxPooling2D:
    """Global 2D max pooling: the maximum of each channel, `(batch, height, width, channels)` → `(batch, channels)`."""

    type: Literal["global_max_pooling2d"] = "global_max_pooling2d"
    axes: ClassVar = ("height", "width")

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan(shape, self.axes)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂y` goes to the maximum; several share it equally."""
        return _maximum(x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class GlobalAveragePooling1D:
    """Global 1D average pooling: each channel's mean over the unmasked steps.

    `(batch, steps, channels)` → `(batch, channels)`.
    """

    type: Literal["global_average_pooling1d"] = "global_average_pooling1d"
    axes: ClassVar = ("steps",)

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan(shape, self.axes)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂y` is divided equally among the unmasked steps."""
        return _average(x, ctx) if ctx.mask is None else _masked_average(x, ctx.mask, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class GlobalAveragePooling2D:
    """Global 2D average pooling: each channel's mean over the pixels (Lin et al. 2013).

    `(batch, height, width, channels)` → `(batch, channels)`.
    """

    type: Literal["global_average_pooling2d"] = "global_average_pooling2d"
    axes: ClassVar = ("height", "width")

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan(shape, self.axes)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂y` is divided equally among the pixels."""
        return _average(x, ctx)


GlobalPooling: TypeAlias = GlobalMaxPooling1D | GlobalMaxPooling2D | GlobalAveragePooling1D | GlobalAveragePooling2D


def _plan(shape: Shape, axes: tuple[str, ...]) -> Plan:
    require_axes(shape, axes)
    return Plan(shape[-1:], flops=size(shape), activation_size=2 * size(shape) + 3 * shape[-1])


def _maximum(x: Array, ctx: PassContext) -> tuple[Array, Backward]:
    positions = x.reshape(len(x), -1, x.shape[-1])
    y: Array = np.maximum.reduce(positions, axis=1, out=ctx.empty((len(x), x.shape[-1])))

    def backward(d_y: Array) -> Array:
        d_x: Array = ctx.empty(positions.shape)
        np.equal(positions, y[:, None], out=d_x)
        d_y /= np.add.reduce(d_x, axis=1, out=ctx.empty(y.shape))
        d_x *= d_y[:, None]
        return d_x.reshape(x.shape)

    return y, backward


def _average(x: Array, ctx: PassContext) -> tuple[Array, Backward]:
    positions = x.reshape(len(x), -1, x.shape[-1])
    y: Array = np.add.reduce(positions, axis=1, out=ctx.empty((len(x), x.shape[-1])))
    y /= positions.shape[1]
    input_shape, positions_shape = x.shape, positions.shape

    def backward(d_y: Array) -> Array:
        d_x: Array = ctx.empty(positions_shape)
        d_y /= positions_shape[1]
        np.copyto(d_x, d_y[:, None])
        return d_x.reshape(input_shape)

    return y, backward


def _masked_average(x: Array, mask: Mask, ctx: PassContext) -> tuple[Array, Backward]:
    """Compute the mean over the unmasked steps, 0 if there are none."""
    weight: Array = ctx.empty((*mask.shape, 1))
    np.copyto(weight, mask[:, :, None])
    count = np.add.reduce(weight, axis=1, keepdims=True, out=ctx.empty((len(x), 1, 1)))
    weight /= np.maximum(count, 1, out=count)
    weighted = np.multiply(x, weight, out=ctx.empty(x.shape))
    y: Array = np.add.reduce(weighted, axis=1, out=ctx.empty((len(x), x.shape[-1])))
    return y, lambda d_y: np.multiply(d_y[:, None], weight, out=weighted)
