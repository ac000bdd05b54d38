"""Optimizers that see a weight as the matrix that it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from core.nn.arrays import Array, Shape, size
from core.nn.optimizers.adam import Adam
from core.nn.optimizers.base import BaseOptimizer
from core.nn.optimizers.slots import Slot, Slots, Starts, each_weight
from core.nn.schedules import ConstantRate, Schedule
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Muon(BaseOptimizer):
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

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`m ← μ·m + (1 − μ)·g`, `w ← w − η · √max(1, units / inputs) · orthogonal(μ·m + (1 − μ)·g)`."""
        others = Adam()
        spare = ctx.empty((5, max((size(shape) for shape in ctx.shapes if len(shape) == 2), default=0)))
        for w, g, mean, square in each_weight(ctx, weights, gradient, slots["mean"], slots["square"]):
            if w.ndim != 2:
                flat = {"mean": mean.reshape(-1), "square": square.reshape(-1)}
                others.update(w.reshape(-1), g.reshape(-1), flat, step, rate, ctx)
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Adafactor(BaseOptimizer):
    """Gradients divided by the root of their mean squares, of which only rows and columns are remembered.

    Of a weight of n × m numbers that is n + m; of more axes the last two are the matrix; a vector's are remembered one
    by one. A step is as long as the weight is (Shazeer & Stern 2018, alg. 4–6); ε₁ bounds the divisor, as in PyTorch.
    """

    type: Literal["adafactor"] = "adafactor"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.01))
    """The step's length η as a share of the weight's own: a number or a schedule."""
    beta_2_decay: Annotated[float, Lt(0)] = -0.8
    """How the share of the newest squares falls: it is t to this at step t."""
    epsilon_1: Annotated[float, Gt(0)] = 1e-7
    """The least that is divided by."""
    epsilon_2: Annotated[float, Gt(0)] = 1e-3
    """The least length of a weight that a step goes by, as the root of its mean square."""
    clip_threshold: Annotated[float, Ge(1)] = 1.0
    """The most that a step may be, as the root of its mean square, before it is scaled."""
    relative_step: bool = True
    """Let the rate be at most `1 / √t`."""

    def slots(self) -> Starts:
        """The mean squares of the rows and the columns of matrices, and of each number of vectors."""
        return {"rows": Slot(0.0, _of_rows), "columns": Slot(0.0, _of_columns), "square": Slot(0.0, _of_vectors)}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`w ← w − max(ε₂, rms(w)) · ρ · u / max(1, rms(u) / d)`, `u = g / √v`, `v = rows · columns / mean(rows)`.

        The means of squares are mixed with those of `g²` by the share `t^decay`; `ρ = min(η, 1 / √t)`.
        """
        rate = min(rate, 1 / math.sqrt(step + 1)) if self.relative_step else rate
        share = (step + 1) ** self.beta_2_decay
        shapes = ctx.shapes or (weights.shape,)
        spare = ctx.empty((max(map(size, shapes)),))
        means = ctx.empty((max(max(_of_rows([shape]), _of_columns([shape])) for shape in shapes),))
        rows, columns, squares = (_Pieces(slots[name]) for name in ("rows", "columns", "square"))
        for w, g in each_weight(ctx, weights, gradient):
            u = _shaped(spare, w.shape)
            np.multiply(g, g, out=u)
            if w.ndim < 2:
                _mix(square := squares.next(w.shape), u, share)
                np.copyto(u, square)
            else:
                row = rows.next((*w.shape[:-1], 1))
                _mix(row, _mean(u, -1, _shaped(means, row.shape)), share)
                column = columns.next((*w.shape[:-2], 1, w.shape[-1]))
                _mix(column, _mean(u, -2, _shaped(means, column.shape)), share)
                scaled = _shaped(means, row.shape)
                np.divide(row, np.maximum(np.mean(row, axis=-2, keepdims=True), self.epsilon_1), out=scaled)
                np.copyto(u, column)
                u *= scaled
            np.maximum(u, self.epsilon_1**2, out=u)
            np.sqrt(u, out=u)
            np.divide(g, u, out=u)
            u *= rate * max(self.epsilon_2, _rms(w)) / max(1.0, _rms(u) / self.clip_threshold)
            w -= u


class _Pieces:
    """A vector that is handed out piece by piece, each in its shape."""

    def __init__(self, vector: Array) -> None:
        self.rest = vector

    def next(self, shape: Shape) -> Array:
        """The next piece."""
        piece, self.rest = _shaped(self.rest, shape), self.rest[size(shape) :]
        return piece


def _of_rows(shapes: Sequence[Shape]) -> int:
    return sum(size(shape[:-1]) for shape in shapes if len(shape) > 1)


def _of_columns(shapes: Sequence[Shape]) -> int:
    return sum(size(shape[:-2]) * shape[-1] for shape in shapes if len(shape) > 1)


def _of_vectors(shapes: Sequence[Shape]) -> int:
    return sum(size(shape) for shape in shapes if len(shape) < 2)


def _mean(squares: Array, axis: int, out: Array) -> Array:
    np.add.reduce(squares, axis=axis, keepdims=True, out=out)
    out /= squares.shape[axis]
    return out


def _mix(mean: Array, newest: Array, share: float) -> None:
    """`mean ← (1 − share) · mean + share · newest`; what is newest is overwritten."""
    newest *= share
    mean *= 1 - share
    mean += newest


def _rms(numbers: Array) -> float:
    return math.sqrt(float(np.vdot(numbers, numbers)) / numbers.size)


def _shaped(part: Array, shape: Shape) -> Array:
    """As much of a piece of scratch as this shape takes."""
    return part[: size(shape)].reshape(shape)


MatrixOptimizers: TypeAlias = Muon | Adafactor
