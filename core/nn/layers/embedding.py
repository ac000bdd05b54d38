"""The embedding layer: a learnt vector for each whole number."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le

from core.nn.arrays import MAX_AXIS_LENGTH, Array, Backward, Shape, size
from core.nn.constraints import Constraint
from core.nn.initializers import Initializer, RandomUniform
from core.nn.layers.base import Trainable
from core.nn.plan import Plan, ShapeMismatch, Views, Weight
from core.nn.regularizers import Regularizer
from core.nn.step.context import PassContext


class NoSuchEmbedding(ValueError):
    """An input of an embedding is not a whole number in its range."""

    def __init__(self, found: float, input_dim: int) -> None:
        super().__init__(
            f"embedding needs whole numbers from 0 to {input_dim - 1} but gets {found:g}: encode the inputs so"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedding(Trainable):
    """Embedding: a learnt vector for each whole number, `(batch, …)` → `(batch, …, output_dim)` (Bengio et al. 2003).

    The inputs are whole numbers from 0 to `input_dim − 1`; any other input raises `NoSuchEmbedding`.
    """

    type: Literal["embedding"] = "embedding"
    input_dim: Annotated[int, Ge(1), Le(1 << 24)]
    """The number of vectors; float32 represents whole numbers exactly up to 2²⁴."""
    output_dim: Annotated[int, Ge(1), Le(MAX_AXIS_LENGTH)]
    """The length of each vector."""
    embeddings_initializer: Initializer = field(default=RandomUniform())
    """The initial values of the vectors."""
    embeddings_regularizer: Regularizer | None = None
    """A penalty on the vectors."""
    embeddings_constraint: Constraint | None = None
    """A constraint on the vectors."""
    mask_zero: bool = False
    """Whether 0 marks padding: layers that support masks skip such steps."""

    def plan(self, shape: Shape) -> Plan:
        """Vectors W `(input_dim, output_dim)`."""
        if self.mask_zero and len(shape) != 1:
            raise ShapeMismatch(f"needs (steps,) to mask zeros but gets {shape}: leave out mask_zero or flatten first")
        vectors = Weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            self.embeddings_regularizer,
            self.embeddings_constraint,
        )
        output = (*shape, self.output_dim)
        plan = Plan(
            output,
            {"embeddings": vectors},
            flops=size(output),
            activation_size=3 * size(output) + 11 * size(shape),
            masked_value=0.0 if self.mask_zero else None,
            categorical_input=True,
        )
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`y = W[x]`; `∂W[k] = Σ ∂y` over all positions where `x = k`; x is an index, so `∂x = 0`."""
        indices = self._indices(x, ctx)
        if self.mask_zero:
            ctx.mask = np.not_equal(indices, 0, out=ctx.empty(x.shape, np.bool_))
        y: Array = ctx.empty((*x.shape, self.output_dim))
        np.take(views.weights["embeddings"], indices, axis=0, out=y, mode="clip")
        input_shape = x.shape

        def backward(d_y: Array) -> Array:
            if views.trainable:
                _sum_by_index(indices.reshape(-1), d_y.reshape(-1, self.output_dim), views.gradients["embeddings"], ctx)
            if not views.input_gradient:
                return d_y
            d_x: Array = ctx.empty(input_shape)
            d_x.fill(0)
            return d_x

        return y, backward

    def _indices(self, x: Array, ctx: PassContext) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
        indices = ctx.empty(x.shape, np.intp)
        wrong, outside = ctx.empty(x.shape, np.bool_), ctx.empty(x.shape, np.bool_)
        with np.errstate(invalid="ignore"):
            np.copyto(indices, x, casting="unsafe")
        np.not_equal(indices, x, out=wrong)
        np.greater_equal(indices.view(np.uintp), self.input_dim, out=outside)  # as unsigned, a negative one is huge
        np.logical_or(wrong, outside, out=wrong)
        if wrong.any():
            raise NoSuchEmbedding(float(x[wrong][0]), self.input_dim)
        return indices


def _sum_by_index(indices: Any, rows: Array, out: Array, ctx: PassContext) -> None:
    """Write the sum of the rows of each index into `out`: sort by index, then sum each run of equal indices.

    `np.add.at`, which needs no sorting, took seven times as long for 64 indices, and nearly twice for 10,000. The sort
    key is `index · count + position`, so that the sort is stable and needs no memory of its own.
    """
    out.fill(0)
    if not (count := len(indices)):
        return
    positions, ordered = (ctx.empty((count,), np.intp) for _ in range(2))
    positions.fill(1)
    positions[0] = 0
    np.add.accumulate(positions, out=positions)
    np.multiply(indices, count, out=ordered)
    ordered += positions
    ordered.sort()
    np.remainder(ordered, count, out=positions)
    np.floor_divide(ordered, count, out=ordered)
    first = ctx.empty((count,), np.bool_)
    first[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    sorted_rows = np.take(rows, positions, axis=0, out=ctx.empty(rows.shape), mode="clip")
    sums = ctx.empty((min(count, len(out)), *rows.shape[1:]))[: len(starts)]
    out[ordered[starts]] = np.add.reduceat(sorted_rows, starts, axis=0, out=sums)
