"""Optimizers that divide each weight's step by the size of its past gradients."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Lt

from core.nn.arrays import Array
from core.nn.optimizers.base import DirectOptimizer
from core.nn.optimizers.slots import Slots, blocks
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Adagrad(DirectOptimizer):
    """The gradient, divided by the root of the sum of all squared gradients (Duchi et al. 2011)."""

    type: Literal["adagrad"] = "adagrad"
    initial_accumulator_value: Annotated[float, Ge(0)] = 0.1
    """The initial value of the sums of squares."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """A small number that prevents a division by zero."""

    def slots(self) -> dict[str, float]:
        """Total of the squared gradients."""
        return {"squares": self.initial_accumulator_value}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`s ← s + g²`, `w ← w − η · g / √(s + ε)`."""
        for scratch, w, g, squares in blocks(ctx, weights, gradient, slots["squares"]):
            np.multiply(g, g, out=scratch)
            squares += scratch
            np.add(squares, self.epsilon, out=scratch)
            np.sqrt(scratch, out=scratch)
            np.divide(g, scratch, out=scratch)
            scratch *= rate
            w -= scratch


@dataclass(frozen=True, kw_only=True, slots=True)
class Adadelta(DirectOptimizer):
    """Steps in the unit of the weights, scaled by the size of the previous steps (Zeiler 2012, alg. 1)."""

    type: Literal["adadelta"] = "adadelta"
    rho: Annotated[float, Ge(0), Lt(1)] = 0.95
    """The decay rate ρ of both mean squares."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """A small number that prevents a division by zero."""

    def slots(self) -> dict[str, float]:
        """Mean squares of the gradients and of the steps."""
        return {"square": 0.0, "step_square": 0.0}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`s ← ρ·s + (1 − ρ)·g²`, `δ = g · √(u + ε) / √(s + ε)`, `u ← ρ·u + (1 − ρ)·δ²`, `w ← w − η · δ`."""
        deltas = ctx.empty(weights.shape)
        vectors = (slots["square"], slots["step_square"], deltas)
        for scratch, w, g, square, step_square, delta in blocks(ctx, weights, gradient, *vectors):
            _average_square(square, g, self.rho, scratch)
            np.add(step_square, self.epsilon, out=delta)
            np.add(square, self.epsilon, out=scratch)
            delta /= scratch
            np.sqrt(delta, out=delta)
            delta *= g
            _average_square(step_square, delta, self.rho, scratch)
            delta *= rate
            w -= delta


@dataclass(frozen=True, kw_only=True, slots=True)
class RmsProp(DirectOptimizer):
    """The gradient, divided by the root of its mean square (Tieleman & Hinton 2012).

    The centered form divides by the standard deviation (Graves 2013, eq. 38–41).
    """

    type: Literal["rmsprop"] = "rmsprop"
    rho: Annotated[float, Ge(0), Lt(1)] = 0.9
    """The decay rate ρ of the mean square."""
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0
    """The momentum μ: the decay rate of the velocity."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """A small number that prevents a division by zero."""
    centered: bool = False
    """Whether to divide by the standard deviation: the squared mean gradient is subtracted from the mean square."""

    def slots(self) -> dict[str, float]:
        """Mean square; mean, if centered; velocity, if there is momentum."""
        mean = {"mean": 0.0} if self.centered else {}
        return {"square": 0.0} | mean | ({"velocity": 0.0} if self.momentum else {})

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`s ← ρ·s + (1 − ρ)·g²`, `v ← μ·v + g / (√s + ε)`, `w ← w − η · v`.

        If centered, `√(s − m²)` instead of `√s`.
        """
        means, velocities = slots.get("mean", weights), slots.get("velocity", weights)
        vectors = (slots["square"], means, velocities)
        for scratch, w, g, square, mean, v in blocks(ctx, weights, gradient, *vectors):
            _average_square(square, g, self.rho, scratch)
            if self.centered:
                np.multiply(g, 1 - self.rho, out=scratch)
                mean *= self.rho
                mean += scratch
                np.multiply(mean, mean, out=scratch)
                np.subtract(square, scratch, out=scratch)
                np.maximum(scratch, 0, out=scratch)
                np.sqrt(scratch, out=scratch)
            else:
                np.sqrt(square, out=scratch)
            scratch += self.epsilon
            np.divide(g, scratch, out=scratch)
            if self.momentum:
                v *= self.momentum
                v += scratch
                np.copyto(scratch, v)
            scratch *= rate
            w -= scratch


def _average_square(square: Array, values: Array, rho: float, scratch: Array) -> None:
    """`s ← ρ·s + (1 − ρ)·x²`."""
    np.multiply(values, values, out=scratch)
    scratch *= 1 - rho
    square *= rho
    square += scratch


AdaptiveOptimizers: TypeAlias = Adagrad | Adadelta | RmsProp
