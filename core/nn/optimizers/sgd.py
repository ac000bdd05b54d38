"""Gradient descent, its forms with momentum, and optimizers that use only the sign of the gradient."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from core.nn.arrays import Array
from core.nn.optimizers.base import DirectOptimizer
from core.nn.optimizers.slots import Slots, blocks, descend
from core.nn.schedules import ConstantRate, Schedule
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class GradientDescent(DirectOptimizer):
    """Plain gradient descent, `w ← w − η · g` (Cauchy 1847)."""

    type: Literal["gradient_descent"] = "gradient_descent"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.01))

    def slots(self) -> dict[str, float]:
        """None."""
        return {}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`w ← w − η · g`."""
        descend(weights, gradient, rate, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class StochasticGradientDescent(DirectOptimizer):
    """Gradient descent with momentum (Polyak 1964) or Nesterov momentum (Sutskever et al. 2013, eq. 3–4)."""

    type: Literal["sgd"] = "sgd"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.01))
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0
    """The momentum μ: the decay rate of the velocity."""
    nesterov: bool = False
    """Whether to use Nesterov momentum."""
    dampening: Annotated[float, Ge(0), Le(1)] = 0.0
    """The fraction of each gradient, except the first, that is left out of the velocity."""

    def slots(self) -> dict[str, float]:
        """Velocity, if there is momentum."""
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
class Lion(DirectOptimizer):
    """Steps of equal size in the direction of the momentum's sign (Chen et al. 2023, alg. 2)."""

    type: Literal["lion"] = "lion"
    beta_1: Annotated[float, Ge(0), Lt(1)] = 0.9
    """The fraction β₁ of the momentum in a step; the rest is the gradient."""
    beta_2: Annotated[float, Ge(0), Lt(1)] = 0.99
    """The decay rate β₂ of the momentum."""

    def slots(self) -> dict[str, float]:
        """Momentum."""
        return {"mean": 0.0}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`w ← w − η · sign(β₁·m + (1 − β₁)·g)`, then `m ← β₂·m + (1 − β₂)·g`."""
        directions = ctx.empty(weights.shape)
        for scratch, w, g, mean, direction in blocks(ctx, weights, gradient, slots["mean"], directions):
            np.multiply(mean, self.beta_1, out=direction)
            np.multiply(g, 1 - self.beta_1, out=scratch)
            direction += scratch
            np.sign(direction, out=direction)
            direction *= rate
            w -= direction
            mean *= self.beta_2
            np.multiply(g, 1 - self.beta_2, out=scratch)
            mean += scratch


@dataclass(frozen=True, kw_only=True, slots=True)
class Rprop(DirectOptimizer):
    """A step size for each weight, which grows while its gradient keeps its sign (Riedmiller & Braun 1993).

    Where the sign has changed, the weight does not move for one step (Igel & Hüsken 2000, iRprop−). It is meant for
    full batches.
    """

    type: Literal["rprop"] = "rprop"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.01))
    eta_minus: Annotated[float, Gt(0), Lt(1)] = 0.5
    """The factor η⁻ of the step size where the sign has changed."""
    eta_plus: Annotated[float, Gt(1)] = 1.2
    """The factor η⁺ of the step size where the sign is the same."""
    min_factor: Annotated[float, Gt(0), Le(1)] = 1e-4
    """The smallest step size, as a multiple of the learning rate."""
    max_factor: Annotated[float, Ge(1)] = 5000.0
    """The largest step size, as a multiple of the learning rate."""

    def slots(self) -> dict[str, float]:
        """Last gradient, and each weight's step size as a multiple of the learning rate."""
        return {"last": 0.0, "factor": 1.0}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`f ← f · η⁺` or `f · η⁻` by the sign of `g · last`, then `w ← w − η · f · sign(g)`."""
        sign_changes = ctx.empty(weights.shape, np.bool_)
        vectors = (slots["last"], slots["factor"], sign_changes)
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
