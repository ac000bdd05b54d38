"""Transposed convolutions, which upsample: the reverse of a strided convolution's geometry.

Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", chapter 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from core.nn.activations import Activation, Linear
from core.nn.arrays import Array, Backward, Shape, size
from core.nn.kernels.windows import Count, Counts, per_axis, require_axes
from core.nn.layers.base import Bias, Kernel
from core.nn.layers.convolution import Conv1D, Conv2D
from core.nn.plan import Plan, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Conv2DTranspose(Kernel, Bias):
    """Transposed 2D convolution: `(batch, height, width, channels)` → `(batch, …, …, filters)`.

    It is a convolution of the input with zeros between its rows and columns. The kernel is that of this convolution,
    which is the kernel of PyTorch or Keras flipped.
    """

    type: Literal["conv2d_transpose"] = "conv2d_transpose"
    filters: Count
    """The number of output channels."""
    kernel_size: Counts
    """Height and width of the kernel; one number stands for both."""
    strides: Counts = 1
    """The number of outputs per input, along each axis."""
    padding: Literal["valid", "same"] = "valid"
    """`valid`: all outputs that an input contributes to. `same`: as many outputs as strides per input."""
    dilation_rate: Counts = 1
    """The distance of the kernel's elements on the output."""
    groups: Count = 1
    """The number of groups of channels, each with its own filters."""
    activation: Activation = field(default=Linear())
    """The activation function."""

    def plan(self, shape: Shape) -> Plan:
        """Kernel `(height, width, channels / groups, filters)` and, with `use_bias`, bias `(filters,)`."""
        return _plan(self, require_axes(shape, ("height", "width")))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Convolve the dilated input; `∂x` is the input gradient at the positions of x."""
        return _forward(self, x, views, ctx)

    def convolution(self) -> Conv2D:
        """Return the convolution that is applied to the dilated input."""
        return Conv2D(**_shared_fields(self))


@dataclass(frozen=True, kw_only=True, slots=True)
class Conv1DTranspose(Kernel, Bias):
    """Transposed 1D convolution: `(batch, steps, channels)` → `(batch, …, filters)`.

    It is a convolution of the input with zeros between its steps. The kernel is that of this convolution, which is the
    kernel of PyTorch or Keras flipped.
    """

    type: Literal["conv1d_transpose"] = "conv1d_transpose"
    filters: Count
    """The number of output channels."""
    kernel_size: Count
    """The length of the kernel."""
    strides: Count = 1
    """The number of outputs per step."""
    padding: Literal["valid", "same"] = "valid"
    """`valid`: all outputs that an input contributes to. `same`: as many outputs as strides per step."""
    dilation_rate: Count = 1
    """The distance of the kernel's elements on the output."""
    groups: Count = 1
    """The number of groups of channels, each with its own filters."""
    activation: Activation = field(default=Linear())
    """The activation function."""

    def plan(self, shape: Shape) -> Plan:
        """Kernel `(length, channels / groups, filters)` and, with `use_bias`, bias `(filters,)`."""
        return _plan(self, require_axes(shape, ("steps",)))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Convolve the dilated input; `∂x` is the input gradient at the positions of x."""
        return _forward(self, x, views, ctx)

    def convolution(self) -> Conv1D:
        """Return the convolution that is applied to the dilated input."""
        return Conv1D(**_shared_fields(self))


Transposed: TypeAlias = Conv1DTranspose | Conv2DTranspose


def _shared_fields(layer: Transposed) -> dict[str, Any]:
    """Return the fields that the convolution takes over; its strides are 1 and its padding is `valid`."""
    names = {field.name for field in fields(layer)} - {"type", "strides", "padding"}
    return {name: getattr(layer, name) for name in names}


class _Dilation(NamedTuple):
    """Positions of the inputs along one axis of the dilated input: from `first`, `stride` apart, of `length` in all."""

    first: int
    stride: int
    length: int

    def positions(self, count: int) -> slice:
        """Return the positions of this number of inputs."""
        return slice(self.first, self.first + (count - 1) * self.stride + 1, self.stride)


def _dilation(count: int, kernel: int, stride: int, dilation: int, padding: str) -> _Dilation:
    """Return the dilation of an axis of `count` inputs for which a sliding kernel emits the required outputs.

    All positions that the inputs contribute to are `(count − 1) · stride + span`. `same` cuts this to
    `count · stride`, an odd position at the end; both paddings extend it to that where the kernel is shorter than a
    stride.
    """
    span = (kernel - 1) * dilation + 1
    excess = span - stride
    before = max(excess, 0) // 2 if padding == "same" else 0
    after = excess - before if padding == "same" else min(excess, 0)
    first = span - 1 - before
    return _Dilation(first, stride, first + (count - 1) * stride + 1 + span - 1 - after)


def _dilations(layer: Transposed, shape: Shape) -> list[_Dilation]:
    axes = len(shape) - 1
    sizes, strides, dilations = (per_axis(c, axes) for c in (layer.kernel_size, layer.strides, layer.dilation_rate))
    geometry = zip(shape, sizes, strides, dilations, strict=False)
    return [_dilation(count, kernel, stride, dilation, layer.padding) for count, kernel, stride, dilation in geometry]


def _plan(layer: Transposed, shape: Shape) -> Plan:
    dilated = (*(axis.length for axis in _dilations(layer, shape)), shape[-1])
    plan = layer.convolution().plan(dilated)
    return Plan(
        plan.output_shape,
        plan.weights,
        flops=plan.flops,
        activation_size=plan.activation_size + size(dilated) + size(shape),
        scratch=plan.scratch,
        trainable=plan.trainable,
        output_activation=plan.output_activation,
    )


def _forward(layer: Transposed, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
    axes = _dilations(layer, x.shape[1:])
    positions = (slice(None), *(axis.positions(count) for axis, count in zip(axes, x.shape[1:], strict=False)))
    dilated: Array = ctx.empty((len(x), *(axis.length for axis in axes), x.shape[-1]))
    dilated.fill(0)
    dilated[positions] = x
    y, back_convolution = layer.convolution().forward(dilated, views, ctx)
    input_shape = x.shape

    def backward(d_y: Array) -> Array:
        d_dilated = back_convolution(d_y)
        if not views.input_gradient:
            return d_dilated
        d_x: Array = ctx.empty(input_shape)
        np.copyto(d_x, d_dilated[positions])
        return d_x

    return y, backward
