"""Optimizers that step along the gradient, or along its signs."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from core.nn.arrays import Array
from core.nn.optimizers.base import BaseOptimizer
from core.nn.optimizers.slots import Slots, blocks, descend
from core.nn.schedules import ConstantRate, Schedule
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class GradientDescent(BaseOptimizer):
    """`w ← w − η · g`: the plain rule of the text (Cauchy 1847)."""

    type: Literal["gradient_descent"] = "gradient_descent"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.01))
    """The step's length η: a number or a schedule."""

    def slots(self) -> dict[str, float]:
        """Nothing is remembered."""
        return {}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """One step at `rate`; all vectors have the weights' length."""
        descend(weights, gradient, rate, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class StochasticGradientDescent(BaseOptimizer):
    """Gradient descent with momentum (Polyak 1964) or Nesterov's (Sutskever et al. 2013, eq. 3–4)."""

    type: Literal["sgd"] = "sgd"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.01))
    """The step's length η: a number or a schedule."""
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0
    """How much of the last step is taken again."""
    nesterov: bool = False
    """Look ahead along the momentum before stepping."""
    dampening: Annotated[float, Ge(0), Le(1)] = 0.0
    """How much of each gradient but the first is left out of the velocity."""

    def slots(self) -> dict[str, float]:
        """The velocity, where there is momentum."""
        return {"velocity": 0.0} if self.momentum else {}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`v ← μ·v − η·g`, `w ← w + v`; with Nesterov `w ← w + μ·v − η·g`."""
        if not self.momentum:
            descend(weights, gradient, rate, ctx)
            return
        if step:
            rate *= 1 - self.dampening
        for scratch, w, g, velocity in blocks(ctx, weights, gradient, slots["velocity"]):
            np.multiply(g, rate, out=scratch)
            velocity *= self.momentum
            velocity -= scratch
            if self.nesterov:
                w -= scratch
                np.multiply(velocity, self.momentum, out=scratch)
                w += scratch
            else:
                w += velocity


@dataclass(frozen=True, kw_only=True, slots=True)
class Lion(BaseOptimizer):
    """Steps of one length along the signs of a momentum (Chen et al. 2023, alg. 2)."""

    type: Literal["lion"] = "lion"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.001))
    """The step's length η: a number or a schedule."""
    beta_1: Annotated[float, Ge(0), Lt(1)] = 0.9
    """How much of the momentum stands beside the gradient in a step."""
    beta_2: Annotated[float, Ge(0), Lt(1)] = 0.99
    """How much of the momentum is kept at each step."""

    def slots(self) -> dict[str, float]:
        """The momentum."""
        return {"mean": 0.0}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`w ← w − η · sign(β₁·m + (1 − β₁)·g)`, then `m ← β₂·m + (1 − β₂)·g`."""
        spare = ctx.empty(weights.shape)
        for scratch, w, g, mean, along in blocks(ctx, weights, gradient, slots["mean"], spare):
            np.multiply(mean, self.beta_1, out=along)
            np.multiply(g, 1 - self.beta_1, out=scratch)
            along += scratch
            np.sign(along, out=along)
            along *= rate
            w -= along
            mean *= self.beta_2
            np.multiply(g, 1 - self.beta_2, out=scratch)
            mean += scratch


@dataclass(frozen=True, kw_only=True, slots=True)
class Rprop(BaseOptimizer):
    """A step for each weight that grows while its gradient keeps its sign: for full batches (Riedmiller & Braun 1993).

    Where the sign has changed, the weight stays for one step (Igel & Hüsken 2000, iRprop−).
    """

    type: Literal["rprop"] = "rprop"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.01))
    """The step's length η: a number or a schedule."""
    eta_minus: Annotated[float, Gt(0), Lt(1)] = 0.5
    """By what a step shrinks where the sign has changed."""
    eta_plus: Annotated[float, Gt(1)] = 1.2
    """By what a step grows where the sign has stayed."""
    min_factor: Annotated[float, Gt(0), Le(1)] = 1e-4
    """The shortest step, in learning rates."""
    max_factor: Annotated[float, Ge(1)] = 5000.0
    """The longest step, in learning rates."""

    def slots(self) -> dict[str, float]:
        """The last gradient, and each weight's step in learning rates."""
        return {"last": 0.0, "factor": 1.0}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`f ← f · η⁺` or `f · η⁻` by the sign of `g · last`, then `w ← w − η · f · sign(g)`."""
        spare = ctx.empty(weights.shape, np.bool_)
        vectors = (slots["last"], slots["factor"], spare)
        for scratch, w, g, last, factor, changed in blocks(ctx, weights, gradient, *vectors):
            np.multiply(np.sign(g, out=scratch), np.sign(last, out=last), out=last)
            np.multiply(factor, self.eta_plus, out=factor, where=np.greater(last, 0, out=changed))
            np.multiply(factor, self.eta_minus, out=factor, where=np.less(last, 0, out=changed))
            np.clip(factor, self.min_factor, self.max_factor, out=factor)
            np.copyto(last, g)
            np.copyto(last, 0, where=changed)
            np.copyto(scratch, 0, where=changed)
            scratch *= factor
            scratch *= rate
            w -= scratch


SgdOptimizers: TypeAlias = GradientDescent | StochasticGradientDescent | Lion | Rprop
