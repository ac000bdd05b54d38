"""What weights are held to: after each step of the optimizer they are brought back to where they may be.

It happens in place. Where `axis` is left out, a length is
taken over all axes but the last: over the incoming weights of one unit.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, MinLen

from core.nn.arrays import Array, Shape
from core.nn.tagged_union import Tagged

Number: TypeAlias = Annotated[int, Ge(0)]
Axis: TypeAlias = Number | Annotated[tuple[Number, ...], MinLen(1)]
"""Over which axes of a weight a length is taken, counted from 0."""

LEAST = 1e-7
"""What is shorter is not divided by its length, which may be 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MaxNorm:
    """Shortens the incoming weights of each unit to a largest length (Srivastava et al. 2014, section 5.1)."""

    type: Literal["max_norm"] = "max_norm"
    max_value: Annotated[float, Gt(0)] = 2.0
    """The largest length c."""
    axis: Axis | None = None
    """Over which axes of the weight, counted from 0; left out: all but the last."""

    def fits(self, shape: Shape) -> bool:
        """Whether a weight of this shape has these axes."""
        return _has(shape, self.axis)

    def apply(self, weight: Array) -> None:
        """`w ← w · c / max(|w|, c)`, in place."""
        lengths = _lengths(weight, self.axis)
        np.maximum(lengths, self.max_value, out=lengths)
        np.divide(self.max_value, lengths, out=lengths)
        weight *= lengths


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitNorm:
    """Gives the incoming weights of each unit the length 1 (Salimans & Kingma 2016, eq. 2, with g = 1)."""

    type: Literal["unit_norm"] = "unit_norm"
    axis: Axis | None = None
    """Over which axes of the weight, counted from 0; left out: all but the last."""

    def fits(self, shape: Shape) -> bool:
        """Whether a weight of this shape has these axes."""
        return _has(shape, self.axis)

    def apply(self, weight: Array) -> None:
        """`w ← w / |w|`, in place, where they are not all 0."""
        lengths = _lengths(weight, self.axis)
        np.maximum(lengths, LEAST, out=lengths)
        weight /= lengths


@dataclass(frozen=True, kw_only=True, slots=True)
class NonNegative:
    """Lets no weight be below 0 (Lee & Seung 1999)."""

    type: Literal["non_negative"] = "non_negative"

    def fits(self, shape: Shape) -> bool:
        """A weight of any shape."""
        return True

    def apply(self, weight: Array) -> None:
        """`w ← max(w, 0)`, in place."""
        np.maximum(weight, 0, out=weight)


def _has(shape: Shape, axis: Axis | None) -> bool:
    axes = _axes(shape, axis)
    return len(set(axes)) == len(axes) and all(one < len(shape) for one in axes)


def _axes(shape: Shape, axis: Axis | None) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(len(shape) - 1))
    return axis if isinstance(axis, tuple) else (axis,)


def _lengths(weight: Array, axis: Axis | None) -> Array:
    """`√ Σ w²` over these axes, which are left with the length 1."""
    lengths: Array = np.add.reduce(weight * weight, axis=_axes(weight.shape, axis), keepdims=True)
    return np.sqrt(lengths, out=lengths)


Constraint: TypeAlias = Annotated[MaxNorm | UnitNorm | NonNegative, Tagged()]
