"""How the learning rate changes from step to step.

A schedule is a function of the step, counted from 0, and of the steps that the whole training will take.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from annotated_types import Ge, Gt, Le, Lt

from core.nn.tagged_union import Tagged

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
class ExponentialDecay:
    """The rate falls by the same factor in every so many steps, evenly."""

    type: Literal["exponential"] = "exponential"
    initial_learning_rate: Rate
    """The rate at the first step."""
    decay_steps: Annotated[int, Ge(1)]
    """In how many steps it falls by the factor."""
    decay_rate: Annotated[float, Gt(0), Le(1)] = 0.1
    """The factor."""

    def at(self, step: int, steps: int) -> float:
        """The rate at `step`."""
        return float(self.initial_learning_rate * self.decay_rate ** (step / self.decay_steps))


@dataclass(frozen=True, kw_only=True, slots=True)
class PolynomialDecay:
    """A straight line, or another power, from the initial rate to the last."""

    type: Literal["polynomial"] = "polynomial"
    initial_learning_rate: Rate
    """The rate at the first step."""
    decay_steps: Annotated[int, Ge(1)] | None = None
    """After how many steps the last rate is reached; left out: at the end of the training."""
    end_learning_rate: Annotated[float, Ge(0)] = 0.0001
    """The last rate."""
    power: Annotated[float, Gt(0)] = 1.0
    """1 for a straight line, 2 for a parabola."""

    def at(self, step: int, steps: int) -> float:
        """The rate at `step` of `steps`."""
        left = 1 - min(step / (self.decay_steps or max(steps, 1)), 1.0)
        return float((self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate)


@dataclass(frozen=True, kw_only=True, slots=True)
class InverseSquareRootDecay:
    """The rate stays, then falls with the root of the steps (Vaswani et al. 2017, eq. 3, whose climb is `warmup`)."""

    type: Literal["inverse_square_root"] = "inverse_square_root"
    initial_learning_rate: Rate
    """The rate at the first step."""
    decay_steps: Annotated[int, Ge(1)]
    """After how many steps it begins to fall; at four times as many it is half."""

    def at(self, step: int, steps: int) -> float:
        """The rate at `step`."""
        return self.initial_learning_rate * math.sqrt(self.decay_steps / max(step, self.decay_steps))


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
class CosineRestarts:
    """Half cosines, one after the other, each from the initial rate downwards (Loshchilov & Hutter 2017, eq. 5)."""

    type: Literal["cosine_restarts"] = "cosine_restarts"
    initial_learning_rate: Rate
    """The rate at the first step."""
    first_decay_steps: Annotated[int, Ge(1)]
    """How many steps the first takes."""
    t_mul: Annotated[float, Ge(1)] = 2.0
    """By how much each is longer than the one before."""
    m_mul: Annotated[float, Gt(0), Le(1)] = 1.0
    """By which factor each begins lower than the one before."""
    alpha: Annotated[float, Ge(0), Le(1)] = 0.0
    """The lowest rate, as a share of the initial one."""

    def at(self, step: int, steps: int) -> float:
        """The rate at `step`."""
        done = step / self.first_decay_steps
        if self.t_mul == 1:
            turn = math.floor(done)
            done -= turn
        else:
            turn = math.floor(math.log(1 + done * (self.t_mul - 1), self.t_mul) + 1e-12)
            before = (self.t_mul**turn - 1) / (self.t_mul - 1)
            done = max(done - before, 0.0) / self.t_mul**turn
        cosine = 0.5 * self.m_mul**turn * (1 + math.cos(math.pi * done))
        return float(self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha))


@dataclass(frozen=True, kw_only=True, slots=True)
class OneCycle:
    """One climb and one long descent, both half a cosine, over the whole training (Smith & Topin 2019)."""

    type: Literal["one_cycle"] = "one_cycle"
    max_lr: Rate
    """The highest rate."""
    pct_start: Annotated[float, Gt(0), Lt(1)] = 0.3
    """The share of the steps that the climb takes."""
    div_factor: Annotated[float, Ge(1)] = 25.0
    """What share of the highest rate the first is: one in so many."""
    final_div_factor: Annotated[float, Ge(1)] = 1e4
    """What share of the first rate the last is: one in so many."""

    def at(self, step: int, steps: int) -> float:
        """The rate at `step` of `steps`."""
        first, top, last = self.max_lr / self.div_factor, self.pct_start * steps - 1, max(steps - 1, 1)
        if step <= top:
            return self._between(first, self.max_lr, step / top if top else 1.0)
        return self._between(self.max_lr, first / self.final_div_factor, min((step - top) / (last - top), 1.0))

    def _between(self, start: float, end: float, done: float) -> float:
        return end + (start - end) / 2 * (1 + math.cos(math.pi * done))


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence:
    """One schedule for some steps, then another, which may be a sequence in its turn."""

    type: Literal["sequence"] = "sequence"
    first: Schedule
    """What begins; it is told that the training takes `first_steps`."""
    first_steps: Annotated[int, Ge(1)]
    """How many steps the first takes."""
    schedule: Schedule
    """What follows; it counts its steps from the end of the first."""

    def at(self, step: int, steps: int) -> float:
        """The rate at `step` of `steps`."""
        if step < self.first_steps:
            return self.first.at(step, self.first_steps)
        return self.schedule.at(step - self.first_steps, steps - self.first_steps)


def _constant(rate: float) -> ConstantRate:
    if rate <= 0:
        raise ValueError("a learning rate is greater than 0")
    return ConstantRate(learning_rate=rate)


Schedule: TypeAlias = Annotated[
    ConstantRate
    | StepDecay
    | ExponentialDecay
    | PolynomialDecay
    | InverseSquareRootDecay
    | CosineDecay
    | CosineRestarts
    | OneCycle
    | Warmup
    | Sequence,
    Tagged(number=_constant),
]
