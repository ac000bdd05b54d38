"""Depthwise and separable convolutions, which filter each channel by itself (Chollet 2017; Howard et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from core.nn.activations import Activation, Linear
from core.nn.arrays import Array, Backward, Shape, size
from core.nn.constraints import Constraint
from core.nn.initializers import GlorotUniform, Initializer
from core.nn.kernels.windows import (
    Count,
    Counts,
    Window,
    per_axis,
    require_axes,
    window,
    without_padding,
    zero_padded,
)
from core.nn.layers.base import Bias
from core.nn.layers.dense import Dense
from core.nn.plan import Plan, Views, Weight
from core.nn.regularizers import Regularizer
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True)
class DepthwiseKernel(Bias):
    """A layer with kernels for each channel by itself."""

    __slots__ = ()

    kernel_size: Counts
    """Height and width of the kernels; one number stands for both."""
    strides: Counts = 1
    """The step of the kernels from one output to the next."""
    padding: Literal["valid", "same"] = "valid"
    """`valid`: only where the kernel lies within the image. `same`: zeros around it, for one output per stride."""
    depth_multiplier: Count = 1
    """The number m of kernels per channel."""
    dilation_rate: Counts = 1
    """The distance of the kernel's elements on the image."""
    activation: Activation = field(default=Linear())
    """The activation function."""
    depthwise_initializer: Initializer = field(default=GlorotUniform())
    """The initial values of the depthwise kernels."""
    depthwise_regularizer: Regularizer | None = None
    """A penalty on the depthwise kernels."""
    depthwise_constraint: Constraint | None = None
    """A constraint on the depthwise kernels, each of which lies along the axes 0 and 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthwiseConv2D(DepthwiseKernel):
    """Depthwise 2D convolution: `(batch, height, width, channels)` → `(batch, height, width, channels · m)`."""

    type: Literal["depthwise_conv2d"] = "depthwise_conv2d"

    def plan(self, shape: Shape) -> Plan:
        """Kernels `(height, width, channels, m)` and, with `use_bias`, a bias `(channels · m,)`."""
        channels = require_axes(shape, ("height", "width"))[-1]
        rows, columns = self._windows(shape)
        output = (rows.output, columns.output, channels * self.depth_multiplier)
        kernel = (rows.size, columns.size, channels, self.depth_multiplier)
        weights = {
            "kernel": Weight(kernel, self.depthwise_initializer, self.depthwise_regularizer, self.depthwise_constraint)
        }
        if self.use_bias:
            weights["bias"] = self.bias_weight(output[-1:])
        padded = rows.padded * columns.padded * channels
        activation_size = 3 * size(output) + 2 * padded + size(shape) + rows.output * columns.output * channels
        plan = Plan(
            output,
            weights,
            flops=2 * size(output) * rows.size * columns.size,
            activation_size=activation_size,
            output_activation=self.activation.type,
        )
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`z = Σ x · kernel` over the window; `∂kernel = Σ x · δ` and `∂x = Σ δ · kernel` for each kernel element."""
        rows, columns = windows = self._windows(x.shape[1:])
        image = zero_padded(x, windows, ctx)[..., None]
        kernel = views.weights["kernel"]
        z: Array = ctx.empty((len(x), rows.output, columns.output, kernel.shape[2] * kernel.shape[3]))
        sums: Any = z.reshape(*z.shape[:3], *kernel.shape[2:])
        sums[...] = views.weights["bias"].reshape(kernel.shape[2:]) if self.use_bias else 0
        products: Array = ctx.empty(sums.shape)
        for element, covered in _each_element(windows):
            np.multiply(image[covered], kernel[element], out=products)
            np.add(sums, products, out=sums)
        back_activation = self.activation.forward(z, z, ctx)
        input_shape, z_shape, sums_shape = x.shape, z.shape, sums.shape

        def backward(d_output: Array) -> Array:
            delta = back_activation(d_output.reshape(z_shape))
            parts = delta.reshape(sums_shape)
            if views.trainable:
                for element, covered in _each_element(windows):
                    np.multiply(image[covered], parts, out=products)
                    np.add.reduce(products, axis=(0, 1, 2), out=views.gradients["kernel"][element])
                if self.use_bias:
                    np.add.reduce(delta, axis=(0, 1, 2), out=views.gradients["bias"])
            if not views.input_gradient:
                return delta
            return _input_gradient(input_shape, windows, parts, kernel, products, ctx)

        return z, backward

    def _windows(self, shape: Shape) -> tuple[Window, Window]:
        sizes, strides, dilation = (per_axis(c, 2) for c in (self.kernel_size, self.strides, self.dilation_rate))
        return (
            window("height", shape[0], sizes[0], strides[0], dilation[0], self.padding),
            window("width", shape[1], sizes[1], strides[1], dilation[1], self.padding),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SeparableConv2D(DepthwiseKernel):
    """Separable 2D convolution: a depthwise one, then a pointwise one that mixes the channels (Chollet 2017)."""

    type: Literal["separable_conv2d"] = "separable_conv2d"
    filters: Count
    """The number of output channels."""
    pointwise_initializer: Initializer = field(default=GlorotUniform())
    """The initial values of the pointwise kernel."""
    pointwise_regularizer: Regularizer | None = None
    """A penalty on the pointwise kernel."""
    pointwise_constraint: Constraint | None = None
    """A constraint on the pointwise kernel."""

    def plan(self, shape: Shape) -> Plan:
        """`depthwise_kernel` `(height, width, channels, m)`, `pointwise_kernel` `(channels · m, filters)`, a bias."""
        depthwise = self._depthwise().plan(shape)
        pointwise = self._pointwise().plan(depthwise.output_shape)
        plan = Plan(
            pointwise.output_shape,
            {f"depthwise_{name}": weight for name, weight in depthwise.weights.items()}
            | {POINTWISE_NAMES[name]: weight for name, weight in pointwise.weights.items()},
            flops=depthwise.flops + pointwise.flops,
            activation_size=depthwise.activation_size + pointwise.activation_size,
            output_activation=pointwise.output_activation,
        )
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Apply both convolutions in order, and their backward passes in reverse."""
        needed = views.trainable or views.input_gradient
        depthwise = _part_views(views, {"kernel": "depthwise_kernel"}, input_gradient=views.input_gradient)
        pointwise = _part_views(views, POINTWISE_NAMES, input_gradient=needed)
        filtered, back_depthwise = self._depthwise().forward(x, depthwise, ctx)
        y, back_pointwise = self._pointwise().forward(filtered, pointwise, ctx)
        return y, lambda d_y: back_depthwise(back_pointwise(d_y))

    def _depthwise(self) -> DepthwiseConv2D:
        return DepthwiseConv2D(
            kernel_size=self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            depth_multiplier=self.depth_multiplier,
            dilation_rate=self.dilation_rate,
            use_bias=False,
            depthwise_initializer=self.depthwise_initializer,
            depthwise_regularizer=self.depthwise_regularizer,
            depthwise_constraint=self.depthwise_constraint,
        )

    def _pointwise(self) -> Dense:
        return Dense(
            units=self.filters,
            activation=self.activation,
            use_bias=self.use_bias,
            kernel_initializer=self.pointwise_initializer,
            bias_initializer=self.bias_initializer,
            kernel_regularizer=self.pointwise_regularizer,
            bias_regularizer=self.bias_regularizer,
            kernel_constraint=self.pointwise_constraint,
            bias_constraint=self.bias_constraint,
        )


Depthwise: TypeAlias = DepthwiseConv2D | SeparableConv2D

POINTWISE_NAMES = {"kernel": "pointwise_kernel", "bias": "bias"}
"""The names of the pointwise convolution's weights among those of the layer."""


def _part_views(views: Views, names: Mapping[str, str], *, input_gradient: bool) -> Views:
    """Return the views of one part: the layer's weights under the part's names for them."""
    weights, gradients = (
        {own: vectors[name] for own, name in names.items() if name in vectors}
        for vectors in (views.weights, views.gradients)
    )
    return Views(weights, gradients, {}, (), views.learns, input_gradient, views.trainable)


def _each_element(windows: tuple[Window, Window]) -> Iterator[tuple[tuple[int, int], tuple[slice, ...]]]:
    """Yield each element of the kernel, and the pixels that it covers over all outputs."""
    rows, columns = windows
    for i in range(rows.size):
        for j in range(columns.size):
            yield (i, j), (slice(None), _covered(rows, i), _covered(columns, j))


def _covered(window: Window, element: int) -> slice:
    first = element * window.dilation
    return slice(first, first + (window.output - 1) * window.stride + 1, window.stride)


def _input_gradient(
    shape: Shape, windows: tuple[Window, Window], delta: Array, kernel: Array, products: Array, ctx: PassContext
) -> Array:
    """Return `∂x = Σ δ · kernel`, added up at the pixels that each kernel element covers, without the padding."""
    rows, columns = windows
    padded: Array = ctx.empty((shape[0], rows.padded, columns.padded, shape[3]))
    padded.fill(0)
    part: Array = ctx.empty(delta.shape[:-1])
    for element, covered in _each_element(windows):
        np.add.reduce(np.multiply(delta, kernel[element], out=products), axis=-1, out=part)
        padded[covered] += part
    d_x: Array = ctx.empty(shape)
    np.copyto(d_x, without_padding(padded, windows))
    return d_x
