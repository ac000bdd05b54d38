"""Pooling: a window's largest number or its mean, so that less is kept and small shifts matter less.

A window's maximum is that of its rows' maxima, and so are sums: images are pooled along one axis after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from core.nn.arrays import Array, Backward, Mask, Shape, chained, size
from core.nn.kernels.windows import Count, Counts, Slide, checked, each, slide
from core.nn.plan import Plan, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class MaxPooling1D:
    """The largest number in each window of a sequence: `(batch, steps, channels)` (Yamaguchi et al. 1990)."""

    type: Literal["max_pooling1d"] = "max_pooling1d"
    pool_size: Count = 2
    """The window's length."""
    strides: Count | None = None
    """How far the window moves; left out: by its own length."""
    padding: Literal["valid", "same"] = "valid"
    """`valid`: only whole windows. `same`: one output for each stride, the last window may hang over the end."""
    along: ClassVar = ("steps",)

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan(self, shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradient goes where the largest number stands; of several, to the first."""
        return _through(_maximum, _slides(self, x.shape[1:]), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class MaxPooling2D:
    """The largest number in each window: `(batch, height, width, channels)` (Yamaguchi et al. 1990)."""

    type: Literal["max_pooling2d"] = "max_pooling2d"
    pool_size: Counts = 2
    """Height and width of the window."""
    strides: Counts | None = None
    """How far the window moves; left out: by its own size."""
    padding: Literal["valid", "same"] = "valid"
    """`valid`: only whole windows. `same`: one output for each stride, the last window may hang over the edge."""
    along: ClassVar = ("height", "width")

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan(self, shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradient goes where the largest number stands; of several, to the first of its row's."""
        return _through(_maximum, _slides(self, x.shape[1:]), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class AveragePooling1D:
    """The mean of each window of a sequence: `(batch, steps, channels)` (LeCun et al. 1989)."""

    type: Literal["average_pooling1d"] = "average_pooling1d"
    pool_size: Count = 2
    """The window's length."""
    strides: Count | None = None
    """How far the window moves; left out: by its own length."""
    padding: Literal["valid", "same"] = "valid"
    """`valid`: only whole windows. `same`: one output for each stride; what hangs over the end is not counted."""
    along: ClassVar = ("steps",)

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan(self, shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradient is shared out evenly."""
        return _average(_slides(self, x.shape[1:]), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class AveragePooling2D:
    """The mean of each window: `(batch, height, width, channels)` (LeCun et al. 1989)."""

    type: Literal["average_pooling2d"] = "average_pooling2d"
    pool_size: Counts = 2
    """Height and width of the window."""
    strides: Counts | None = None
    """How far the window moves; left out: by its own size."""
    padding: Literal["valid", "same"] = "valid"
    """`valid`: only whole windows. `same`: one output for each stride; what hangs over the edge is not counted."""
    along: ClassVar = ("height", "width")

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan(self, shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradient is shared out evenly."""
        return _average(_slides(self, x.shape[1:]), x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class GlobalMaxPooling1D:
    """Each channel's largest number: `(batch, steps, channels)` → `(batch, channels)`."""

    type: Literal["global_max_pooling1d"] = "global_max_pooling1d"
    along: ClassVar = ("steps",)

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan_global(self, shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradient goes where the largest number stands; several share it."""
        return _global_maximum(x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class GlobalMaxPooling2D:
    """Each channel's largest number: `(batch, height, width, channels)` → `(batch, channels)`."""

    type: Literal["global_max_pooling2d"] = "global_max_pooling2d"
    along: ClassVar = ("height", "width")

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan_global(self, shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradient goes where the largest number stands; several share it."""
        return _global_maximum(x, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class GlobalAveragePooling1D:
    """Each channel's mean over the steps that are there: `(batch, steps, channels)` → `(batch, channels)`."""

    type: Literal["global_average_pooling1d"] = "global_average_pooling1d"
    along: ClassVar = ("steps",)

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan_global(self, shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradient is shared out evenly."""
        return _global_average(x, ctx) if ctx.mask is None else _masked_average(x, ctx.mask, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class GlobalAveragePooling2D:
    """Each channel's mean: `(batch, height, width, channels)` → `(batch, channels)` (Lin et al. 2013)."""

    type: Literal["global_average_pooling2d"] = "global_average_pooling2d"
    along: ClassVar = ("height", "width")

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan_global(self, shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradient is shared out evenly."""
        return _global_average(x, ctx)


Windowed: TypeAlias = MaxPooling1D | MaxPooling2D | AveragePooling1D | AveragePooling2D
Global: TypeAlias = GlobalMaxPooling1D | GlobalMaxPooling2D | GlobalAveragePooling1D | GlobalAveragePooling2D
Pooling: TypeAlias = Windowed | Global


def _slides(layer: Windowed, shape: Shape) -> list[Slide]:
    along = layer.along
    sizes = each(layer.pool_size, len(along))
    strides = sizes if layer.strides is None else each(layer.strides, len(along))
    axes = zip(along, checked(shape, along), sizes, strides, strict=False)
    return [slide(axis, length, wide, stride, padding=layer.padding) for axis, length, wide, stride in axes]


def _plan(layer: Windowed, shape: Shape) -> Plan:
    slides = _slides(layer, shape)
    stages = [shape]
    for axis, one in enumerate(slides):
        stages.append((*stages[-1][:axis], one.output, *stages[-1][axis + 1 :]))
    work = sum(one.size * size(stage) for one, stage in zip(slides, stages[1:], strict=True))
    return Plan(stages[-1], flops=work, activation_size=sum(2 * size(s) for s in stages) + size(stages[-1]))


def _plan_global(layer: Global, shape: Shape) -> Plan:
    checked(shape, layer.along)
    return Plan(shape[-1:], flops=size(shape), activation_size=2 * size(shape) + 3 * shape[-1])


OneAxis: TypeAlias = Callable[[Array, int, Slide, PassContext], tuple[Array, Backward]]
Spot: TypeAlias = tuple[tuple[slice, ...], tuple[slice, ...]]


def _through(pool: OneAxis, slides: list[Slide], x: Array, ctx: PassContext) -> tuple[Array, Backward]:
    chain: list[Backward] = []
    for axis, one in enumerate(slides, start=1):
        x, backward = pool(x, axis, one, ctx)
        chain.append(backward)
    return x, chained(chain)


@lru_cache(maxsize=256)
def _spots(axis: int, one: Slide) -> tuple[Spot, ...]:
    """For each place in the window: the outputs that have it within the axis, and the inputs that it falls on.

    The place that falls on the first number comes first: every output has it.
    """
    places = sorted(range(one.size), key=lambda place: place != one.before)
    spots: list[Spot] = []
    for place in places:
        shift = place - one.before
        first = max(0, -(shift // one.stride))
        count = min(one.output, (one.length - 1 - shift) // one.stride + 1) - first
        if count > 0:
            start = first * one.stride + shift
            inputs = slice(start, start + (count - 1) * one.stride + 1, one.stride)
            before = (slice(None),) * axis
            spots.append(((*before, slice(first, first + count)), (*before, inputs)))
    return tuple(spots)


def _reduced(x: Array, axis: int, one: Slide, add: np.ufunc, ctx: PassContext) -> tuple[Array, tuple[Spot, ...]]:
    spots = _spots(axis, one)
    y: Array = ctx.empty((*x.shape[:axis], one.output, *x.shape[axis + 1 :]))
    np.copyto(y, x[spots[0][1]])
    for outputs, inputs in spots[1:]:
        add(y[outputs], x[inputs], out=y[outputs])
    return y, spots


def _maximum(x: Array, axis: int, one: Slide, ctx: PassContext) -> tuple[Array, Backward]:
    y, spots = _reduced(x, axis, one, np.maximum, ctx)

    def backward(d_y: Array) -> Array:
        d_x, put = _receiving(x.shape, one, ctx)
        here, share = ctx.empty(y.shape, np.bool_), ctx.empty(y.shape)
        *others, last = spots
        for outputs, inputs in others:
            np.equal(x[inputs], y[outputs], out=here[outputs])
            np.multiply(d_y[outputs], here[outputs], out=share[outputs])
            put(d_x[inputs], share[outputs])
            d_y[outputs] -= share[outputs]  # what is given away is not given again
        put(d_x[last[1]], d_y[last[0]])
        return d_x

    return y, backward


def _receiving(shape: Shape, one: Slide, ctx: PassContext) -> tuple[Array, Callable[[Array, Array], object]]:
    """Memory for a gradient, and how shares come into it: as they are where each number has one window."""
    d_x: Array = ctx.empty(shape)
    if one.stride == one.size and one.output * one.size == one.length:
        return d_x, np.copyto
    d_x.fill(0)
    return d_x, lambda there, share: np.add(there, share, out=there)


def _total(x: Array, axis: int, one: Slide, ctx: PassContext) -> tuple[Array, Backward]:
    y, spots = _reduced(x, axis, one, np.add, ctx)
    given = x.shape

    def backward(d_y: Array) -> Array:
        d_x, put = _receiving(given, one, ctx)
        for outputs, inputs in spots:
            put(d_x[inputs], d_y[outputs])
        return d_x

    return y, backward


def _average(slides: list[Slide], x: Array, ctx: PassContext) -> tuple[Array, Backward]:
    y, back_total = _through(_total, slides, x, ctx)
    share = reduce(np.multiply.outer, [_shares(one) for one in slides]).astype(x.dtype)[..., None]
    y *= share
    return y, lambda d_y: back_total(np.multiply(d_y, share, out=d_y))


def _shares(one: Slide) -> Array:
    """One over how many numbers of the axis each window holds."""
    starts = np.arange(one.output) * one.stride - one.before
    return 1 / (np.minimum(starts + one.size, one.length) - np.maximum(starts, 0))


def _global_maximum(x: Array, ctx: PassContext) -> tuple[Array, Backward]:
    places = x.reshape(len(x), -1, x.shape[-1])
    y: Array = np.maximum.reduce(places, axis=1, out=ctx.empty((len(x), x.shape[-1])))

    def backward(d_y: Array) -> Array:
        d_x: Array = ctx.empty(places.shape)
        np.equal(places, y[:, None], out=d_x)
        d_y /= np.add.reduce(d_x, axis=1, out=ctx.empty(y.shape))
        d_x *= d_y[:, None]
        return d_x.reshape(x.shape)

    return y, backward


def _global_average(x: Array, ctx: PassContext) -> tuple[Array, Backward]:
    places = x.reshape(len(x), -1, x.shape[-1])
    y: Array = np.add.reduce(places, axis=1, out=ctx.empty((len(x), x.shape[-1])))
    y /= places.shape[1]
    given, flat = x.shape, places.shape

    def backward(d_y: Array) -> Array:
        d_x: Array = ctx.empty(flat)
        d_y /= flat[1]
        np.copyto(d_x, d_y[:, None])
        return d_x.reshape(given)

    return y, backward


def _masked_average(x: Array, mask: Mask, ctx: PassContext) -> tuple[Array, Backward]:
    """The mean over the steps that are there, and 0 where none is."""
    share: Array = ctx.empty((*mask.shape, 1))
    np.copyto(share, mask[:, :, None])
    count = np.add.reduce(share, axis=1, keepdims=True, out=ctx.empty((len(x), 1, 1)))
    share /= np.maximum(count, 1, out=count)
    shared = np.multiply(x, share, out=ctx.empty(x.shape))
    y: Array = np.add.reduce(shared, axis=1, out=ctx.empty((len(x), x.shape[-1])))
    return y, lambda d_y: np.multiply(d_y[:, None], share, out=shared)
