"""How the learning rate changes from step to step.

A schedule is a function of the step, counted from 0, and of the steps that the whole training will take.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from annotated_types import Ge, Gt, Le

from core.nn.kinds import Tagged

Rate: TypeAlias = Annotated[float, Gt(0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConstantRate:
    """The same rate at every step; a bare number is short for it."""

    type: Literal["constant"] = "constant"
    learning_rate: Rate
    """The rate."""

    def at(self, step: int, steps: int) -> float:
        """The rate at `step`."""
        return self.learning_rate


@dataclass(frozen=True, kw_only=True, slots=True)
class StepDecay:
    """The rate is multiplied by a factor every so many steps."""

    type: Literal["step"] = "step"
    initial_learning_rate: Rate
    """The rate at the first step."""
    decay_steps: Annotated[int, Ge(1)]
    """After how many steps the rate falls, again and again."""
    decay_rate: Annotated[float, Gt(0), Le(1)] = 0.1
    """The factor."""

    def at(self, step: int, steps: int) -> float:
        """The rate at `step`."""
        return float(self.initial_learning_rate * self.decay_rate ** (step // self.decay_steps))


@dataclass(frozen=True, kw_only=True, slots=True)
class CosineDecay:
    """Half a cosine from the initial rate down to a share of it (Loshchilov & Hutter 2017, eq. 5, one period)."""

    type: Literal["cosine"] = "cosine"
    initial_learning_rate: Rate
    """The rate at the first step."""
    decay_steps: Annotated[int, Ge(1)] | None = None
    """After how many steps the lowest rate is reached; left out: at the end of the training."""
    alpha: Annotated[float, Ge(0), Le(1)] = 0.0
    """The lowest rate, as a share of the initial one."""

    def at(self, step: int, steps: int) -> float:
        """The rate at `step` of `steps`."""
        done = min(step / (self.decay_steps or max(steps, 1)), 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * done))
        return self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha)


@dataclass(frozen=True, kw_only=True, slots=True)
class Warmup:
    """A straight climb to the rate of another schedule, which then begins (Goyal et al. 2017, section 2.2)."""

    type: Literal["warmup"] = "warmup"
    warmup_steps: Annotated[int, Ge(1)]
    """How many steps the climb takes."""
    schedule: Schedule
    """What follows; it counts its steps from the end of the climb."""

    def at(self, step: int, steps: int) -> float:
        """The rate at `step` of `steps`."""
        if step < self.warmup_steps:
            return self.schedule.at(0, steps) * (step + 1) / self.warmup_steps
        return self.schedule.at(step - self.warmup_steps, steps - self.warmup_steps)


def _constant(rate: float) -> ConstantRate:
    if rate <= 0:
        raise ValueError("a learning rate is greater than 0")
    return ConstantRate(learning_rate=rate)


Schedule: TypeAlias = Annotated[ConstantRate | StepDecay | CosineDecay | Warmup, Tagged(number=_constant)]
