"""Optimizers around another one: what happens to the gradient before its step, or to the weights after it.

The union of all optimizers stands here, since a wrapper may hold any of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Le, Lt, MinLen

from core.nn.arrays import Array
from core.nn.optimizers.adam import AdamOptimizers
from core.nn.optimizers.adaptive import AdaptiveOptimizers
from core.nn.optimizers.base import BaseOptimizer, Place
from core.nn.optimizers.lbfgs import Lbfgs
from core.nn.optimizers.matrix import MatrixOptimizers
from core.nn.optimizers.sgd import SgdOptimizers
from core.nn.optimizers.slots import Slot, Slots, Starts, blocks, decay, each_weight
from core.nn.schedules import Schedule
from core.nn.step.context import PassContext
from core.nn.tagged_union import Tagged


@dataclass(frozen=True, kw_only=True, slots=True)
class Wrapper(BaseOptimizer):
    """What every wrapper has: the inner optimizer, whose facts are its own unless it says otherwise."""

    optimizer: OnePassOptimizer
    """The optimizer that takes the steps."""

    @property
    def learning_rate(self) -> Schedule:
        """The inner optimizer's."""
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

    def slots(self) -> Starts:
        """The inner optimizer's."""
        return self.optimizer.slots()


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipByNorm(Wrapper):
    """Shortens the whole gradient to a largest length before another optimizer steps (Pascanu et al. 2013, alg. 1)."""

    type: Literal["clip_by_norm"] = "clip_by_norm"
    max_norm: Annotated[float, Gt(0)]
    """The largest length."""

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`g ← g · min(1, max_norm / |g|)`, then the inner step."""
        norm = math.sqrt(np.dot(gradient, gradient))
        if norm > self.max_norm:
            gradient *= self.max_norm / norm
        self.optimizer.update(weights, gradient, slots, step, rate, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipByWeightNorm(Wrapper):
    """Shortens the gradient of each weight of the network by itself, before another optimizer steps."""

    type: Literal["clip_by_weight_norm"] = "clip_by_weight_norm"
    max_norm: Annotated[float, Gt(0)]
    """The largest length of one weight's gradient."""

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`g ← g · min(1, max_norm / |g|)` for each weight, then the inner step."""
        for (g,) in each_weight(ctx, gradient):
            norm = float(np.linalg.norm(g))
            if norm > self.max_norm:
                g *= self.max_norm / norm
        self.optimizer.update(weights, gradient, slots, step, rate, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipByValue(Wrapper):
    """Brings every number of the gradient between two bounds before another optimizer steps (Mikolov 2012)."""

    type: Literal["clip_by_value"] = "clip_by_value"
    clip_value: Annotated[float, Gt(0)]
    """The bounds are this and its negative."""

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`g ← min(max(g, −c), c)`, then the inner step."""
        np.clip(gradient, -self.clip_value, self.clip_value, out=gradient)
        self.optimizer.update(weights, gradient, slots, step, rate, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class GradientNoise(Wrapper):
    """Adds noise to the gradient, less at each step, before another optimizer steps (Neelakantan et al. 2015)."""

    type: Literal["gradient_noise"] = "gradient_noise"
    eta: Annotated[float, Gt(0)] = 0.01
    """The variance of the noise at the first step."""
    gamma: Annotated[float, Ge(0)] = 0.55
    """How fast it falls: the variance is `η / (1 + t)^γ` at step t, counted from 0."""

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`g ← g + N(0, η / (1 + t)^γ)`, then the inner step; without a source of chance the inner step alone."""
        if ctx.rng is not None:
            noise = ctx.rng.standard_normal(out=ctx.empty(gradient.shape), dtype=gradient.dtype.type)
            noise *= math.sqrt(self.eta / (1 + step) ** self.gamma)
            gradient += noise
        self.optimizer.update(weights, gradient, slots, step, rate, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightDecay(Wrapper):
    """Takes a share off the weights before another optimizer steps (Loshchilov & Hutter 2019, eq. 1)."""

    type: Literal["weight_decay"] = "weight_decay"
    weight_decay: Annotated[float, Ge(0)]
    """The share, in learning rates."""
    weights: Annotated[tuple[str, ...], MinLen(1)] | None = None
    """Off which weights, by patterns of their places, such as `*/kernel` or `layers/0/*`; left out: off all."""

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`w ← w − η · λ · w`, then the inner step."""
        if self.weights is None:
            decay(weights, rate * self.weight_decay)
        else:
            chosen = factors(tuple((pattern, 1.0) for pattern in self.weights), ctx.names, 0.0)
            for (w,), of_these in zip(each_weight(ctx, weights), chosen, strict=True):
                decay(w, rate * self.weight_decay * of_these)
        self.optimizer.update(weights, gradient, slots, step, rate, ctx)

    def patterns(self) -> Iterator[tuple[Place, str]]:
        """Return the patterns of `weights`, then those of the inner optimizer, with their places."""
        yield from ((("weights", position), pattern) for position, pattern in enumerate(self.weights or ()))
        yield from Wrapper.patterns(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class LearningRateMultipliers(Wrapper):
    """Learning rates of their own for some layers: each moves by its multiple of another optimizer's step.

    With lower rates for lower layers it is discriminative fine-tuning (Howard & Ruder 2018, section 3.2).
    """

    type: Literal["learning_rate_multipliers"] = "learning_rate_multipliers"
    multipliers: Annotated[Mapping[str, Annotated[float, Ge(0)]], MinLen(1)]
    """The multiple by a pattern of the weights' places, such as `layers/0/*`; the first that fits counts, else 1."""

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`w ← w + m · Δw`, where Δw is the inner step."""
        before = ctx.empty(weights.shape)
        np.copyto(before, weights)
        self.optimizer.update(weights, gradient, slots, step, rate, ctx)
        chosen = factors(tuple(self.multipliers.items()), ctx.names, 1.0)
        for (w, b), multiplier in zip(each_weight(ctx, weights, before), chosen, strict=True):
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
    """One step of another optimizer for several batches, by the mean of their gradients: as if they were one batch."""

    type: Literal["gradient_accumulation"] = "gradient_accumulation"
    steps: Annotated[int, Ge(1)]
    """How many batches make one step of the inner optimizer."""
    optimizer: OnePassOptimizer
    """What steps then; its rate is that of the last of these batches."""

    def slots(self) -> Starts:
        """The sum of the gradients so far, and what the inner optimizer remembers."""
        return _around({"sum": 0.0}, self.optimizer)

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`s ← s + g`; at every `steps`-th batch the inner step with `s / steps`, and s begins anew."""
        total = slots["sum"]
        total += gradient
        if (step + 1) % self.steps:
            return
        np.divide(total, self.steps, out=gradient)
        total.fill(0)
        self.optimizer.update(weights, gradient, _inner(slots), step // self.steps, rate, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExponentialMovingAverage(Wrapper):
    """The mean of the weights on their way, put in their place every so often (Polyak & Juditsky 1992)."""

    type: Literal["exponential_moving_average"] = "exponential_moving_average"
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.99
    """How much of the mean is kept at each step."""
    overwrite_frequency: Annotated[int, Ge(1)]
    """After how many steps the mean takes the place of the weights, again and again."""

    def slots(self) -> Starts:
        """The mean, and what the inner optimizer remembers."""
        return _around({"average": 0.0}, self.optimizer)

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """The inner step, then `a ← μ·a + (1 − μ)·w`; the mean begins at the first weights."""
        average = slots["average"]
        pieces = blocks(ctx, weights, average)
        if step == 0:
            np.copyto(average, weights)
        self.optimizer.update(weights, gradient, _inner(slots), step, rate, ctx)
        for scratch, w, a in pieces:
            np.multiply(w, 1 - self.momentum, out=scratch)
            a *= self.momentum
            a += scratch
        if (step + 1) % self.overwrite_frequency == 0:
            np.copyto(weights, average)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lookahead(Wrapper):
    """Some quick steps ahead, then one slow step in their direction (Zhang et al. 2019, alg. 1)."""

    type: Literal["lookahead"] = "lookahead"
    sync_period: Annotated[int, Ge(1)] = 5
    """How many quick steps make one slow step."""
    slow_step_size: Annotated[float, Gt(0), Le(1)] = 0.5
    """How far the slow step goes along."""
    optimizer: OnePassOptimizer
    """What takes the quick steps."""

    def slots(self) -> Starts:
        """The slow weights, and what the inner optimizer remembers."""
        return _around({"slow": 0.0}, self.optimizer)

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """The inner step; at every `sync_period`-th `s ← s + α · (w − s)` and `w ← s`."""
        slow = slots["slow"]
        pieces = blocks(ctx, weights, slow)
        if step == 0:
            np.copyto(slow, weights)
        self.optimizer.update(weights, gradient, _inner(slots), step, rate, ctx)
        if (step + 1) % self.sync_period:
            return
        for scratch, w, s in pieces:
            np.subtract(w, s, out=scratch)
            scratch *= self.slow_step_size
            s += scratch
            np.copyto(w, s)


@dataclass(frozen=True, kw_only=True, slots=True)
class SharpnessAware(Wrapper):
    """Steps by the gradient where the loss nearby is worst: towards minima that are flat (Foret et al. 2021, alg. 1).

    Each step takes a second forward and backward pass on the same batch, with the same draws. No other optimizer stands
    around it.
    """

    type: Literal["sharpness_aware"] = "sharpness_aware"
    rho: Annotated[float, Gt(0)] = 0.05
    """How far away the loss is looked at: the length of the way uphill."""

    @property
    def passes(self) -> int:
        """One more than the inner optimizer."""
        return 1 + self.optimizer.passes

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`g ← ∂L(w + ρ · g / |g|)`, then the inner step from w; a gradient of 0 leads nowhere."""
        kept = ctx.empty(weights.shape)
        np.copyto(kept, weights)
        norm = math.sqrt(np.dot(gradient, gradient))
        gradient *= self.rho / (norm or 1.0)
        weights += gradient
        try:
            ctx.reevaluate()
        finally:
            np.copyto(weights, kept)
        self.optimizer.update(weights, gradient, slots, step, rate, ctx)


@lru_cache(maxsize=256)
def factors(patterns: tuple[tuple[str, float], ...], names: tuple[str, ...], otherwise: float) -> tuple[float, ...]:
    """For each name what the first pattern that fits it says: `*` is for any part of it."""
    return tuple(next((said for one, said in patterns if fnmatchcase(name, one)), otherwise) for name in names)


_INNER = "inner."


def _around(own: dict[str, float | Slot], optimizer: OnePassOptimizer) -> Starts:
    """The wrapper's own slots beside those of the inner optimizer, whose names say so: wrappers may be nested."""
    return own | {_INNER + name: start for name, start in optimizer.slots().items()}


def _inner(slots: Slots) -> Slots:
    return {name.removeprefix(_INNER): slot for name, slot in slots.items() if name.startswith(_INNER)}


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
    SgdOptimizers | AdaptiveOptimizers | AdamOptimizers | MatrixOptimizers | OnePassWrappers, Tagged()
]
"""What an optimizer may stand around: all that steps by the gradient that it is given."""

Optimizer: TypeAlias = Annotated[
    SgdOptimizers | AdaptiveOptimizers | AdamOptimizers | MatrixOptimizers | OnePassWrappers | SharpnessAware | Lbfgs,
    Tagged(),
]
