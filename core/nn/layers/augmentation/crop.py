"""Random crops of images."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.kernels.resampling import Indices
from core.nn.kernels.windows import Count, require_axes
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomCrop:
    """Random crop: cut each image to a smaller one at a random position in training (Krizhevsky et al. 2012, 4.1).

    `(batch, height, width, channels)` in, the crop out, with the same channels. Prediction uses the center crop.
    """

    type: Literal["random_crop"] = "random_crop"
    height: Count
    """The height of the crop in pixels."""
    width: Count
    """The width of the crop in pixels."""

    def plan(self, shape: Shape) -> Plan:
        """No weights; the crop must not be larger than the image."""
        height, width, channels = require_axes(shape, ("height", "width"))
        if self.height > height or self.width > width:
            crop = f"{self.height} × {self.width}"
            raise ShapeMismatch(f"gets {height} × {width} pixels but crops to {crop}: choose a smaller crop")
        pixels = self.height * self.width
        activation_size = size(shape) + pixels * (channels + 2) + 6
        return Plan((self.height, self.width, channels), activation_size=activation_size, divisible=False)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x` is `∂y` within the crop and 0 around it."""
        index = self._indices(x.shape[:3], ctx)
        y = ctx.empty((*index.shape, x.shape[-1]))
        np.take(x.reshape(-1, x.shape[-1]), index, axis=0, out=y, mode="clip")
        input_shape = x.shape

        def backward(d_y: Array) -> Array:
            if not views.input_gradient:
                return d_y
            d_x: Array = ctx.empty(input_shape)
            d_x.fill(0)
            d_x.reshape(-1, input_shape[-1])[index] = d_y
            return d_x

        return y, backward

    def _indices(self, shape: Shape, ctx: PassContext) -> Indices:
        """Return the index of each pixel of the crops among all pixels of the batch, `(batch, height, width)`."""
        batch, height, width = shape
        top, left = ctx.empty((2, batch, 1, 1), np.intp)
        for start, margin in ((top, height - self.height), (left, width - self.width)):
            _draw_start(start, margin, ctx)
        top += np.arange(0, batch * height, height)[:, None, None]
        top *= width
        top += left
        crop = np.arange(0, self.height * width, width)[:, None] + np.arange(self.width)
        return np.add(top, crop, out=ctx.empty((batch, self.height, self.width), np.intp))


def _draw_start(start: Indices, margin: int, ctx: PassContext) -> None:
    """Write where each crop begins on an axis with this number of pixels to spare: at random, or in the center."""
    if ctx.rng is None or not ctx.training:
        start.fill(margin // 2)
        return
    draws = ctx.empty(start.shape)
    ctx.rng.random(out=draws, dtype=draws.dtype.type)
    draws *= margin + 1
    np.copyto(start, draws, casting="unsafe")
