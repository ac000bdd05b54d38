"""Transposed convolutions: upwards through a strided one, from a small image to a large one.

Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", chapter 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from core.nn.activations import Activation, Linear
from core.nn.arrays import Array, Backward, Shape, size
from core.nn.constraints import Constraint
from core.nn.initializers import GlorotUniform, Initializer, Zeros
from core.nn.kernels.windows import Count, Counts, checked, each
from core.nn.layers.convolution import Conv1D, Conv2D
from core.nn.plan import Plan, Views
from core.nn.regularizers import Regularizer
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Conv2DTranspose:
    """Each number of the input writes a kernel: `(batch, height, width, channels)` → `(batch, …, …, filters)`.

    It is a convolution of the input with zeros between its rows and columns. The kernel is the one that slides there:
    that of PyTorch or Keras turned round.
    """

    type: Literal["conv2d_transpose"] = "conv2d_transpose"
    filters: Count
    """How many channels it emits."""
    kernel_size: Counts
    """Height and width of the kernel; one number stands for both."""
    strides: Counts = 1
    """How many outputs there are for each input."""
    padding: Literal["valid", "same"] = "valid"
    """`valid`: all that the kernel writes. `same`: as many outputs as strides for each input."""
    dilation_rate: Counts = 1
    """How far apart the kernel's numbers are written."""
    groups: Count = 1
    """How many groups of channels have filters of their own."""
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
        return _planned(self, checked(shape, ("height", "width")))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The convolution of what is spread; `∂x` is what its gradient is where x was put."""
        return _forward(self, x, views, ctx)

    def within(self) -> Conv2D:
        """The convolution that slides over what is spread."""
        return Conv2D(**_kept(self))


@dataclass(frozen=True, kw_only=True, slots=True)
class Conv1DTranspose:
    """Each step of the input writes a kernel: `(batch, steps, channels)` → `(batch, …, filters)`.

    It is a convolution of the input with zeros between its steps. The kernel is the one that slides there: that of
    PyTorch or Keras turned round.
    """

    type: Literal["conv1d_transpose"] = "conv1d_transpose"
    filters: Count
    """How many channels it emits."""
    kernel_size: Count
    """The kernel's length."""
    strides: Count = 1
    """How many outputs there are for each step."""
    padding: Literal["valid", "same"] = "valid"
    """`valid`: all that the kernel writes. `same`: as many outputs as strides for each step."""
    dilation_rate: Count = 1
    """How far apart the kernel's numbers are written."""
    groups: Count = 1
    """How many groups of channels have filters of their own."""
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
        return _planned(self, checked(shape, ("steps",)))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The convolution of what is spread; `∂x` is what its gradient is where x was put."""
        return _forward(self, x, views, ctx)

    def within(self) -> Conv1D:
        """The convolution that slides over what is spread."""
        return Conv1D(**_kept(self))


Transposed: TypeAlias = Conv1DTranspose | Conv2DTranspose
KEPT = ("filters", "kernel_size", "dilation_rate", "groups", "activation", "use_bias", "kernel_initializer",
        "bias_initializer", "kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint",
        "trainable")  # fmt: skip


class _Spread(NamedTuple):
    """Where the numbers of one axis go: from `first` on, `stride` apart, along `length`."""

    first: int
    stride: int
    length: int

    def places(self, count: int) -> slice:
        """Those of `count` numbers."""
        return slice(self.first, self.first + (count - 1) * self.stride + 1, self.stride)


def _spread(count: int, kernel: int, stride: int, dilation: int, padding: str) -> _Spread:
    """How `count` numbers are spread so that a kernel which slides over them emits what is wanted.

    All that the kernel writes are `(count − 1) · stride + span` numbers. `same` takes off what goes beyond
    `count · stride`, the odd one behind; both fill up to so many where the kernel is shorter than a stride.
    """
    span = (kernel - 1) * dilation + 1
    beyond = span - stride
    before = max(beyond, 0) // 2 if padding == "same" else 0
    after = beyond - before if padding == "same" else min(beyond, 0)
    first = span - 1 - before
    return _Spread(first, stride, first + (count - 1) * stride + 1 + span - 1 - after)


def _kept(layer: Transposed) -> dict[str, Any]:
    return {name: getattr(layer, name) for name in KEPT}


def _spreads(layer: Transposed, shape: Shape) -> list[_Spread]:
    axes = len(shape) - 1
    sizes, strides, dilations = (each(c, axes) for c in (layer.kernel_size, layer.strides, layer.dilation_rate))
    ways = zip(shape, sizes, strides, dilations, strict=False)
    return [_spread(count, kernel, stride, dilation, layer.padding) for count, kernel, stride, dilation in ways]


def _planned(layer: Transposed, shape: Shape) -> Plan:
    wide = (*(one.length for one in _spreads(layer, shape)), shape[-1])
    plan = layer.within().plan(wide)
    return Plan(
        plan.output_shape,
        plan.weights,
        flops=plan.flops,
        activation_size=plan.activation_size + size(wide) + size(shape),
        scratch=plan.scratch,
        trainable=plan.trainable,
    )


def _forward(layer: Transposed, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
    spreads = _spreads(layer, x.shape[1:])
    places = (slice(None), *(one.places(count) for one, count in zip(spreads, x.shape[1:], strict=False)))
    wide: Array = ctx.empty((len(x), *(one.length for one in spreads), x.shape[-1]))
    wide.fill(0)
    wide[places] = x
    y, back = layer.within().forward(wide, views, ctx)
    given = x.shape

    def backward(d_y: Array) -> Array:
        d_wide = back(d_y)
        if not views.input_gradient:
            return d_wide
        d_x: Array = ctx.empty(given)
        np.copyto(d_x, d_wide[places])
        return d_x

    return y, backward
