"""Convolutions: the same small kernel at every place, so that what is learnt at one place is known at all (NHWC).

LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from core.nn.activations import Activation, Linear
from core.nn.arrays import Array, Backward, Shape, size
from core.nn.constraints import Constraint
from core.nn.initializers import GlorotUniform, Initializer, Zeros
from core.nn.kernels.correlation import correlation
from core.nn.kernels.windows import Count, Counts, Padding, Slide, checked, each, padded, slide
from core.nn.plan import Plan, ShapeMismatch, Views, Weight
from core.nn.regularizers import Regularizer
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Conv2D:
    """A kernel that slides over images: `(batch, height, width, channels)` → `(batch, height, width, filters)`."""

    type: Literal["conv2d"] = "conv2d"
    filters: Count
    """How many channels it emits."""
    kernel_size: Counts
    """Height and width of the kernel; one number stands for both."""
    strides: Counts = 1
    """How far the kernel moves from one output to the next."""
    padding: Literal["valid", "same"] = "valid"
    """`valid`: only where the kernel lies within the image. `same`: zeros around it, one output for each stride."""
    dilation_rate: Counts = 1
    """How far apart the kernel's numbers lie on the image (Yu & Koltun 2016)."""
    groups: Count = 1
    """How many groups of channels have filters of their own (Krizhevsky et al. 2012)."""
    activation: Activation = field(default=Linear())
    """The function that follows."""
    use_bias: bool = True
    """Add one number for each filter."""
    kernel_initializer: Initializer = field(default=GlorotUniform())
    """How the kernel begins."""
    bias_initializer: Initializer = field(default=Zeros())
    """How the bias begins."""
    kernel_regularizer: Regularizer | None = None
    """A penalty on the kernel."""
    bias_regularizer: Regularizer | None = None
    """A penalty on the bias."""
    kernel_constraint: Constraint | None = None
    """A constraint on the kernel."""
    bias_constraint: Constraint | None = None
    """A constraint on the bias."""
    trainable: bool = True
    """Whether it learns; if not, its weights stay as they are and bear no penalty."""

    def plan(self, shape: Shape) -> Plan:
        """A kernel `(height, width, channels / groups, filters)` and, if wanted, a bias `(filters,)`."""
        return self._kernel(checked(shape, ("height", "width"))).plan(rank=2)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """With `δ = ∂loss/∂z`: `∂kernel = Σ x · δ` under the window, `∂b = Σ δ`, `∂x` = δ under the turned kernel."""
        return self._kernel(x.shape[1:]).forward(x, views, ctx)

    def _kernel(self, shape: Shape) -> _Kernel:
        sizes, strides, dilation = (each(c, 2) for c in (self.kernel_size, self.strides, self.dilation_rate))
        down = slide("height", shape[0], sizes[0], strides[0], dilation[0], self.padding)
        across = slide("width", shape[1], sizes[1], strides[1], dilation[1], self.padding)
        return _Kernel(self, shape, (down, across))


@dataclass(frozen=True, kw_only=True, slots=True)
class Conv1D:
    """A kernel that slides along sequences: `(batch, steps, channels)` → `(batch, steps, filters)`."""

    type: Literal["conv1d"] = "conv1d"
    filters: Count
    """How many channels it emits."""
    kernel_size: Count
    """The kernel's length."""
    strides: Count = 1
    """How far the kernel moves from one output to the next."""
    padding: Padding = "valid"
    """`valid`: only within the sequence. `same`: zeros at both ends. `causal`: zeros before it, so that no output sees
    what comes later (van den Oord et al. 2016)."""
    dilation_rate: Count = 1
    """How far apart the kernel's numbers lie on the sequence (Yu & Koltun 2016)."""
    groups: Count = 1
    """How many groups of channels have filters of their own (Krizhevsky et al. 2012)."""
    activation: Activation = field(default=Linear())
    """The function that follows."""
    use_bias: bool = True
    """Add one number for each filter."""
    kernel_initializer: Initializer = field(default=GlorotUniform())
    """How the kernel begins."""
    bias_initializer: Initializer = field(default=Zeros())
    """How the bias begins."""
    kernel_regularizer: Regularizer | None = None
    """A penalty on the kernel."""
    bias_regularizer: Regularizer | None = None
    """A penalty on the bias."""
    kernel_constraint: Constraint | None = None
    """A constraint on the kernel."""
    bias_constraint: Constraint | None = None
    """A constraint on the bias."""
    trainable: bool = True
    """Whether it learns; if not, its weights stay as they are and bear no penalty."""

    def plan(self, shape: Shape) -> Plan:
        """A kernel `(length, channels / groups, filters)` and, if wanted, a bias `(filters,)`."""
        return self._kernel(checked(shape, ("steps",))).plan(rank=1)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """With `δ = ∂loss/∂z`: `∂kernel = Σ x · δ` under the window, `∂b = Σ δ`, `∂x` = δ under the turned kernel."""
        z, backward = self._kernel(x.shape[1:]).forward(x, views, ctx)
        return z.reshape(len(x), *z.shape[2:]), backward

    def _kernel(self, shape: Shape) -> _Kernel:
        along = slide("steps", shape[0], self.kernel_size, self.strides, self.dilation_rate, self.padding)
        return _Kernel(self, (1, *shape), (slide("height", 1, 1), along))


