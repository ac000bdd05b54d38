"""Schedules: the learning rate at each step.

A schedule is a function of the step, counted from 0, and of the number of steps of the whole training.
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
    """A constant learning rate; a bare number is short for it."""

    type: Literal["constant"] = "constant"
    learning_rate: Rate
    """The learning rate."""

    def at(self, step: int, steps: int) -> float:
        """Return the learning rate at `step`."""
        return self.learning_rate


@dataclass(frozen=True, kw_only=True, slots=True)
class StepDecay:
    """Multiplies the rate by a factor at regular intervals."""

    type: Literal["step"] = "step"
    initial_learning_rate: Rate
    """The learning rate at the first step."""
    decay_steps: Annotated[int, Ge(1)]
    """The number of steps between two reductions."""
    decay_rate: Annotated[float, Gt(0), Le(1)] = 0.1
    """The factor of each reduction."""

    def at(self, step: int, steps: int) -> float:
        """Return the learning rate at `step`."""
        return float(self.initial_learning_rate * self.decay_rate ** (step // self.decay_steps))


@dataclass(frozen=True, kw_only=True, slots=True)
class ExponentialDecay:
    """Reduces the rate exponentially."""

    type: Literal["exponential"] = "exponential"
    initial_learning_rate: Rate
    """The learning rate at the first step."""
    decay_steps: Annotated[int, Ge(1)]
    """The number of steps in which the rate is reduced by `decay_rate`."""
    decay_rate: Annotated[float, Gt(0), Le(1)] = 0.1
    """The factor of each reduction."""

    def at(self, step: int, steps: int) -> float:
        """Return the learning rate at `step`."""
        return float(self.initial_learning_rate * self.decay_rate ** (step / self.decay_steps))


@dataclass(frozen=True, kw_only=True, slots=True)
class PolynomialDecay:
    """A polynomial from the initial rate to the final one, linear by default."""

    type: Literal["polynomial"] = "polynomial"
    initial_learning_rate: Rate
    """The learning rate at the first step."""
    decay_steps: Annotated[int, Ge(1)] | None = None
    """The number of steps until the final rate; null: until the end of the training."""
    end_learning_rate: Annotated[float, Ge(0)] = 0.0001
    """The final learning rate."""
    power: Annotated[float, Gt(0)] = 1.0
    """The exponent: 1 is linear, 2 quadratic."""

    def at(self, step: int, steps: int) -> float:
        """Return the learning rate at `step` of `steps`."""
        left = 1 - min(step / (self.decay_steps or max(steps, 1)), 1.0)
        return float((self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate)


@dataclass(frozen=True, kw_only=True, slots=True)
class InverseSquareRootDecay:
    """Constant, then proportional to `1 / √step` (Vaswani et al. 2017, eq. 3, with `warmup` for the increase)."""

    type: Literal["inverse_square_root"] = "inverse_square_root"
    initial_learning_rate: Rate
    """The learning rate at the first step."""
    decay_steps: Annotated[int, Ge(1)]
    """The number of steps before the decay starts; after four times as many the rate is half."""

    def at(self, step: int, steps: int) -> float:
        """Return the learning rate at `step`."""
        return self.initial_learning_rate * math.sqrt(self.decay_steps / max(step, self.decay_steps))


@dataclass(frozen=True, kw_only=True, slots=True)
class CosineDecay:
    """Half a cosine from the initial rate to a fraction of it (Loshchilov & Hutter 2017, eq. 5, one period)."""

    type: Literal["cosine"] = "cosine"
    initial_learning_rate: Rate
    """The learning rate at the first step."""
    decay_steps: Annotated[int, Ge(1)] | None = None
    """The number of steps until the lowest rate; null: until the end of the training."""
    alpha: Annotated[float, Ge(0), Le(1)] = 0.0
    """The lowest rate, as a fraction of the initial one."""

    def at(self, step: int, steps: int) -> float:
        """Return the learning rate at `step` of `steps`."""
        done = min(step / (self.decay_steps or max(steps, 1)), 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * done))
        return self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha)


@dataclass(frozen=True, kw_only=True, slots=True)
class CosineRestarts:
    """Repeated cosine decay, with a restart at the initial rate after each period (Loshchilov & Hutter 2017, eq. 5)."""

    type: Literal["cosine_restarts"] = "cosine_restarts"
    initial_learning_rate: Rate
    """The learning rate at the first step."""
    first_decay_steps: Annotated[int, Ge(1)]
    """The number of steps of the first period."""
    t_mul: Annotated[float, Ge(1)] = 2.0
    """The factor between the lengths of consecutive periods."""
    m_mul: Annotated[float, Gt(0), Le(1)] = 1.0
    """The factor between the initial rates of consecutive periods."""
    alpha: Annotated[float, Ge(0), Le(1)] = 0.0
    """The lowest rate, as a fraction of the initial one."""

    def at(self, step: int, steps: int) -> float:
        """Return the learning rate at `step`."""
        done = step / self.first_decay_steps
        if self.t_mul == 1:
            period = math.floor(done)
            done -= period
        else:
            period = math.floor(math.log(1 + done * (self.t_mul - 1), self.t_mul) + 1e-12)
            before = (self.t_mul**period - 1) / (self.t_mul - 1)
            done = max(done - before, 0.0) / self.t_mul**period
        cosine = 0.5 * self.m_mul**period * (1 + math.cos(math.pi * done))
        return float(self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha))


@dataclass(frozen=True, kw_only=True, slots=True)
class OneCycle:
    """One increase and one long decrease over the whole training, each half a cosine (Smith & Topin 2019)."""

    type: Literal["one_cycle"] = "one_cycle"
    max_lr: Rate
    """The highest learning rate."""
    pct_start: Annotated[float, Gt(0), Lt(1)] = 0.3
    """The fraction of the steps in which the rate increases."""
    div_factor: Annotated[float, Ge(1)] = 25.0
    """The highest rate divided by the first one."""
    final_div_factor: Annotated[float, Ge(1)] = 1e4
    """The first rate divided by the last one."""

    def at(self, step: int, steps: int) -> float:
        """Return the learning rate at `step` of `steps`."""
        first, top, last = self.max_lr / self.div_factor, self.pct_start * steps - 1, max(steps - 1, 1)
        if step <= top:
            return self._cosine(first, self.max_lr, step / top if top else 1.0)
        return self._cosine(self.max_lr, first / self.final_div_factor, min((step - top) / (last - top), 1.0))

    def _cosine(self, start: float, end: float, done: float) -> float:
        """Return half a cosine from `start` to `end` at the fraction `done`."""
        return end + (start - end) / 2 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True, kw_only=True, slots=True)
class Warmup:
    """A linear increase to the first rate of another schedule, which then starts (Goyal et al. 2017, section 2.2)."""

    type: Literal["warmup"] = "warmup"
    warmup_steps: Annotated[int, Ge(1)]
    """The number of steps of the increase."""
    schedule: Schedule
    """The schedule after the increase; it counts its steps from there."""

    def at(self, step: int, steps: int) -> float:
        """Return the learning rate at `step` of `steps`."""
        if step < self.warmup_steps:
            return self.schedule.at(0, steps) * (step + 1) / self.warmup_steps
        return self.schedule.at(step - self.warmup_steps, steps - self.warmup_steps)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence:
    """One schedule for a number of steps, then another, which may be a sequence too."""

    type: Literal["sequence"] = "sequence"
    first: Schedule
    """The first schedule, for a training of `first_steps`."""
    first_steps: Annotated[int, Ge(1)]
    """The number of steps of the first schedule."""
    schedule: Schedule
    """The second schedule; it counts its steps from the end of the first."""

    def at(self, step: int, steps: int) -> float:
        """Return the learning rate at `step` of `steps`."""
        if step < self.first_steps:
            return self.first.at(step, self.first_steps)
        return self.schedule.at(step - self.first_steps, steps - self.first_steps)


def _constant(rate: float) -> ConstantRate:
    """Return the schedule that a bare number stands for."""
    if rate <= 0:
        raise ValueError("a learning rate must be greater than 0")
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
    Tagged("Schedule", number=_constant),
]
