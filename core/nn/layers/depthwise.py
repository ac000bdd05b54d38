"""Convolutions of each channel by itself, and those that mix channels afterwards (Chollet 2017; Howard et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from core.nn.activations import Activation, Linear
from core.nn.arrays import Array, Backward, Shape, size
from core.nn.constraints import Constraint
from core.nn.initializers import GlorotUniform, Initializer, Zeros
from core.nn.kernels.windows import Count, Counts, Slide, checked, each, padded, slide
from core.nn.layers.dense import Dense
from core.nn.plan import Plan, Views, Weight
from core.nn.regularizers import Regularizer
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthwiseConv2D:
    """Kernels for each channel by itself: `(batch, height, width, channels)` → `(batch, …, …, channels · m)`."""

    type: Literal["depthwise_conv2d"] = "depthwise_conv2d"
    kernel_size: Counts
    """Height and width of the kernels; one number stands for both."""
    strides: Counts = 1
    """How far the kernels move from one output to the next."""
    padding: Literal["valid", "same"] = "valid"
    """`valid`: only where the kernel lies within the image. `same`: zeros around it, one output for each stride."""
    depth_multiplier: Count = 1
    """How many kernels each channel has: m."""
    dilation_rate: Counts = 1
    """How far apart the kernel's numbers lie on the image."""
    activation: Activation = field(default=Linear())
    """The function that follows."""
    use_bias: bool = True
    """Add one number for each channel that is emitted."""
    depthwise_initializer: Initializer = field(default=GlorotUniform())
    """How the kernels begin."""
    bias_initializer: Initializer = field(default=Zeros())
    """How the bias begins."""
    depthwise_regularizer: Regularizer | None = None
    """A penalty on the kernels."""
    bias_regularizer: Regularizer | None = None
    """A penalty on the bias."""
    depthwise_constraint: Constraint | None = None
    """A constraint on the kernels, each of which lies along the axes 0 and 1."""
    bias_constraint: Constraint | None = None
    """A constraint on the bias."""
    trainable: bool = True
    """Whether it learns; if not, its weights stay as they are and bear no penalty."""

    def plan(self, shape: Shape) -> Plan:
        """Kernels `(height, width, channels, m)` and, if wanted, a bias `(channels · m,)`."""
        height, width, channels = checked(shape, ("height", "width"))
        down, across = self._slides(shape)
        output = (down.output, across.output, channels * self.depth_multiplier)
        kernel = (down.size, across.size, channels, self.depth_multiplier)
        weights = {
            "kernel": Weight(kernel, self.depthwise_initializer, self.depthwise_regularizer, self.depthwise_constraint)
        }
        if self.use_bias:
            weights["bias"] = Weight(output[-1:], self.bias_initializer, self.bias_regularizer, self.bias_constraint)
        wide = (down.before + height + down.after) * (across.before + width + across.after) * channels
        activation_size = 3 * size(output) + 2 * wide + size(shape) + down.output * across.output * channels
        plan = Plan(output, weights, flops=2 * size(output) * down.size * across.size, activation_size=activation_size)
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`z = Σ x · kernel` over the window's places; `∂kernel = Σ x · δ` and `∂x = Σ δ · kernel` at each of them."""
        down, across = slides = self._slides(x.shape[1:])
        image = padded(x, slides, ctx)[..., None]
        kernel = views.weights["kernel"]
        z: Array = ctx.empty((len(x), down.output, across.output, kernel.shape[2] * kernel.shape[3]))
        sums: Any = z.reshape(*z.shape[:3], *kernel.shape[2:])
        sums[...] = views.weights["bias"].reshape(kernel.shape[2:]) if self.use_bias else 0
        products: Array = ctx.empty(sums.shape)
        for place, window in _windows(slides):
            np.multiply(image[window], kernel[place], out=products)
            np.add(sums, products, out=sums)
        back_activation = self.activation.forward(z, z, ctx)
        given, emitted, summed = x.shape, z.shape, sums.shape

        def backward(d_output: Array) -> Array:
            delta = back_activation(d_output.reshape(emitted))
            parts = delta.reshape(summed)
            if views.trainable:
                for place, window in _windows(slides):
                    np.multiply(image[window], parts, out=products)
                    np.add.reduce(products, axis=(0, 1, 2), out=views.gradients["kernel"][place])
                if self.use_bias:
                    np.add.reduce(delta, axis=(0, 1, 2), out=views.gradients["bias"])
            return _input_gradient(given, slides, parts, kernel, products, ctx) if views.input_gradient else delta

        return z, backward

    def _slides(self, shape: Shape) -> tuple[Slide, Slide]:
        sizes, strides, dilation = (each(c, 2) for c in (self.kernel_size, self.strides, self.dilation_rate))
        return (
            slide("height", shape[0], sizes[0], strides[0], dilation[0], self.padding),
            slide("width", shape[1], sizes[1], strides[1], dilation[1], self.padding),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SeparableConv2D:
    """Each channel by itself over its surroundings, then all channels of a place together (Chollet 2017)."""

    type: Literal["separable_conv2d"] = "separable_conv2d"
    filters: Count
    """How many channels it emits."""
    kernel_size: Counts
    """Height and width of the kernels; one number stands for both."""
    strides: Counts = 1
    """How far the kernels move from one output to the next."""
    padding: Literal["valid", "same"] = "valid"
    """`valid`: only where the kernel lies within the image. `same`: zeros around it, one output for each stride."""
    depth_multiplier: Count = 1
    """How many kernels each channel has, before they are mixed."""
    dilation_rate: Counts = 1
    """How far apart the kernel's numbers lie on the image."""
    activation: Activation = field(default=Linear())
    """The function that follows."""
    use_bias: bool = True
    """Add one number for each filter."""
    depthwise_initializer: Initializer = field(default=GlorotUniform())
    """How the kernels begin."""
    pointwise_initializer: Initializer = field(default=GlorotUniform())
    """How the mixture of channels begins."""
    bias_initializer: Initializer = field(default=Zeros())
    """How the bias begins."""
    depthwise_regularizer: Regularizer | None = None
    """A penalty on the kernels."""
    pointwise_regularizer: Regularizer | None = None
    """A penalty on the mixture of channels."""
    bias_regularizer: Regularizer | None = None
    """A penalty on the bias."""
    depthwise_constraint: Constraint | None = None
    """A constraint on the kernels, each of which lies along the axes 0 and 1."""
    pointwise_constraint: Constraint | None = None
    """A constraint on the mixture of channels."""
    bias_constraint: Constraint | None = None
    """A constraint on the bias."""
    trainable: bool = True
    """Whether it learns; if not, its weights stay as they are and bear no penalty."""

    def plan(self, shape: Shape) -> Plan:
        """`depthwise_kernel` `(height, width, channels, m)`, `pointwise_kernel` `(channels · m, filters)`, a bias."""
        first = self._depthwise().plan(shape)
        second = self._pointwise().plan(first.output_shape)
        plan = Plan(
            second.output_shape,
            {f"depthwise_{name}": weight for name, weight in first.weights.items()}
            | {NAMES[name]: weight for name, weight in second.weights.items()},
            flops=first.flops + second.flops,
            activation_size=first.activation_size + second.activation_size,
        )
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """One part after the other, and back the other way round."""
        needed = views.trainable or views.input_gradient
        first = _part(views, {"kernel": "depthwise_kernel"}, input_gradient=views.input_gradient)
        second = _part(views, NAMES, input_gradient=needed)
        each, back_each = self._depthwise().forward(x, first, ctx)
        y, back_all = self._pointwise().forward(each, second, ctx)
        return y, lambda d_y: back_each(back_all(d_y))

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


NAMES = {"kernel": "pointwise_kernel", "bias": "bias"}
"""What the weights of the mixture are called beside the other kernels."""


def _part(views: Views, names: Mapping[str, str], *, input_gradient: bool) -> Views:
    """What one part sees: its weights under its own names for them."""
    weights, gradients = (
        {own: vectors[name] for own, name in names.items() if name in vectors}
        for vectors in (views.weights, views.gradients)
    )
    return Views(weights, gradients, {}, (), views.learns, input_gradient, views.trainable)


def _windows(slides: tuple[Slide, Slide]) -> Iterator[tuple[tuple[int, int], tuple[slice, ...]]]:
    """Each place of the kernel, and what lies under it at all outputs."""
    down, across = slides
    for i in range(down.size):
        for j in range(across.size):
            yield (i, j), (slice(None), _under(down, i), _under(across, j))


def _under(way: Slide, place: int) -> slice:
    first = place * way.dilation
    return slice(first, first + (way.output - 1) * way.stride + 1, way.stride)


def _input_gradient(
    shape: Shape, slides: tuple[Slide, Slide], delta: Array, kernel: Array, products: Array, ctx: PassContext
) -> Array:
    """`∂x = Σ δ · kernel`, written to where the window lay; what falls on the zeros around is nobody's."""
    down, across = slides
    batch, height, width, channels = shape
    wide: Array = ctx.empty((batch, down.before + height + down.after, across.before + width + across.after, channels))
    wide.fill(0)
    share: Array = ctx.empty(delta.shape[:-1])
    for place, window in _windows(slides):
        np.add.reduce(np.multiply(delta, kernel[place], out=products), axis=-1, out=share)
        wide[window] += share
    d_x: Array = ctx.empty(shape)
    np.copyto(d_x, wide[:, down.before : down.before + height, across.before : across.before + width])
    return d_x


Depthwise: TypeAlias = DepthwiseConv2D | SeparableConv2D
