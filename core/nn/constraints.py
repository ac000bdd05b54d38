"""Constraints: projections of the weights after each step of the optimizer, in place.

Without `axis`, a norm is taken over all axes but the last: over the incoming weights of each unit.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Len

from core.nn.arrays import Array, Shape
from core.nn.tagged_union import Tagged

Number: TypeAlias = Annotated[int, Ge(0)]
Axis: TypeAlias = Number | Annotated[tuple[Number, ...], Len(1, 8)]
"""The axes of a weight over which the norm is taken, counted from 0."""

MIN_NORM = 1e-7
"""The smallest norm that `unit_norm` divides by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MaxNorm:
    """Limits the norm of the incoming weights of each unit (Srivastava et al. 2014, section 5.1)."""

    type: Literal["max_norm"] = "max_norm"
    max_value: Annotated[float, Gt(0)] = 2.0
    """The largest norm c."""
    axis: Axis | None = None
    """The axes of the weight over which the norm is taken, counted from 0; null: all but the last."""

    def fits(self, shape: Shape) -> bool:
        """Return whether a weight of this shape has these axes."""
        return _has(shape, self.axis)

    def apply(self, weight: Array) -> None:
        """`w ← w · c / max(|w|, c)`, in place."""
        norms = _norms(weight, self.axis)
        np.maximum(norms, self.max_value, out=norms)
        np.divide(self.max_value, norms, out=norms)
        weight *= norms


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitNorm:
    """Scales the incoming weights of each unit to norm 1 (Salimans & Kingma 2016, eq. 2, with g = 1)."""

    type: Literal["unit_norm"] = "unit_norm"
    axis: Axis | None = None
    """The axes of the weight over which the norm is taken, counted from 0; null: all but the last."""

    def fits(self, shape: Shape) -> bool:
        """Return whether a weight of this shape has these axes."""
        return _has(shape, self.axis)

    def apply(self, weight: Array) -> None:
        """`w ← w / max(|w|, 1e-7)`, in place."""
        norms = _norms(weight, self.axis)
        np.maximum(norms, MIN_NORM, out=norms)
        weight /= norms


@dataclass(frozen=True, kw_only=True, slots=True)
class NonNegative:
    """Sets negative weights to 0 (Lee & Seung 1999)."""

    type: Literal["non_negative"] = "non_negative"

    def fits(self, shape: Shape) -> bool:
        """Return True: it fits any shape."""
        return True

    def apply(self, weight: Array) -> None:
        """`w ← max(w, 0)`, in place."""
        np.maximum(weight, 0, out=weight)


def _has(shape: Shape, axis: Axis | None) -> bool:
    """Return whether the axes are distinct and exist."""
    axes = _axes(shape, axis)
    return len(set(axes)) == len(axes) and all(one < len(shape) for one in axes)


def _axes(shape: Shape, axis: Axis | None) -> tuple[int, ...]:
    """Return the axes of the norm."""
    if axis is None:
        return tuple(range(len(shape) - 1))
    return axis if isinstance(axis, tuple) else (axis,)


def _norms(weight: Array, axis: Axis | None) -> Array:
    """Return `√ Σ w²` over the axes, which are kept with length 1."""
    norms: Array = np.add.reduce(weight * weight, axis=_axes(weight.shape, axis), keepdims=True)
    return np.sqrt(norms, out=norms)


Constraint: TypeAlias = Annotated[MaxNorm | UnitNorm | NonNegative, Tagged("Constraint")]
