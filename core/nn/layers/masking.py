"""The layer that masks padded steps of sequences."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Masking:
    """Masking layer: a step whose features all equal `mask_value` is padding, `(batch, steps, features)` in and out.

    Recurrent layers skip masked steps, attention gives them no weight, and neither `global_average_pooling1d` nor a
    loss over the outputs of each step counts them.
    """

    type: Literal["masking"] = "masking"
    mask_value: float = 0.0
    """The value that marks padding; it becomes 0."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        if len(shape) != 2:
            raise ShapeMismatch(f"needs (steps, features) but gets {shape}: put a reshape before it")
        return Plan(
            shape,
            flops=2 * size(shape),
            activation_size=3 * size(shape) + shape[0],
            masked_value=self.mask_value,
        )

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`y = x · m` with m = 0 at masked steps and 1 elsewhere; `∂x = ∂y · m`."""
        differs = np.not_equal(x, self.mask_value, out=ctx.empty(x.shape, np.bool_))
        mask = np.logical_or.reduce(differs, axis=-1, out=ctx.empty(x.shape[:2], np.bool_))
        ctx.mask = mask
        factor: Array = ctx.empty((*mask.shape, 1))
        np.copyto(factor, mask[:, :, None])
        return np.multiply(x, factor, out=ctx.empty(x.shape)), lambda d_y: np.multiply(d_y, factor, out=d_y)
