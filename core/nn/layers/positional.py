"""Layers that add the position of each step to a sequence, since attention by itself ignores the order."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Le

from core.nn.arrays import MAX_AXIS_LENGTH, Array, Backward, Shape, size
from core.nn.constraints import Constraint
from core.nn.initializers import GlorotUniform, Initializer
from core.nn.layers.base import Trainable
from core.nn.plan import Plan, ShapeMismatch, Views, Weight
from core.nn.regularizers import Regularizer
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class PositionalEncoding:
    """Sinusoidal positional encoding: `y = x + P`, `(batch, steps, features)` (Vaswani et al. 2017, section 3.5).

    `P[p, 2i] = sin(p · w⁻²ⁱᐟᶠ)` and `P[p, 2i + 1] = cos(p · w⁻²ⁱᐟᶠ)` with f features and w the `max_wavelength`.
    """

    type: Literal["positional_encoding"] = "positional_encoding"
    max_wavelength: Annotated[float, Gt(1)] = 10_000.0
    """The longest wavelength in steps, divided by 2π."""

    def plan(self, shape: Shape) -> Plan:
        """No weights, the same shape."""
        steps, features = _require_sequence(shape)
        return Plan(shape, flops=size(shape), activation_size=size(shape), scratch=steps * features)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x = ∂y`."""
        table = _sinusoids(x.shape[1], x.shape[2], self.max_wavelength, x.dtype.str)
        return np.add(x, table, out=ctx.empty(x.shape)), lambda d_y: d_y


@dataclass(frozen=True, kw_only=True, slots=True)
class PositionEmbedding(Trainable):
    """Learnt position embedding: `y = x + W`, `(batch, steps, features)` (Gehring et al. 2017)."""

    type: Literal["position_embedding"] = "position_embedding"
    sequence_length: Annotated[int, Ge(1), Le(MAX_AXIS_LENGTH)]
    """The number of positions that have a vector; a sequence may be shorter."""
    initializer: Initializer = field(default=GlorotUniform())
    """The initial values of W."""
    regularizer: Regularizer | None = None
    """A penalty on W."""
    constraint: Constraint | None = None
    """A constraint on W."""

    def plan(self, shape: Shape) -> Plan:
        """Vectors W `(sequence_length, features)`."""
        steps, features = _require_sequence(shape)
        if steps > self.sequence_length:
            raise ShapeMismatch(
                f"has vectors for {self.sequence_length} positions but gets {steps} steps: raise `sequence_length`"
            )
        weights = {
            "position": Weight((self.sequence_length, features), self.initializer, self.regularizer, self.constraint)
        }
        return Plan(shape, weights, flops=size(shape), activation_size=size(shape)).frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂W = Σ ∂y` over the batch, and 0 at positions beyond the sequence; `∂x = ∂y`."""
        steps = x.shape[1]

        def backward(d_y: Array) -> Array:
            d_position = views.gradients["position"]
            np.add.reduce(d_y, axis=0, out=d_position[:steps])
            d_position[steps:] = 0
            return d_y

        return np.add(x, views.weights["position"][:steps], out=ctx.empty(x.shape)), backward


def _require_sequence(shape: Shape) -> tuple[int, int]:
    if len(shape) != 2:
        raise ShapeMismatch(f"needs (steps, features) but gets {shape}: put an `embedding` or a `reshape` before it")
    return shape[0], shape[1]


@lru_cache(maxsize=8)
def _sinusoids(steps: int, features: int, max_wavelength: float, dtype: str) -> Array:
    """Return the table P, which is constant and therefore cached."""
    rates = max_wavelength ** (-(np.arange(features) // 2 * 2) / features)
    angles = np.multiply.outer(np.arange(steps), rates)
    table = np.empty((steps, features), dtype)
    table[:, 0::2], table[:, 1::2] = np.sin(angles[:, 0::2]), np.cos(angles[:, 1::2])
    table.flags.writeable = False
    return table


Positional: TypeAlias = PositionalEncoding | PositionEmbedding
