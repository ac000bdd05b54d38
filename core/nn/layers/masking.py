"""Marks the steps of a sequence that only fill it up, so that what follows can pass them over."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Masking:
    """A step all of whose features are `mask_value` is not there: `(batch, steps, features)` in and out.

    Recurrent layers go past such a step, attention does not ask it, and neither `global_average_pooling1d` nor a
    loss of outputs for each step counts it.
    """

    type: Literal["masking"] = "masking"
    mask_value: float = 0.0
    """What fills up; it becomes 0."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        if len(shape) != 2:
            raise ShapeMismatch(f"needs (steps, features), and gets {shape}: put a reshape before it")
        return Plan(shape, flops=2 * size(shape), activation_size=3 * size(shape) + shape[0])

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`y = x · m` with m = 1 where a step is there and 0 elsewhere, and so is the gradient."""
        differs = np.not_equal(x, self.mask_value, out=ctx.empty(x.shape, np.bool_))
        mask = np.logical_or.reduce(differs, axis=-1, out=ctx.empty(x.shape[:2], np.bool_))
        ctx.mask = mask
        there: Array = ctx.empty((*mask.shape, 1))
        np.copyto(there, mask[:, :, None])
        return np.multiply(x, there, out=ctx.empty(x.shape)), lambda d_y: np.multiply(d_y, there, out=d_y)
