"""Random translations, zooms and rotations of images, with bilinear interpolation."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.kernels.resampling import FillMode, bilinear, resampling_plan
from core.nn.plan import Plan, Views
from core.nn.step.context import PassContext

Fraction: TypeAlias = Annotated[float, Ge(0), Le(1)]
SignedFraction: TypeAlias = Annotated[float, Ge(-1), Le(1)]
Factor: TypeAlias = Fraction | tuple[SignedFraction, SignedFraction]
"""The largest factor in both directions, or a range of factors."""


@dataclass(frozen=True, kw_only=True)
class Fill:
    """A layer that fills the area outside the image."""

    __slots__ = ()

    type: str
    fill_mode: FillMode = "reflect"
    """The pixels outside the image: `fill_value`, those of its border, its mirror image, or its opposite side."""
    fill_value: float = 0.0
    """The value outside the image if `fill_mode` is `constant`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomTranslation(Fill):
    """Random translation: shift each image by a random distance in training (Simard et al. 2003).

    `(batch, height, width, channels)` in, the same shape out. In prediction the input is returned unchanged.
    """

    type: Literal["random_translation"] = "random_translation"
    height_factor: Factor
    """The largest shift up or down as a fraction of the height, or a range, in which negative numbers are up."""
    width_factor: Factor
    """The largest shift left or right as a fraction of the width, or a range, in which negative numbers are left."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return resampling_plan(shape, sum(shape[:2]))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Bilinear interpolation at the shifted positions; `∂x` is its transpose."""
        if ctx.rng is None or not ctx.training:
            return x, lambda d_y: d_y
        batch, height, width, _ = x.shape
        up, left = (_draw(factor, batch, ctx.rng, ctx) for factor in (self.height_factor, self.width_factor))
        up *= -height
        left *= -width
        rows = np.add(up, np.arange(height, dtype=x.dtype)[:, None], out=ctx.empty((batch, height, 1)))
        columns = np.add(left, np.arange(width, dtype=x.dtype), out=ctx.empty((batch, 1, width)))
        return bilinear(x, rows, columns, self.fill_mode, self.fill_value, ctx, input_gradient=views.input_gradient)


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomZoom(Fill):
    """Random zoom: enlarge or shrink each image about its center by a random factor in training.

    `(batch, height, width, channels)` in, the same shape out. In prediction the input is returned unchanged.
    """

    type: Literal["random_zoom"] = "random_zoom"
    height_factor: Factor
    """The largest zoom as a fraction of the height, or a range: 0.2 zooms out to show a fifth more, -0.2 zooms in to
    show a fifth less."""
    width_factor: Factor | None = None
    """The same of the width; left out: that of the height, so that the aspect ratio is kept."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return resampling_plan(shape, sum(shape[:2]))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Bilinear interpolation at positions (1 + factor) times as far from the center; `∂x` is its transpose."""
        if ctx.rng is None or not ctx.training:
            return x, lambda d_y: d_y
        batch, height, width, _ = x.shape
        vertical = _draw(self.height_factor, batch, ctx.rng, ctx)
        horizontal = vertical if self.width_factor is None else _draw(self.width_factor, batch, ctx.rng, ctx)
        i, j = _from_center(height, x)[:, None], _from_center(width, x)
        rows = np.multiply(vertical, i, out=ctx.empty((batch, height, 1)))
        rows += np.arange(height, dtype=x.dtype)[:, None]
        columns = np.multiply(horizontal, j, out=ctx.empty((batch, 1, width)))
        columns += np.arange(width, dtype=x.dtype)
        return bilinear(x, rows, columns, self.fill_mode, self.fill_value, ctx, input_gradient=views.input_gradient)


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomRotation(Fill):
    """Random rotation: rotate each image about its center by a random angle in training.

    `(batch, height, width, channels)` in, the same shape out. In prediction the input is returned unchanged.
    """

    type: Literal["random_rotation"] = "random_rotation"
    factor: Factor
    """The largest angle in both directions as a fraction of a full turn, or a range; counterclockwise is positive."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return resampling_plan(shape, 2 * size(shape[:2]))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Bilinear interpolation at `(i·cos α + j·sin α, j·cos α − i·sin α)` from the center; `∂x` is its transpose."""
        if ctx.rng is None or not ctx.training:
            return x, lambda d_y: d_y
        angle = _draw(self.factor, len(x), ctx.rng, ctx)
        angle *= 2 * np.pi
        cos, sin = np.cos(angle, out=ctx.empty(angle.shape)), np.sin(angle, out=ctx.empty(angle.shape))
        height, width = x.shape[1:3]
        i, j = _from_center(height, x)[:, None], _from_center(width, x)
        rows, columns, part = (ctx.empty(x.shape[:3]) for _ in range(3))
        np.multiply(cos, i, out=rows)
        rows += np.multiply(sin, j, out=part)
        rows += (height - 1) / 2
        np.multiply(cos, j, out=columns)
        columns -= np.multiply(sin, i, out=part)
        columns += (width - 1) / 2
        return bilinear(x, rows, columns, self.fill_mode, self.fill_value, ctx, input_gradient=views.input_gradient)


def _draw(factor: Factor, rows: int, rng: np.random.Generator, ctx: PassContext) -> Array:
    """Return a uniform random factor for each row, `(rows, 1, 1)`."""
    low, high = factor if isinstance(factor, tuple) else (-factor, factor)
    draws: Array = ctx.empty((rows, 1, 1))
    rng.random(out=draws, dtype=draws.dtype.type)
    draws *= high - low
    draws += low
    return draws


def _from_center(length: int, x: Array) -> Array:
    """Return the distance of each pixel of an axis from its center, `(length,)`."""
    return np.arange(length, dtype=x.dtype) - (length - 1) / 2
