"""Optimizers that use the matrix shape of a weight."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from core.nn.arrays import Array, Shape, size
from core.nn.optimizers.adam import Adam
from core.nn.optimizers.base import DirectOptimizer
from core.nn.optimizers.slots import Slot, Slots, SlotSpecs, each_weight
from core.nn.schedules import ConstantRate, Schedule
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Muon(DirectOptimizer):
    """Orthogonalized momentum for weights of two axes, Adam at the same rate for all others (Jordan 2024).

    The kernel of a layer is `(inputs, units)`.
    """

    type: Literal["muon"] = "muon"
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.95
    """The momentum μ: the decay rate of the mean gradient."""
    nesterov: bool = True
    """Whether to use Nesterov momentum."""
    ns_steps: Annotated[int, Ge(1), Le(100)] = 5
    """The number of Newton-Schulz iterations that orthogonalize a matrix."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """A small number that prevents a division by a norm of zero."""

    def slots(self) -> dict[str, float]:
        """Mean gradient of the matrices and Adam's moments of the other weights, under Adam's names."""
        return Adam().slots()

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`m ← μ·m + (1 − μ)·g`, `w ← w − η · √max(1, units / inputs) · orthogonal(μ·m + (1 − μ)·g)`."""
        others = Adam()
        scratches = ctx.empty((5, max((size(shape) for shape in ctx.shapes if len(shape) == 2), default=0)))
        for w, g, mean, square in each_weight(ctx, weights, gradient, slots["mean"], slots["square"]):
            if w.ndim != 2:
                flat = {"mean": mean.reshape(-1), "square": square.reshape(-1)}
                others.update(w.reshape(-1), g.reshape(-1), flat, step, rate, ctx)
                continue
            direction, scratch = (_view(part, w.shape) for part in scratches[:2])
            np.multiply(g, 1 - self.momentum, out=scratch)
            mean *= self.momentum
            mean += scratch
            np.copyto(direction, mean)
            if self.nesterov:
                direction *= self.momentum
                direction += scratch
            self._make_orthogonal(direction, scratches[1:])
            direction *= rate * math.sqrt(max(1, w.shape[1] / w.shape[0]))
            w -= direction

    def _make_orthogonal(self, matrix: Array, scratches: Array) -> None:
        """Bring all singular values near 1, in place, with four scratch arrays.

        Each iteration maps them by the Newton-Schulz quintic `3.4445·s − 4.775·s³ + 2.0315·s⁵`.
        """
        tall = matrix.shape[0] > matrix.shape[1]
        x, product = (part.T if tall else part for part in (matrix, _view(scratches[0], matrix.shape)))
        x /= max(float(np.linalg.norm(x)), self.epsilon)
        square, scaled, factor = (_view(part, (len(x), len(x))) for part in scratches[1:])
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
class Adafactor(DirectOptimizer):
    """The gradient, divided by the root of its mean square, which is factored into rows and columns.

    For a weight of n × m numbers it stores n + m; of more axes, the last two are the matrix; for a vector it stores the
    mean squares themselves. The step is proportional to the root mean square of the weight (Shazeer & Stern 2018,
    alg. 4–6). ε₁ bounds the divisor, as in PyTorch.
    """

    type: Literal["adafactor"] = "adafactor"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.01))
    """The step η relative to the root mean square of the weight: a number or a schedule."""
    beta_2_decay: Annotated[float, Lt(0)] = -0.8
    """The exponent of the weight of the newest squares, which is `t^beta_2_decay` at step t."""
    epsilon_1: Annotated[float, Gt(0)] = 1e-7
    """The smallest divisor ε₁."""
    epsilon_2: Annotated[float, Gt(0)] = 1e-3
    """The smallest root mean square ε₂ of a weight that scales a step."""
    clip_threshold: Annotated[float, Ge(1)] = 1.0
    """The largest root mean square d of a step before it is scaled."""
    relative_step: bool = True
    """Whether to limit the learning rate to `1 / √t`."""

    def slots(self) -> SlotSpecs:
        """Mean squares of the rows and the columns of matrices, and of each element of vectors."""
        return {
            "rows": Slot(0.0, _row_numbers),
            "columns": Slot(0.0, _column_numbers),
            "square": Slot(0.0, _vector_numbers),
        }

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`w ← w − max(ε₂, rms(w)) · ρ · u / max(1, rms(u) / d)`, `u = g / √v`, `v = rows · columns / mean(rows)`.

        The mean squares are updated with `g²` by the weight `t^beta_2_decay`; `ρ = min(η, 1 / √t)`.
        """
        rate = min(rate, 1 / math.sqrt(step + 1)) if self.relative_step else rate
        newest_weight = (step + 1) ** self.beta_2_decay
        shapes = ctx.shapes or (weights.shape,)
        scratches = ctx.empty((max(map(size, shapes)),))
        means = ctx.empty((max(max(_row_numbers([shape]), _column_numbers([shape])) for shape in shapes),))
        rows, columns, squares = (_Chunks(slots[name]) for name in ("rows", "columns", "square"))
        for w, g in each_weight(ctx, weights, gradient):
            u = _view(scratches, w.shape)
            np.multiply(g, g, out=u)
            if w.ndim < 2:
                _update_mean(square := squares.next(w.shape), u, newest_weight)
                np.copyto(u, square)
            else:
                row = rows.next((*w.shape[:-1], 1))
                _update_mean(row, _mean(u, -1, _view(means, row.shape)), newest_weight)
                column = columns.next((*w.shape[:-2], 1, w.shape[-1]))
                _update_mean(column, _mean(u, -2, _view(means, column.shape)), newest_weight)
                scaled = _view(means, row.shape)
                np.divide(row, np.maximum(np.mean(row, axis=-2, keepdims=True), self.epsilon_1), out=scaled)
                np.copyto(u, column)
                u *= scaled
            np.maximum(u, self.epsilon_1**2, out=u)
            np.sqrt(u, out=u)
            np.divide(g, u, out=u)
            u *= rate * max(self.epsilon_2, _rms(w)) / max(1.0, _rms(u) / self.clip_threshold)
            w -= u


class _Chunks:
    """A vector that is read in consecutive chunks, each in a shape of its own."""

    def __init__(self, vector: Array) -> None:
        self.rest = vector

    def next(self, shape: Shape) -> Array:
        """Return a view of the next chunk."""
        chunk, self.rest = _view(self.rest, shape), self.rest[size(shape) :]
        return chunk


def _row_numbers(shapes: Sequence[Shape]) -> int:
    """Return the number of row means of all matrices."""
    return sum(size(shape[:-1]) for shape in shapes if len(shape) > 1)


def _column_numbers(shapes: Sequence[Shape]) -> int:
    """Return the number of column means of all matrices."""
    return sum(size(shape[:-2]) * shape[-1] for shape in shapes if len(shape) > 1)


def _vector_numbers(shapes: Sequence[Shape]) -> int:
    """Return the number of elements of all vectors."""
    return sum(size(shape) for shape in shapes if len(shape) < 2)


def _mean(squares: Array, axis: int, out: Array) -> Array:
    """Compute the mean over one axis, which is kept, into `out`."""
    np.add.reduce(squares, axis=axis, keepdims=True, out=out)
    out /= squares.shape[axis]
    return out


def _update_mean(mean: Array, newest: Array, weight: float) -> None:
    """`mean ← (1 − weight) · mean + weight · newest`; `newest` is overwritten."""
    newest *= weight
    mean *= 1 - weight
    mean += newest


def _rms(numbers: Array) -> float:
    """Return the root mean square."""
    return math.sqrt(float(np.vdot(numbers, numbers)) / numbers.size)


def _view(vector: Array, shape: Shape) -> Array:
    """Return the first elements of a vector as an array of this shape."""
    return vector[: size(shape)].reshape(shape)


MatrixOptimizers: TypeAlias = Muon | Adafactor
