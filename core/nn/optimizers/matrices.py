"""An optimizer that sees a weight as the matrix that it is."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from core.nn.arena import Run
from core.nn.arrays import Array
from core.nn.optimizers.moments import Adam
from core.nn.optimizers.slots import Slots, each_weight
from core.nn.schedules import ConstantRate, Schedule


@dataclass(frozen=True, kw_only=True, slots=True)
class Muon:
    """Steps that are orthogonal matrices, for weights of two axes; Adam at the same rate for all others (Jordan 2024).

    The kernel of a layer is `(inputs, units)`.
    """

    type: Literal["muon"] = "muon"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.001))
    """The step's length η: a number or a schedule."""
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.95
    """How much of the mean gradient is kept at each step."""
    nesterov: bool = True
    """Look ahead along the momentum before stepping."""
    ns_steps: Annotated[int, Ge(1), Le(100)] = 5
    """How many steps of Newton and Schulz make a matrix orthogonal."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """Keeps the division by a matrix's length from zero."""

    def slots(self) -> dict[str, float]:
        """The mean gradient of the matrices, and Adam's moments of the others: Adam's names for both."""
        return Adam().slots()

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, run: Run) -> None:
        """`m ← μ·m + (1 − μ)·g`, `w ← w − η · √max(1, units / inputs) · orthogonal(μ·m + (1 − μ)·g)`."""
        others = Adam()
        for w, g, mean, square in each_weight(run, weights, gradient, slots["mean"], slots["square"]):
            if w.ndim != 2:
                flat = {"mean": mean.reshape(-1), "square": square.reshape(-1)}
                others.update(w.reshape(-1), g.reshape(-1), flat, step, rate, run)
                continue
            mean *= self.momentum
            mean += (1 - self.momentum) * g
            along = self.momentum * mean + (1 - self.momentum) * g if self.nesterov else mean
            w -= rate * math.sqrt(max(1, w.shape[1] / w.shape[0])) * self.orthogonal(along)

    def orthogonal(self, matrix: Array) -> Any:
        """A matrix of the same shape and singular vectors, whose singular values are all near 1.

        Each step maps them by `3.4445·s − 4.775·s³ + 2.0315·s⁵`, a quintic of Newton and Schulz's kind.
        """
        wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        x = wide / max(float(np.linalg.norm(wide)), self.epsilon)
        for _ in range(self.ns_steps):
            square = x @ x.T
            x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
        return x if matrix.shape[0] <= matrix.shape[1] else x.T
