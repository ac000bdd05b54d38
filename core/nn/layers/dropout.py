"""Chance as a teacher: numbers that are left out while learning, so that none is relied upon."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Lt

from core.nn.arena import Run
from core.nn.arrays import Array, Backward, Shape, size
from core.nn.plan import Plan, Views


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
        return Plan(shape, flops=3 * size(shape), floats=3 * size(shape))

    def forward(self, x: Array, views: Views, run: Run) -> tuple[Array, Backward]:
        """`y = x · m / (1 − rate)` with a random mask m, and so is the gradient."""
        if run.rng is None or not run.training or not self.rate:
            return x, lambda d_y: d_y
        scale = run.rng.random(out=run.empty(x.shape), dtype=x.dtype.type)
        np.greater_equal(scale, self.rate, out=scale)
        scale /= 1 - self.rate
        return np.multiply(x, scale, out=run.empty(x.shape)), lambda d_y: np.multiply(d_y, scale, out=d_y)
