"""Regularizers: penalties on the weights that are added to the loss, against overfitting.

A regularizer computes its penalty and adds its gradient.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge

from core.nn.arrays import Array
from core.nn.tagged_union import Tagged

Strength: TypeAlias = Annotated[float, Ge(0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class L1:
    """The sum of absolute weights, which makes many of them zero (Tibshirani 1996)."""

    type: Literal["l1"] = "l1"
    l1: Strength = 0.01
    """The factor of the penalty."""

    def penalty(self, weight: Array) -> float:
        """`l1 · Σ|w|`."""
        return self.l1 * float(np.abs(weight).sum())

    def add_gradient(self, weight: Array, gradient: Array) -> None:
        """Add `l1 · sign(w)`; both arrays have the same shape."""
        signs = np.sign(weight)
        signs *= self.l1
        gradient += signs


@dataclass(frozen=True, kw_only=True, slots=True)
class L2:
    """The sum of squared weights, which keeps them small (Hoerl & Kennard 1970)."""

    type: Literal["l2"] = "l2"
    l2: Strength = 0.01
    """The factor of the penalty."""

    def penalty(self, weight: Array) -> float:
        """`l2 · Σw²`."""
        flat = weight.reshape(-1)
        return self.l2 * float(np.dot(flat, flat))

    def add_gradient(self, weight: Array, gradient: Array) -> None:
        """Add `2 · l2 · w`; both arrays have the same shape."""
        gradient += 2 * self.l2 * weight


@dataclass(frozen=True, kw_only=True, slots=True)
class L1L2:
    """The sum of both penalties, the elastic net (Zou & Hastie 2005)."""

    type: Literal["l1_l2"] = "l1_l2"
    l1: Strength = 0.01
    """The factor of the sum of absolute weights."""
    l2: Strength = 0.01
    """The factor of the sum of squared weights."""

    def penalty(self, weight: Array) -> float:
        """`l1 · Σ|w| + l2 · Σw²`."""
        return L1(l1=self.l1).penalty(weight) + L2(l2=self.l2).penalty(weight)

    def add_gradient(self, weight: Array, gradient: Array) -> None:
        """Add the gradients of both penalties; both arrays have the same shape."""
        L1(l1=self.l1).add_gradient(weight, gradient)
        L2(l2=self.l2).add_gradient(weight, gradient)


@dataclass(frozen=True, kw_only=True, slots=True)
class OrthogonalRegularizer:
    """The distance of the columns (or rows, if there are fewer) from orthonormal ones (Brock et al. 2017, eq. 3)."""

    type: Literal["orthogonal"] = "orthogonal"
    factor: Strength = 0.01
    """The factor of the penalty."""

    def penalty(self, weight: Array) -> float:
        """`factor · Σ (WᵀW − 1)²`; all axes but the last form the rows of W."""
        _, difference = self._difference(weight)
        return self.factor * float(np.vdot(difference, difference))

    def add_gradient(self, weight: Array, gradient: Array) -> None:
        """Add `4 · factor · W · (WᵀW − 1)`; both arrays have the same shape."""
        matrix, difference = self._difference(weight)
        left, right = (matrix, difference) if len(difference) == matrix.shape[1] else (difference, matrix)
        product = left @ right
        product *= 4 * self.factor
        gradient += product.reshape(weight.shape)

    def _difference(self, weight: Array) -> tuple[Array, Array]:
        """Return the weight as a matrix, and the smaller of WᵀW and WWᵀ minus the identity."""
        matrix = weight.reshape(-1, weight.shape[-1])
        left, right = (matrix.T, matrix) if len(matrix) >= matrix.shape[1] else (matrix, matrix.T)
        difference = left @ right
        np.einsum("ii->i", difference)[...] -= 1
        return matrix, difference


Regularizer: TypeAlias = Annotated[L1 | L2 | L1L2 | OrthogonalRegularizer, Tagged("Regularizer")]
