"""SpecAugment: random spans of time or frequency masked in spectrograms (Park et al. 2019)."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.layers.augmentation.spans import outside_span
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeMask:
    """Time masking: set a random span of steps of each sequence to zero in training (SpecAugment, Park et al. 2019).

    `(batch, steps, features)` in, the same shape out. In prediction the input is returned unchanged.
    """

    type: Literal["time_mask"] = "time_mask"
    max_width: Annotated[int, Ge(0)]
    """The most steps that are masked; the width is drawn for each row."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan(shape, 0, self.max_width)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`y = x · m`, `∂x = ∂y · m`."""
        return _mask_span(x, 1, self.max_width, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class FrequencyMask:
    """Frequency masking: set a random band of features of each sequence to zero in training (Park et al. 2019).

    `(batch, steps, features)` in, the same shape out. In prediction the input is returned unchanged.
    """

    type: Literal["frequency_mask"] = "frequency_mask"
    max_width: Annotated[int, Ge(0)]
    """The most features that are masked; the width is drawn for each row."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return _plan(shape, 1, self.max_width)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`y = x · m`, `∂x = ∂y · m`."""
        return _mask_span(x, 2, self.max_width, ctx)


def _plan(shape: Shape, axis: int, max_width: int) -> Plan:
    if len(shape) < 2:
        raise ShapeMismatch(f"needs (steps, features) but gets {shape}: put a reshape before it")
    if max_width > shape[axis]:
        raise ShapeMismatch(f"gets {shape[axis]} positions but may mask {max_width}: choose a smaller max_width")
    return Plan(shape, flops=2 * size(shape), activation_size=size(shape) + 2 * shape[axis] + 2, divisible=False)


def _mask_span(x: Array, axis: int, max_width: int, ctx: PassContext) -> tuple[Array, Backward]:
    if ctx.rng is None or not ctx.training or not max_width:
        return x, lambda d_y: d_y
    widths, starts = draws = ctx.empty((2, len(x), 1))
    ctx.rng.random(out=draws, dtype=draws.dtype.type)
    widths *= max_width + 1
    np.floor(widths, out=widths)
    factor = outside_span(widths, starts, x.shape[axis], ctx)
    factor = factor.reshape(len(x), *(x.shape[axis] if i == axis else 1 for i in range(1, x.ndim)))
    return np.multiply(x, factor, out=ctx.empty(x.shape)), lambda d_y: np.multiply(d_y, factor, out=d_y)
