"""Random mirroring of images."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.kernels.windows import require_axes
from core.nn.plan import Plan, Views
from core.nn.step.context import PassContext

FlipMode: TypeAlias = Literal["horizontal", "vertical", "horizontal_and_vertical"]

FLIPPED_AXES: dict[FlipMode, tuple[int, ...]] = {
    "horizontal": (2,),
    "vertical": (1,),
    "horizontal_and_vertical": (1, 2),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomFlip:
    """Random flip: mirror each image with a probability of one half in training.

    `(batch, height, width, channels)` in, the same shape out. In prediction the input is returned unchanged.
    """

    type: Literal["random_flip"] = "random_flip"
    mode: FlipMode = "horizontal_and_vertical"
    """Mirror left and right, top and bottom, or each of both with its own probability."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        numbers = size(require_axes(shape, ("height", "width")))
        return Plan(shape, activation_size=2 * len(FLIPPED_AXES[self.mode]) * (numbers + 1), divisible=False)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Mirror the drawn rows; a flip is its own inverse, so the same rows of `∂y` are mirrored."""
        if ctx.rng is None or not ctx.training:
            return x, lambda d_y: d_y
        axes = FLIPPED_AXES[self.mode]
        draws = ctx.rng.random(out=ctx.empty((len(axes), len(x), 1, 1, 1)), dtype=x.dtype.type)
        drawn = np.less(draws, 0.5, out=ctx.empty(draws.shape, np.bool_))

        def flip(rows: Array) -> Array:
            for axis, flipped in zip(axes, drawn, strict=True):
                y = ctx.empty(rows.shape)
                np.copyto(y, rows)
                np.copyto(y, np.flip(rows, axis), where=flipped)
                rows = y
            return rows

        return flip(x), flip
