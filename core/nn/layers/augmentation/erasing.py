"""Random erasing of rectangles from images."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.kernels.windows import require_axes
from core.nn.layers.augmentation.spans import outside_span
from core.nn.plan import Plan, Views
from core.nn.step.context import PassContext

Fraction: TypeAlias = Annotated[float, Ge(0), Le(1)]
Ratio: TypeAlias = Annotated[float, Ge(1e-3), Le(1e3)]


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomErasing:
    """Random erasing: fill a random rectangle of each image in training.

    Zhong et al. 2020, alg. 1; DeVries & Taylor 2017. `(batch, height, width, channels)` in, the same shape out. In
    prediction the input is returned unchanged.
    """

    type: Literal["random_erasing"] = "random_erasing"
    factor: Fraction = 1.0
    """The probability that an image is changed."""
    scale: tuple[Fraction, Fraction] = (0.02, 0.33)
    """The range of the rectangle's area as a fraction of the image."""
    ratio: tuple[Ratio, Ratio] = (0.3, 3.3)
    """The range of its height divided by its width, drawn log-uniformly; its sides are at most those of the image."""
    fill_value: float = 0.0
    """The value of the pixels in the rectangle."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        sides = require_axes(shape, ("height", "width"))[:2]
        return Plan(shape, activation_size=size(shape) + 2 * size(sides) + 2 * sum(sides) + 6, divisible=False)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`y` is `fill_value` in the rectangle and x elsewhere; `∂x` is 0 in the rectangle and `∂y` elsewhere."""
        if ctx.rng is None or not ctx.training:
            return x, lambda d_y: d_y
        batch, height, width, _ = x.shape
        chance, area, ratio, top, left = draws = ctx.empty((5, batch, 1))
        ctx.rng.random(out=draws, dtype=x.dtype.type)
        heights, widths = self._sides(chance, area, ratio, height * width)
        np.minimum(heights, height, out=heights)
        np.minimum(widths, width, out=widths)
        rows, columns = outside_span(heights, top, height, ctx), outside_span(widths, left, width, ctx)
        outside = np.maximum(rows[:, :, None], columns[:, None, :], out=ctx.empty((batch, height, width)))
        erased = np.equal(outside, 0, out=ctx.empty(outside.shape, np.bool_))[..., None]

        def backward(d_y: Array) -> Array:
            np.copyto(d_y, 0, where=erased)
            return d_y

        y = ctx.empty(x.shape)
        np.copyto(y, x)
        np.copyto(y, self.fill_value, where=erased)
        return y, backward

    def _sides(self, chance: Array, area: Array, ratio: Array, pixels: int) -> tuple[Array, Array]:
        """Return heights `√(a · r)` and widths `√(a / r)` in pixels, 0 for unchanged images; overwrite the draws."""
        (smallest, largest), (flattest, tallest) = self.scale, self.ratio
        area *= (largest - smallest) * pixels
        area += smallest * pixels
        area *= np.less(chance, self.factor)
        ratio *= math.log(tallest / flattest)
        ratio += math.log(flattest)
        np.exp(ratio, out=ratio)
        heights = np.multiply(area, ratio, out=chance)
        widths = np.divide(area, ratio, out=area)
        for sides in (heights, widths):
            np.rint(np.sqrt(sides, out=sides), out=sides)
        return heights, widths
