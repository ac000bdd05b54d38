"""Words as vectors: each whole number has a row of weights of its own."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le

from core.nn.arrays import MOST, Array, Backward, Shape, size
from core.nn.constraints import Constraint
from core.nn.initializers import Initializer, RandomUniform
from core.nn.plan import Plan, ShapeMismatch, Views, Weight
from core.nn.regularizers import Regularizer
from core.nn.step.context import PassContext


class NoSuchEmbedding(ValueError):
    """An embedding gets something else than the whole numbers that it has rows for."""

    def __init__(self, found: float, input_dim: int) -> None:
        super().__init__(f"embedding needs whole numbers from 0 to {input_dim - 1}, and gets {found:g}: encode them so")


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedding:
    """A learnt vector for each whole number: `(batch, …)` → `(batch, …, output_dim)` (Bengio et al. 2003).

    Inputs are whole numbers from 0 up; others end the training with `NoSuchEmbedding`.
    """

    type: Literal["embedding"] = "embedding"
    input_dim: Annotated[int, Ge(1), Le(1 << 24)]
    """How many different numbers there are; float32 holds whole numbers up to 2²⁴."""
    output_dim: Annotated[int, Ge(1), Le(MOST)]
    """How long each vector is."""
    embeddings_initializer: Initializer = field(default=RandomUniform())
    """How the vectors begin."""
    embeddings_regularizer: Regularizer | None = None
    """A penalty on the vectors."""
    embeddings_constraint: Constraint | None = None
    """A constraint on the vectors."""
    mask_zero: bool = False
    """0 stands for no step at all: recurrent layers and others that know masks pass it over."""
    trainable: bool = True
    """Whether it learns; if not, its vectors stay as they are and bear no penalty."""

    def plan(self, shape: Shape) -> Plan:
        """The vectors `(input_dim, output_dim)`."""
        if self.mask_zero and len(shape) != 1:
            raise ShapeMismatch(f"needs (steps,) to mask zeros, and gets {shape}: leave out mask_zero or flatten first")
        vectors = Weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            self.embeddings_regularizer,
            self.embeddings_constraint,
        )
        output = (*shape, self.output_dim)
        plan = Plan(
            output, {"embeddings": vectors}, flops=size(output), activation_size=3 * size(output) + 11 * size(shape)
        )
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`y = W[x]`; `∂W[k]` is the sum of `∂y` wherever k stood, and x, which is no quantity, has no gradient."""
        numbers = self._numbers(x, ctx)
        if self.mask_zero:
            ctx.mask = np.not_equal(numbers, 0, out=ctx.empty(x.shape, np.bool_))
        y: Array = ctx.empty((*x.shape, self.output_dim))
        np.take(views.weights["embeddings"], numbers, axis=0, out=y, mode="clip")
        given = x.shape

        def backward(d_y: Array) -> Array:
            if views.trainable:
                _gather(numbers.reshape(-1), d_y.reshape(-1, self.output_dim), views.gradients["embeddings"], ctx)
            if not views.input_gradient:
                return d_y
            d_x: Array = ctx.empty(given)
            d_x.fill(0)
            return d_x

        return y, backward

    def _numbers(self, x: Array, ctx: PassContext) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
        numbers = ctx.empty(x.shape, np.intp)
        wrong, outside = ctx.empty(x.shape, np.bool_), ctx.empty(x.shape, np.bool_)
        with np.errstate(invalid="ignore"):
            np.copyto(numbers, x, casting="unsafe")
        np.not_equal(numbers, x, out=wrong)
        np.greater_equal(numbers.view(np.uintp), self.input_dim, out=outside)  # a negative one becomes huge
        np.logical_or(wrong, outside, out=wrong)
        if wrong.any():
            raise NoSuchEmbedding(float(x[wrong][0]), self.input_dim)
        return numbers


def _gather(numbers: Any, rows: Array, out: Array, ctx: PassContext) -> None:
    """Write the sum of the rows of each number into `out`: in order, so that those of one number follow one another.

    `np.add.at`, which needs no order, took seven times as long for 64 words, and nearly twice for 10,000. What is
    sorted is `number · count + place`, which needs no memory beside its own.
    """
    out.fill(0)
    if not (count := len(numbers)):
        return
    places, ordered = (ctx.empty((count,), np.intp) for _ in range(2))
    places.fill(1)
    places[0] = 0
    np.add.accumulate(places, out=places)
    np.multiply(numbers, count, out=ordered)
    ordered += places
    ordered.sort()
    np.remainder(ordered, count, out=places)
    np.floor_divide(ordered, count, out=ordered)
    first = ctx.empty((count,), np.bool_)
    first[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    sorted_rows = np.take(rows, places, axis=0, out=ctx.empty(rows.shape), mode="clip")
    sums = ctx.empty((min(count, len(out)), *rows.shape[1:]))[: len(starts)]
    out[ordered[starts]] = np.add.reduceat(sorted_rows, starts, axis=0, out=sums)
