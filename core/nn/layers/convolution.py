"""Convolutions of images and sequences: the same small kernel at every position, channels last.

LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from core.nn.activations import Activation, Linear
from core.nn.arrays import Array, Backward, Shape, size
from core.nn.kernels.correlation import correlation
from core.nn.kernels.windows import Count, Counts, Padding, Window, per_axis, require_axes, window, zero_padded
from core.nn.layers.base import Bias, Kernel
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Conv2D(Kernel, Bias):
    """2D convolution of images: `(batch, height, width, channels)` → `(batch, height, width, filters)`."""

    type: Literal["conv2d"] = "conv2d"
    filters: Count
    """The number of output channels."""
    kernel_size: Counts
    """Height and width of the kernel; one number stands for both."""
    strides: Counts = 1
    """The step of the kernel from one output to the next."""
    padding: Literal["valid", "same"] = "valid"
    """`valid`: only where the kernel lies within the image. `same`: zeros around it, for one output per stride."""
    dilation_rate: Counts = 1
    """The distance of the kernel's elements on the image (Yu & Koltun 2016)."""
    groups: Count = 1
    """The number of groups of channels, each with its own filters (Krizhevsky et al. 2012)."""
    activation: Activation = field(default=Linear())
    """The activation function."""

    def plan(self, shape: Shape) -> Plan:
        """Kernel `(height, width, channels / groups, filters)` and, with `use_bias`, bias `(filters,)`."""
        return self._passes(require_axes(shape, ("height", "width"))).plan(rank=2)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """With `δ = ∂loss/∂z`: `∂kernel = Σ x·δ` under the window, `∂b = Σ δ`, `∂x` = δ under the flipped kernel."""
        return self._passes(x.shape[1:]).forward(x, views, ctx)

    def _passes(self, shape: Shape) -> _Passes:
        sizes, strides, dilation = (per_axis(c, 2) for c in (self.kernel_size, self.strides, self.dilation_rate))
        rows = window("height", shape[0], sizes[0], strides[0], dilation[0], self.padding)
        columns = window("width", shape[1], sizes[1], strides[1], dilation[1], self.padding)
        return _Passes(self, shape, (rows, columns))


@dataclass(frozen=True, kw_only=True, slots=True)
class Conv1D(Kernel, Bias):
    """1D convolution of sequences: `(batch, steps, channels)` → `(batch, steps, filters)`."""

    type: Literal["conv1d"] = "conv1d"
    filters: Count
    """The number of output channels."""
    kernel_size: Count
    """The length of the kernel."""
    strides: Count = 1
    """The step of the kernel from one output to the next."""
    padding: Padding = "valid"
    """`valid`: only within the sequence. `same`: zeros at both ends. `causal`: zeros before it, so that no output
    depends on later steps (van den Oord et al. 2016)."""
    dilation_rate: Count = 1
    """The distance of the kernel's elements on the sequence (Yu & Koltun 2016)."""
    groups: Count = 1
    """The number of groups of channels, each with its own filters (Krizhevsky et al. 2012)."""
    activation: Activation = field(default=Linear())
    """The activation function."""

    def plan(self, shape: Shape) -> Plan:
        """Kernel `(length, channels / groups, filters)` and, with `use_bias`, bias `(filters,)`."""
        return self._passes(require_axes(shape, ("steps",))).plan(rank=1)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """With `δ = ∂loss/∂z`: `∂kernel = Σ x·δ` under the window, `∂b = Σ δ`, `∂x` = δ under the flipped kernel."""
        z, backward = self._passes(x.shape[1:]).forward(x, views, ctx)
        return z.reshape(len(x), *z.shape[2:]), backward

    def _passes(self, shape: Shape) -> _Passes:
        steps = window("steps", shape[0], self.kernel_size, self.strides, self.dilation_rate, self.padding)
        return _Passes(self, (1, *shape), (window("height", 1, 1), steps))


Convolution: TypeAlias = Conv1D | Conv2D


