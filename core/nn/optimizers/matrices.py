"""An optimizer that sees a weight as the matrix that it is."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from core.nn.arena import Run
from core.nn.arrays import Array, Shape, size
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
        spare = run.empty((5, max((size(shape) for shape in run.shapes if len(shape) == 2), default=0)))
        for w, g, mean, square in each_weight(run, weights, gradient, slots["mean"], slots["square"]):
            if w.ndim != 2:
                flat = {"mean": mean.reshape(-1), "square": square.reshape(-1)}
                others.update(w.reshape(-1), g.reshape(-1), flat, step, rate, run)
                continue
            along, scratch = (_shaped(part, w.shape) for part in spare[:2])
            np.multiply(g, 1 - self.momentum, out=scratch)
            mean *= self.momentum
            mean += scratch
            np.copyto(along, mean)
            if self.nesterov:
                along *= self.momentum
                along += scratch
            self._make_orthogonal(along, spare[1:])
            along *= rate * math.sqrt(max(1, w.shape[1] / w.shape[0]))
            w -= along

    def _make_orthogonal(self, matrix: Array, spare: Array) -> None:
        """Bring all singular values near 1, in place, with four pieces of scratch.

        Each step maps them by `3.4445·s − 4.775·s³ + 2.0315·s⁵`, a quintic of Newton and Schulz's kind.
        """
        tall = matrix.shape[0] > matrix.shape[1]
        x, product = (part.T if tall else part for part in (matrix, _shaped(spare[0], matrix.shape)))
        x /= max(float(np.linalg.norm(x)), self.epsilon)
        square, scaled, factor = (_shaped(part, (len(x), len(x))) for part in spare[1:])
        for _ in range(self.ns_steps):
            np.matmul(x, x.T, out=square)
            np.multiply(square, 2.0315, out=scaled)
            np.matmul(scaled, square, out=factor)
            square *= -4.775
            factor += square
            np.matmul(factor, x, out=product)
            x *= 3.4445
            x += product


def _shaped(part: Array, shape: Shape) -> Array:
    """As much of a piece of scratch as this shape takes."""
    return part[: size(shape)].reshape(shape)