class _Kernel:
    """Both passes of a convolution, for one shape of image; a sequence is an image of height 1."""

    def __init__(self, layer: Convolution, image: Shape, slides: tuple[Slide, Slide]) -> None:
        height, width, channels = image
        if channels % layer.groups or layer.filters % layer.groups:
            raise ShapeMismatch(
                f"gets {channels} channels for {layer.filters} filters in {layer.groups} groups: "
                "choose a number of groups that divides both"
            )
        self.layer, self.image, self.slides = layer, image, slides
        down, across = slides
        self.padded = (down.before + height + down.after, across.before + width + across.after, channels)
        self.output = (down.output, across.output, layer.filters)
        dilation, groups = (down.dilation, across.dilation), layer.groups
        self.sums = correlation(
            output=(down.output, across.output),
            kernel=(down.size, across.size, channels // groups, layer.filters),
            strides=(down.stride, across.stride),
            dilation=dilation,
            groups=groups,
        )
        self.spread = (height + down.span - 1, width + across.span - 1, layer.filters)
        self.back = correlation(
            output=(height, width),
            kernel=(down.size, across.size, layer.filters // groups, channels),
            strides=(1, 1),
            dilation=dilation,
            groups=groups,
        )

    def plan(self, rank: int) -> Plan:
        """The plan of a layer whose kernel has so many axes to slide along."""
        layer = self.layer
        kernel = self.sums.kernel[2 - rank :]
        weights = {
            "kernel": Weight(kernel, layer.kernel_initializer, layer.kernel_regularizer, layer.kernel_constraint)
        }
        if layer.use_bias:
            weights["bias"] = Weight(
                (layer.filters,), layer.bias_initializer, layer.bias_regularizer, layer.bias_constraint
            )
        plan = Plan(
            self.output[2 - rank :],
            weights,
            flops=2 * size(self.output) * size(self.sums.kernel[:3]),
            activation_size=3 * size(self.output) + size(self.padded) + size(self.spread) + size(self.image),
            scratch=2 * self.sums.scratch + self.back.scratch + size(kernel),
        )
        return plan.frozen_unless(layer.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The layer's output in the shape of images, and its backward pass."""
        image = x.reshape(len(x), *self.image)
        kernel = views.weights["kernel"].reshape(self.sums.kernel)
        z: Array = ctx.empty((len(x), *self.output))
        self.sums.forward(padded(image, self.slides, ctx), kernel, views.weights.get("bias"), z, ctx)
        back_activation = self.layer.activation.forward(z, z, ctx)
        given, emitted = x.shape, z.shape

        def backward(d_output: Array) -> Array:
            nonlocal image
            delta = back_activation(d_output.reshape(emitted))
            if views.trainable:
                d_kernel = views.gradients["kernel"].reshape(kernel.shape)
                d_bias = views.gradients.get("bias")
                # Padded again: kept since the forward pass, it would be a copy of what others keep anyway.
                self.sums.kernel_gradient(padded(image, self.slides, ctx), delta, d_kernel, d_bias, ctx)
            del image  # in whose memory its own gradient can be, if nobody else keeps it
            return self._input_gradient(delta, kernel, ctx).reshape(given) if views.input_gradient else delta

        return z, backward

    def _input_gradient(self, delta: Array, kernel: Array, ctx: PassContext) -> Array:
        """`∂x = Σ δ · kernel`: a convolution again, of δ with zeros between and around, under the turned kernel."""
        spread = ctx.empty((len(delta), *self.spread))
        spread.fill(0)
        down, across = (
            slice(s.span - 1 - s.before, s.span - s.before + (s.output - 1) * s.stride, s.stride) for s in self.slides
        )
        np.copyto(spread[:, down, across], delta)
        turned = ctx.empty(self.back.kernel)
        each = self.back.groups
        for there, here in zip(np.split(turned, each, axis=3), np.split(kernel, each, axis=3), strict=True):
            np.copyto(there, here[::-1, ::-1].swapaxes(2, 3))
        d_x: Array = ctx.empty((len(delta), *self.image))
        self.back.forward(spread, turned, None, d_x, ctx)
        return d_x


Convolution: TypeAlias = Conv1D | Conv2D
