"""Optimizers that wrap another one, and change its gradient before the step or the weights after it.

The union of all optimizers is here, since a wrapper may contain almost any of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen

from core.nn.arrays import Array
from core.nn.optimizers.adam import AdamOptimizers
from core.nn.optimizers.adaptive import AdaptiveOptimizers
from core.nn.optimizers.base import BaseOptimizer, Place
from core.nn.optimizers.lbfgs import Lbfgs
from core.nn.optimizers.matrix import MatrixOptimizers
from core.nn.optimizers.sgd import SgdOptimizers
from core.nn.optimizers.slots import Slot, Slots, SlotSpecs, blocks, decay, each_weight
from core.nn.schedules import Schedule
from core.nn.step.context import PassContext
from core.nn.tagged_union import Tagged

MAX_PATTERNS = 100
"""Patterns of weight paths in one optimizer; each is compared with every weight."""

Pattern: TypeAlias = Annotated[str, MaxLen(200)]
"""A pattern of weight paths, in which `*` matches anything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wrapper(BaseOptimizer):
    """An optimizer that wraps an inner one, and has its facts and state unless a member says otherwise."""

    optimizer: OnePassOptimizer
    """The optimizer that takes the steps."""

    @property
    def learning_rate(self) -> Schedule:
        """Learning rate of the inner optimizer."""
        return self.optimizer.learning_rate

    @property
    def full_batch(self) -> bool:
        """As the inner optimizer."""
        return self.optimizer.full_batch

    @property
    def passes(self) -> int:
        """As many as the inner optimizer."""
        return self.optimizer.passes

    def patterns(self) -> Iterator[tuple[Place, str]]:
        """Return the inner optimizer's patterns, with their places in the wrapper."""
        return ((("optimizer", *place), pattern) for place, pattern in self.optimizer.patterns())

    def slots(self) -> SlotSpecs:
        """State of the inner optimizer."""
        return self.optimizer.slots()


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipByNorm(Wrapper):
    """Limits the norm of the whole gradient (Pascanu et al. 2013, alg. 1)."""

    type: Literal["clip_by_norm"] = "clip_by_norm"
    max_norm: Annotated[float, Gt(0)]
    """The largest norm."""

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`g ← g · min(1, max_norm / |g|)`, then the inner step."""
        norm = math.sqrt(np.dot(gradient, gradient))
        if norm > self.max_norm:
            gradient *= self.max_norm / norm
        self.optimizer.update(weights, gradient, slots, step, rate, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipByWeightNorm(Wrapper):
    """Limits the norm of the gradient of each weight array separately."""

    type: Literal["clip_by_weight_norm"] = "clip_by_weight_norm"
    max_norm: Annotated[float, Gt(0)]
    """The largest norm of the gradient of one weight array."""

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`g ← g · min(1, max_norm / |g|)` for each weight, then the inner step."""
        for (g,) in each_weight(ctx, gradient):
            norm = float(np.linalg.norm(g))
            if norm > self.max_norm:
                g *= self.max_norm / norm
        self.optimizer.update(weights, gradient, slots, step, rate, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipByValue(Wrapper):
    """Clips every element of the gradient (Mikolov 2012)."""

    type: Literal["clip_by_value"] = "clip_by_value"
    clip_value: Annotated[float, Gt(0)]
    """The bound c: elements are clipped to `[−c, c]`."""

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`g ← min(max(g, −c), c)`, then the inner step."""
        np.clip(gradient, -self.clip_value, self.clip_value, out=gradient)
        self.optimizer.update(weights, gradient, slots, step, rate, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class GradientNoise(Wrapper):
    """Adds normal noise with decreasing variance to the gradient (Neelakantan et al. 2015)."""

    type: Literal["gradient_noise"] = "gradient_noise"
    eta: Annotated[float, Gt(0)] = 0.01
    """The variance η of the noise at the first step."""
    gamma: Annotated[float, Ge(0)] = 0.55
    """The decay exponent γ: the variance is `η / (1 + t)^γ` at step t, counted from 0."""

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`g ← g + N(0, η / (1 + t)^γ)`, then the inner step; without a random generator only the inner step."""
        if ctx.rng is not None:
            noise = ctx.rng.standard_normal(out=ctx.empty(gradient.shape), dtype=gradient.dtype.type)
            noise *= math.sqrt(self.eta / (1 + step) ** self.gamma)
            gradient += noise
        self.optimizer.update(weights, gradient, slots, step, rate, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightDecay(Wrapper):
    """Multiplies the weights by a factor below 1 before the step (Loshchilov & Hutter 2019, eq. 1)."""

    type: Literal["weight_decay"] = "weight_decay"
    weight_decay: Annotated[float, Ge(0)]
    """The weight decay λ: each step subtracts `η · λ · w`."""
    weights: Annotated[tuple[Pattern, ...], Len(1, MAX_PATTERNS)] | None = None
    """Patterns of the paths of the weights that decay, such as `*/kernel` or `layers/0/*`; null: all weights."""

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`w ← w − η · λ · w`, then the inner step."""
        if self.weights is None:
            decay(weights, rate * self.weight_decay)
        else:
            values = pattern_values(tuple((pattern, 1.0) for pattern in self.weights), ctx.names, 0.0)
            for (w,), selected in zip(each_weight(ctx, weights), values, strict=True):
                decay(w, rate * self.weight_decay * selected)
        self.optimizer.update(weights, gradient, slots, step, rate, ctx)

    def patterns(self) -> Iterator[tuple[Place, str]]:
        """Return the patterns of `weights`, then those of the inner optimizer, with their places."""
        yield from ((("weights", position), pattern) for position, pattern in enumerate(self.weights or ()))
        yield from Wrapper.patterns(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class LearningRateMultipliers(Wrapper):
    """Multiplies the learning rate of some weights, so that layers have rates of their own.

    With lower rates for lower layers this is discriminative fine-tuning (Howard & Ruder 2018, section 3.2).
    """

    type: Literal["learning_rate_multipliers"] = "learning_rate_multipliers"
    multipliers: Annotated[Mapping[Pattern, Annotated[float, Ge(0)]], Len(1, MAX_PATTERNS)]
    """The multiplier for each pattern of weight paths, such as `layers/0/*`. The first match counts; without one, 1."""

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`w ← w + m · Δw`, with the inner step Δw and the multiplier m."""
        before = ctx.empty(weights.shape)
        np.copyto(before, weights)
        self.optimizer.update(weights, gradient, slots, step, rate, ctx)
        values = pattern_values(tuple(self.multipliers.items()), ctx.names, 1.0)
        for (w, b), multiplier in zip(each_weight(ctx, weights, before), values, strict=True):
            if multiplier != 1:
                np.subtract(w, b, out=w)
                np.multiply(w, multiplier, out=w)
                np.add(w, b, out=w)

    def patterns(self) -> Iterator[tuple[Place, str]]:
        """Return the patterns of `multipliers`, then those of the inner optimizer, with their places."""
        yield from ((("multipliers", pattern), pattern) for pattern in self.multipliers)
        yield from Wrapper.patterns(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class GradientAccumulation(Wrapper):
    """One inner step for several batches, with the mean of their gradients, as for one large batch."""

    type: Literal["gradient_accumulation"] = "gradient_accumulation"
    steps: Annotated[int, Ge(1)]
    """The number of batches for each step of the inner optimizer."""
    optimizer: OnePassOptimizer
    """The optimizer that takes the steps, at the learning rate of the last of these batches."""

    def slots(self) -> SlotSpecs:
        """Sum of the gradients so far, and the state of the inner optimizer."""
        return _wrapped_slots({"sum": 0.0}, self.optimizer)

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`s ← s + g`; at every `steps`-th batch the inner step with `s / steps`, then `s ← 0`."""
        total = slots["sum"]
        total += gradient
        if (step + 1) % self.steps:
            return
        np.divide(total, self.steps, out=gradient)
        total.fill(0)
        self.optimizer.update(weights, gradient, _inner_slots(slots), step // self.steps, rate, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExponentialMovingAverage(Wrapper):
    """An exponential moving average of the weights, which replaces them periodically (Polyak & Juditsky 1992)."""

    type: Literal["exponential_moving_average"] = "exponential_moving_average"
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.99
    """The decay rate μ of the average."""
    overwrite_frequency: Annotated[int, Ge(1)]
    """The number of steps after which the average replaces the weights, repeatedly."""

    def slots(self) -> SlotSpecs:
        """Average, and the state of the inner optimizer."""
        return _wrapped_slots({"average": 0.0}, self.optimizer)

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """Take the inner step, then `a ← μ·a + (1 − μ)·w`; the average starts at the first weights."""
        average = slots["average"]
        pieces = blocks(ctx, weights, average)
        if step == 0:
            np.copyto(average, weights)
        self.optimizer.update(weights, gradient, _inner_slots(slots), step, rate, ctx)
        for scratch, w, a in pieces:
            np.multiply(w, 1 - self.momentum, out=scratch)
            a *= self.momentum
            a += scratch
        if (step + 1) % self.overwrite_frequency == 0:
            np.copyto(weights, average)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lookahead(Wrapper):
    """Several fast steps, then one slow step in their direction (Zhang et al. 2019, alg. 1)."""

    type: Literal["lookahead"] = "lookahead"
    sync_period: Annotated[int, Ge(1)] = 5
    """The number of fast steps for each slow step."""
    slow_step_size: Annotated[float, Gt(0), Le(1)] = 0.5
    """The size α of the slow step, as a fraction of the fast steps."""
    optimizer: OnePassOptimizer
    """The optimizer that takes the fast steps."""

    def slots(self) -> SlotSpecs:
        """Slow weights, and the state of the inner optimizer."""
        return _wrapped_slots({"slow": 0.0}, self.optimizer)

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """Take the inner step; at every `sync_period`-th step `s ← s + α · (w − s)` and `w ← s`."""
        slow = slots["slow"]
        pieces = blocks(ctx, weights, slow)
        if step == 0:
            np.copyto(slow, weights)
        self.optimizer.update(weights, gradient, _inner_slots(slots), step, rate, ctx)
        if (step + 1) % self.sync_period:
            return
        for scratch, w, s in pieces:
            np.subtract(w, s, out=scratch)
            scratch *= self.slow_step_size
            s += scratch
            np.copyto(w, s)


@dataclass(frozen=True, kw_only=True, slots=True)
class SharpnessAware(Wrapper):
    """Uses the gradient at the worst point nearby, which favors flat minima (Foret et al. 2021, alg. 1).

    Each step makes a second forward and backward pass on the same batch, with the same random numbers. It cannot be
    wrapped.
    """

    type: Literal["sharpness_aware"] = "sharpness_aware"
    rho: Annotated[float, Gt(0)] = 0.05
    """The distance ρ of that point, in the direction of the gradient."""

    @property
    def passes(self) -> int:
        """One more than the inner optimizer."""
        return 1 + self.optimizer.passes

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`g ← ∂L(w + ρ · g / |g|)`, then the inner step from w; a gradient of 0 stays."""
        start = ctx.empty(weights.shape)
        np.copyto(start, weights)
        norm = math.sqrt(np.dot(gradient, gradient))
        gradient *= self.rho / (norm or 1.0)
        weights += gradient
        try:
            ctx.reevaluate()
        finally:
            np.copyto(weights, start)
        self.optimizer.update(weights, gradient, slots, step, rate, ctx)


@lru_cache(maxsize=256)
def pattern_values(
    patterns: tuple[tuple[str, float], ...], names: tuple[str, ...], default: float
) -> tuple[float, ...]:
    """Return for each name the value of the first pattern that matches it, in which `*` matches anything."""
    return tuple(next((value for pattern, value in patterns if fnmatchcase(name, pattern)), default) for name in names)


INNER_PREFIX = "inner."


def _wrapped_slots(own: dict[str, float | Slot], optimizer: OnePassOptimizer) -> SlotSpecs:
    """Return the wrapper's own slots and those of the inner optimizer, with a prefix: wrappers may be nested."""
    return own | {INNER_PREFIX + name: spec for name, spec in optimizer.slots().items()}


def _inner_slots(slots: Slots) -> Slots:
    """Return the state vectors of the inner optimizer, under its own names."""
    return {name.removeprefix(INNER_PREFIX): slot for name, slot in slots.items() if name.startswith(INNER_PREFIX)}


OnePassWrappers: TypeAlias = (
    ClipByNorm
    | ClipByWeightNorm
    | ClipByValue
    | GradientNoise
    | WeightDecay
    | LearningRateMultipliers
    | GradientAccumulation
    | ExponentialMovingAverage
    | Lookahead
)
OnePassOptimizer: TypeAlias = Annotated[
    SgdOptimizers | AdaptiveOptimizers | AdamOptimizers | MatrixOptimizers | OnePassWrappers,
    Tagged("OnePassOptimizer"),
]
"""The optimizers that can be wrapped: those that use only the gradient that they get."""

Optimizer: TypeAlias = Annotated[
    SgdOptimizers | AdaptiveOptimizers | AdamOptimizers | MatrixOptimizers | OnePassWrappers | SharpnessAware | Lbfgs,
    Tagged("Optimizer"),
]
