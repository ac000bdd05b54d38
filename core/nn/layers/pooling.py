"""Pooling layers: the maximum or the mean of each window, which downsample and tolerate small shifts.

The maximum of a window is the maximum of its rows' maxima, and so are sums: images are pooled along one axis after the
other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from core.nn.arrays import Array, Backward, Shape, chain_backward, size
from core.nn.kernels.windows import Count, Counts, Window, per_axis, require_axes, window
from core.nn.plan import Plan, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True)
class Pool1D:
    """A layer that pools windows of sequences."""

    __slots__ = ()

    type: str
    pool_size: Count = 2
    """The length of the window."""
    strides: Count | None = None
    """The step of the window; left out: its length."""
    padding: Literal["valid", "same"] = "valid"
    """`valid`: only complete windows. `same`: one output per stride; a window ignores what lies beyond the ends."""
    axes: ClassVar = ("steps",)

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan(_windows(self, shape), shape)


@dataclass(frozen=True, kw_only=True)
class Pool2D:
    """A layer that pools windows of images."""

    __slots__ = ()

    type: str
    pool_size: Counts = 2
    """Height and width of the window; one number stands for both."""
    strides: Counts | None = None
    """The step of the window; left out: its size."""
    padding: Literal["valid", "same"] = "valid"
    """`valid`: only complete windows. `same`: one output per stride; a window ignores what lies beyond the borders."""
    axes: ClassVar = ("height", "width")

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan(_windows(self, shape), shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class MaxPooling1D(Pool1D):
    """1D max pooling: the maximum of each window of `(batch, steps, channels)` (Yamaguchi et al. 1990)."""

    type: Literal["max_pooling1d"] = "max_pooling1d"

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂y` goes to the maximum; to the first of several."""
        return _pool_axes(_maximum, _windows(self, x.shape[1:]), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class MaxPooling2D(Pool2D):
    """2D max pooling: the maximum of each window of `(batch, height, width, channels)` (Yamaguchi et al. 1990)."""

    type: Literal["max_pooling2d"] = "max_pooling2d"

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂y` goes to the maximum; of several, to the first of its row."""
        return _pool_axes(_maximum, _windows(self, x.shape[1:]), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class AveragePooling1D(Pool1D):
    """1D average pooling: the mean of each window of `(batch, steps, channels)` (LeCun et al. 1989)."""

    type: Literal["average_pooling1d"] = "average_pooling1d"

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂y` is divided equally among the elements of the window."""
        return _average(_windows(self, x.shape[1:]), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class AveragePooling2D(Pool2D):
    """2D average pooling: the mean of each window of `(batch, height, width, channels)` (LeCun et al. 1989)."""

    type: Literal["average_pooling2d"] = "average_pooling2d"

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂y` is divided equally among the elements of the window."""
        return _average(_windows(self, x.shape[1:]), x, ctx)


Pooling: TypeAlias = MaxPooling1D | MaxPooling2D | AveragePooling1D | AveragePooling2D


def _windows(layer: Pool1D | Pool2D, shape: Shape) -> list[Window]:
    sizes = per_axis(layer.pool_size, len(layer.axes))
    strides = sizes if layer.strides is None else per_axis(layer.strides, len(layer.axes))
    geometry = zip(layer.axes, require_axes(shape, layer.axes), sizes, strides, strict=False)
    return [window(axis, length, size, stride, padding=layer.padding) for axis, length, size, stride in geometry]


def _plan(windows: list[Window], shape: Shape) -> Plan:
    stages = [shape]
    for axis, one in enumerate(windows):
        stages.append((*stages[-1][:axis], one.output, *stages[-1][axis + 1 :]))
    flops = sum(one.size * size(stage) for one, stage in zip(windows, stages[1:], strict=True))
    return Plan(stages[-1], flops=flops, activation_size=sum(2 * size(s) for s in stages) + size(stages[-1]))


PoolAxis: TypeAlias = Callable[[Array, int, Window, PassContext], tuple[Array, Backward]]
Covered: TypeAlias = tuple[tuple[slice, ...], tuple[slice, ...]]
"""Outputs, and the input of each that one element of the window covers."""


def _pool_axes(pool: PoolAxis, windows: list[Window], x: Array, ctx: PassContext) -> tuple[Array, Backward]:
    chain: list[Backward] = []
    for axis, one in enumerate(windows, start=1):
        x, backward = pool(x, axis, one, ctx)
        chain.append(backward)
    return x, chain_backward(chain)


@lru_cache(maxsize=256)
def _covered(axis: int, one: Window) -> tuple[Covered, ...]:
    """Return, for each element of the window, the outputs for which it lies on the axis, and the inputs that it covers.

    The element that covers the first input comes first: it lies on the axis for every output.
    """
    elements = sorted(range(one.size), key=lambda element: element != one.before)
    covered: list[Covered] = []
    for element in elements:
        shift = element - one.before
        first = max(0, -(shift // one.stride))
        count = min(one.output, (one.length - 1 - shift) // one.stride + 1) - first
        if count > 0:
            start = first * one.stride + shift
            inputs = slice(start, start + (count - 1) * one.stride + 1, one.stride)
            before = (slice(None),) * axis
            covered.append(((*before, slice(first, first + count)), (*before, inputs)))
    return tuple(covered)


def _reduce(x: Array, axis: int, one: Window, ufunc: np.ufunc, ctx: PassContext) -> tuple[Array, tuple[Covered, ...]]:
    covered = _covered(axis, one)
    y: Array = ctx.empty((*x.shape[:axis], one.output, *x.shape[axis + 1 :]))
    np.copyto(y, x[covered[0][1]])
    for outputs, inputs in covered[1:]:
        ufunc(y[outputs], x[inputs], out=y[outputs])
    return y, covered


def _maximum(x: Array, axis: int, one: Window, ctx: PassContext) -> tuple[Array, Backward]:
    y, covered = _reduce(x, axis, one, np.maximum, ctx)

    def backward(d_y: Array) -> Array:
        d_x, accumulate = _gradient_buffer(x.shape, one, ctx)
        is_maximum, part = ctx.empty(y.shape, np.bool_), ctx.empty(y.shape)
        *others, last = covered
        for outputs, inputs in others:
            np.equal(x[inputs], y[outputs], out=is_maximum[outputs])
            np.multiply(d_y[outputs], is_maximum[outputs], out=part[outputs])
            accumulate(d_x[inputs], part[outputs])
            d_y[outputs] -= part[outputs]  # so that only the first maximum gets it
        accumulate(d_x[last[1]], d_y[last[0]])
        return d_x

    return y, backward


def _gradient_buffer(shape: Shape, one: Window, ctx: PassContext) -> tuple[Array, Callable[[Array, Array], object]]:
    """Return a buffer for the gradient, and how to write to it: a copy where windows neither overlap nor leave gaps."""
    d_x: Array = ctx.empty(shape)
    if one.stride == one.size and one.output * one.size == one.length:
        return d_x, np.copyto
    d_x.fill(0)
    return d_x, lambda target, part: np.add(target, part, out=target)


def _sum(x: Array, axis: int, one: Window, ctx: PassContext) -> tuple[Array, Backward]:
    y, covered = _reduce(x, axis, one, np.add, ctx)
    input_shape = x.shape

    def backward(d_y: Array) -> Array:
        d_x, accumulate = _gradient_buffer(input_shape, one, ctx)
        for outputs, inputs in covered:
            accumulate(d_x[inputs], d_y[outputs])
        return d_x

    return y, backward


def _average(windows: list[Window], x: Array, ctx: PassContext) -> tuple[Array, Backward]:
    y, back_sum = _pool_axes(_sum, windows, x, ctx)
    factor = reduce(np.multiply.outer, [_inverse_counts(one) for one in windows]).astype(x.dtype)[..., None]
    y *= factor
    return y, lambda d_y: back_sum(np.multiply(d_y, factor, out=d_y))


def _inverse_counts(one: Window) -> Array:
    """Return one over the number of inputs in each window."""
    starts = np.arange(one.output) * one.stride - one.before
    return 1 / (np.minimum(starts + one.size, one.length) - np.maximum(starts, 0))
