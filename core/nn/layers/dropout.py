"""Regularization by noise: dropout and additive noise, active in training only."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Lt

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropout:
    """Dropout: in training, set random elements to zero and scale up the others (Srivastava et al. 2014).

    The input can have any shape. In prediction it is returned unchanged.
    """

    type: Literal["dropout"] = "dropout"
    rate: Annotated[float, Ge(0), Lt(1)]
    """The fraction of elements set to zero."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return Plan(shape, flops=3 * size(shape), activation_size=3 * size(shape))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`y = x · m / (1 − rate)` with a random binary mask m; `∂x = ∂y · m / (1 − rate)`."""
        if ctx.rng is None or not ctx.training or not self.rate:
            return x, lambda d_y: d_y
        scale = ctx.rng.random(out=ctx.empty(x.shape), dtype=x.dtype.type)
        np.greater_equal(scale, self.rate, out=scale)
        scale /= 1 - self.rate
        return np.multiply(x, scale, out=ctx.empty(x.shape)), lambda d_y: np.multiply(d_y, scale, out=d_y)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpatialDropout:
    """Spatial dropout: in training, set random channels to zero, at all positions of a row (Tompson et al. 2015).

    The input is `(batch, …, channels)`. In prediction it is returned unchanged.
    """

    type: Literal["spatial_dropout"] = "spatial_dropout"
    rate: Annotated[float, Ge(0), Lt(1)]
    """The fraction of channels set to zero."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        if not shape:
            raise ShapeMismatch("needs (…, channels) but gets a single number per row: nest each row in a list")
        return Plan(shape, flops=size(shape), activation_size=size(shape) + shape[-1])

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`y = x · m / (1 − rate)` with a random binary mask m per row and channel; `∂x = ∂y · m / (1 − rate)`."""
        if ctx.rng is None or not ctx.training or not self.rate:
            return x, lambda d_y: d_y
        scale = ctx.empty((len(x), *[1] * (x.ndim - 2), x.shape[-1]))
        ctx.rng.random(out=scale, dtype=x.dtype.type)
        np.greater_equal(scale, self.rate, out=scale)
        scale /= 1 - self.rate
        return np.multiply(x, scale, out=ctx.empty(x.shape)), lambda d_y: np.multiply(d_y, scale, out=d_y)


@dataclass(frozen=True, kw_only=True, slots=True)
class GaussianNoise:
    """Additive Gaussian noise in training, which makes the network robust to small changes (Bishop 1995).

    The input can have any shape. In prediction it is returned unchanged.
    """

    type: Literal["gaussian_noise"] = "gaussian_noise"
    stddev: Annotated[float, Ge(0)]
    """The standard deviation of the noise."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return Plan(shape, flops=2 * size(shape), activation_size=size(shape), divisible=False)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`y = x + stddev · n` with standard normal n; `∂x = ∂y`."""
        if ctx.rng is None or not ctx.training or not self.stddev:
            return x, lambda d_y: d_y
        y = ctx.rng.standard_normal(out=ctx.empty(x.shape), dtype=x.dtype.type)
        y *= self.stddev
        y += x
        return y, lambda d_y: d_y


Noise: TypeAlias = Dropout | SpatialDropout | GaussianNoise