class _Passes:
    """Plan, forward and backward pass of a convolution for one shape of image; a sequence is an image of height 1."""

    def __init__(self, layer: Convolution, image: Shape, windows: tuple[Window, Window]) -> None:
        height, width, channels = image
        if channels % layer.groups or layer.filters % layer.groups:
            raise ShapeMismatch(
                f"gets {channels} channels for {layer.filters} filters in {layer.groups} groups: "
                "choose a number of groups that divides both"
            )
        self.layer, self.image, self.windows = layer, image, windows
        rows, columns = windows
        self.padded = (rows.padded, columns.padded, channels)
        self.output = (rows.output, columns.output, layer.filters)
        dilation, groups = (rows.dilation, columns.dilation), layer.groups
        self.correlation = correlation(
            output=(rows.output, columns.output),
            kernel=(rows.size, columns.size, channels // groups, layer.filters),
            strides=(rows.stride, columns.stride),
            dilation=dilation,
            groups=groups,
        )
        self.dilated = (height + rows.span - 1, width + columns.span - 1, layer.filters)
        self.transposed = correlation(
            output=(height, width),
            kernel=(rows.size, columns.size, layer.filters // groups, channels),
            strides=(1, 1),
            dilation=dilation,
            groups=groups,
        )

    def plan(self, rank: int) -> Plan:
        """Return the plan of a layer whose kernel slides along this number of axes."""
        layer = self.layer
        kernel = self.correlation.kernel[2 - rank :]
        weights = {"kernel": layer.kernel_weight(kernel)}
        if layer.use_bias:
            weights["bias"] = layer.bias_weight((layer.filters,))
        plan = Plan(
            self.output[2 - rank :],
            weights,
            flops=2 * size(self.output) * size(self.correlation.kernel[:3]),
            activation_size=3 * size(self.output) + size(self.padded) + size(self.dilated) + size(self.image),
            scratch=2 * self.correlation.scratch + self.transposed.scratch + size(kernel),
            output_activation=layer.activation.type,
        )
        return plan.frozen_unless(layer.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Return the output of the layer in the shape of images, and its backward pass."""
        image = x.reshape(len(x), *self.image)
        kernel = views.weights["kernel"].reshape(self.correlation.kernel)
        z: Array = ctx.empty((len(x), *self.output))
        self.correlation.forward(zero_padded(image, self.windows, ctx), kernel, views.weights.get("bias"), z, ctx)
        back_activation = self.layer.activation.forward(z, z, ctx)
        input_shape, z_shape = x.shape, z.shape

        def backward(d_output: Array) -> Array:
            nonlocal image
            delta = back_activation(d_output.reshape(z_shape))
            if views.trainable:
                d_kernel = views.gradients["kernel"].reshape(kernel.shape)
                d_bias = views.gradients.get("bias")
                # Padded again: keeping the padded copy from the forward pass would take memory for the whole step.
                self.correlation.kernel_gradient(zero_padded(image, self.windows, ctx), delta, d_kernel, d_bias, ctx)
            del image  # frees x, where nothing else refers to it, before its gradient is allocated
            return self._input_gradient(delta, kernel, ctx).reshape(input_shape) if views.input_gradient else delta

        return z, backward

    def _input_gradient(self, delta: Array, kernel: Array, ctx: PassContext) -> Array:
        """Return `∂x = Σ δ · kernel`: δ, with zeros between and around, convolved with the flipped kernel."""
        dilated = ctx.empty((len(delta), *self.dilated))
        dilated.fill(0)
        rows, columns = (
            slice(w.span - 1 - w.before, w.span - w.before + (w.output - 1) * w.stride, w.stride) for w in self.windows
        )
        np.copyto(dilated[:, rows, columns], delta)
        flipped = ctx.empty(self.transposed.kernel)
        groups = self.transposed.groups
        for target, source in zip(np.split(flipped, groups, axis=3), np.split(kernel, groups, axis=3), strict=True):
            np.copyto(target, source[::-1, ::-1].swapaxes(2, 3))
        d_x: Array = ctx.empty((len(delta), *self.image))
        self.transposed.forward(dilated, flipped, None, d_x, ctx)
        return d_x
