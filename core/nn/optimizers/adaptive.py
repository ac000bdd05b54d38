"""Optimizers that scale each weight's step by how large its gradients have been."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Lt

from core.nn.arrays import Array
from core.nn.optimizers.base import BaseOptimizer
from core.nn.optimizers.slots import Slots, blocks
from core.nn.schedules import ConstantRate, Schedule
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Adagrad(BaseOptimizer):
    """Shorter steps where gradients have been large (Duchi et al. 2011)."""

    type: Literal["adagrad"] = "adagrad"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.001))
    """The step's length η: a number or a schedule."""
    initial_accumulator_value: Annotated[float, Ge(0)] = 0.1
    """Where the sums of squares begin."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """Keeps the division from zero."""

    def slots(self) -> dict[str, float]:
        """The sums of squared gradients."""
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
class Adadelta(BaseOptimizer):
    """Steps in the weights' own unit, by the size of the last ones (Zeiler 2012, alg. 1)."""

    type: Literal["adadelta"] = "adadelta"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.001))
    """The step's length η: a number or a schedule."""
    rho: Annotated[float, Ge(0), Lt(1)] = 0.95
    """How much of both mean squares is kept at each step."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """Keeps the division from zero."""

    def slots(self) -> dict[str, float]:
        """The mean squares of the gradients and of the steps."""
        return {"square": 0.0, "step_square": 0.0}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`s ← ρ·s + (1 − ρ)·g²`, `δ = g · √(u + ε) / √(s + ε)`, `u ← ρ·u + (1 − ρ)·δ²`, `w ← w − η · δ`."""
        spare = ctx.empty(weights.shape)
        vectors = (slots["square"], slots["step_square"], spare)
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
class RmsProp(BaseOptimizer):
    """Gradients divided by the root of their mean square (Tieleman & Hinton 2012; centred: Graves 2013, eq. 38–41)."""

    type: Literal["rmsprop"] = "rmsprop"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.001))
    """The step's length η: a number or a schedule."""
    rho: Annotated[float, Ge(0), Lt(1)] = 0.9
    """How much of the mean square is kept at each step."""
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0
    """How much of the last step is taken again."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """Keeps the division from zero."""
    centered: bool = False
    """Divide by the standard deviation instead: the square of the mean gradient is taken off."""

    def slots(self) -> dict[str, float]:
        """The mean square; the mean, where it is centred; the velocity, where there is momentum."""
        centre = {"mean": 0.0} if self.centered else {}
        return {"square": 0.0} | centre | ({"velocity": 0.0} if self.momentum else {})

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`s ← ρ·s + (1 − ρ)·g²`, `v ← μ·v + g / (√s + ε)`, `w ← w − η · v`; centred: `√(s − m²)` instead of `√s`."""
        mean, velocity = slots.get("mean", weights), slots.get("velocity", weights)
        vectors = (slots["square"], mean, velocity)
        for scratch, w, g, square, centre, v in blocks(ctx, weights, gradient, *vectors):
            _average_square(square, g, self.rho, scratch)
            if self.centered:
                np.multiply(g, 1 - self.rho, out=scratch)
                centre *= self.rho
                centre += scratch
                np.multiply(centre, centre, out=scratch)
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
    np.multiply(values, values, out=scratch)
    scratch *= 1 - rho
    square *= rho
    square += scratch


AdaptiveOptimizers: TypeAlias = Adagrad | Adadelta | RmsProp
