"""Chance as a teacher: numbers that are left out while learning, so that none is relied upon."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Lt

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropout:
    """Sets a share of the numbers to zero while training and scales up the others (Srivastava et al. 2014).

    Any shape in, the same shape out; a prediction passes unchanged.
    """

    type: Literal["dropout"] = "dropout"
    rate: Annotated[float, Ge(0), Lt(1)]
    """The share that is left out."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return Plan(shape, flops=3 * size(shape), activation_size=3 * size(shape))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`y = x · m / (1 − rate)` with a random mask m, and so is the gradient."""
        if ctx.rng is None or not ctx.training or not self.rate:
            return x, lambda d_y: d_y
        scale = ctx.rng.random(out=ctx.empty(x.shape), dtype=x.dtype.type)
        np.greater_equal(scale, self.rate, out=scale)
        scale /= 1 - self.rate
        return np.multiply(x, scale, out=ctx.empty(x.shape)), lambda d_y: np.multiply(d_y, scale, out=d_y)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpatialDropout:
    """Leaves out whole channels while training, at all places of a row alike (Tompson et al. 2015).

    `(batch, …, channels)` in, the same shape out; a prediction passes unchanged.
    """

    type: Literal["spatial_dropout"] = "spatial_dropout"
    rate: Annotated[float, Ge(0), Lt(1)]
    """The share that is left out."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        if not shape:
            raise ShapeMismatch("needs (…, channels), and gets a single number a row: nest each row in a list")
        return Plan(shape, flops=size(shape), activation_size=size(shape) + shape[-1])

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`y = x · m / (1 − rate)` with a random mask m, one number a channel, and so is the gradient."""
        if ctx.rng is None or not ctx.training or not self.rate:
            return x, lambda d_y: d_y
        scale = ctx.empty((len(x), *[1] * (x.ndim - 2), x.shape[-1]))
        ctx.rng.random(out=scale, dtype=x.dtype.type)
        np.greater_equal(scale, self.rate, out=scale)
        scale /= 1 - self.rate
        return np.multiply(x, scale, out=ctx.empty(x.shape)), lambda d_y: np.multiply(d_y, scale, out=d_y)


@dataclass(frozen=True, kw_only=True, slots=True)
class GaussianNoise:
    """Adds normal noise while training, which teaches to bear small changes (Bishop 1995).

    Any shape in, the same shape out; a prediction passes unchanged.
    """

    type: Literal["gaussian_noise"] = "gaussian_noise"
    stddev: Annotated[float, Ge(0)]
    """The noise's standard deviation."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return Plan(shape, flops=2 * size(shape), activation_size=size(shape), divisible=False)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`y = x + stddev · n`; the gradient passes unchanged."""
        if ctx.rng is None or not ctx.training or not self.stddev:
            return x, lambda d_y: d_y
        y = ctx.rng.standard_normal(out=ctx.empty(x.shape), dtype=x.dtype.type)
        y *= self.stddev
        y += x
        return y, lambda d_y: d_y


Noise: TypeAlias = Dropout | SpatialDropout | GaussianNoise
