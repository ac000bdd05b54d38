"""Adam and its descendants: the mean of the gradients, divided by the root of the mean of their squares.

All keep `m ← β₁·m + g` and `v ← β₂·v + g²`, without the factors (1 − β), which are constants and enter with the rate.
"""

import functools
import math
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Lt

from core.nn.arrays import Array
from core.nn.optimizers.base import BaseOptimizer
from core.nn.optimizers.slots import Slots, blocks, decay, each_weight
from core.nn.schedules import ConstantRate, Schedule
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Adam(BaseOptimizer):
    """Momentum and a scale for each weight, both corrected for their start at zero (Kingma & Ba 2015, alg. 1)."""

    type: Literal["adam"] = "adam"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.001))
    """The step's length α: a number or a schedule."""
    beta_1: Annotated[float, Ge(0), Lt(1)] = 0.9
    """How much of the mean gradient is kept at each step."""
    beta_2: Annotated[float, Ge(0), Lt(1)] = 0.999
    """How much of the mean squared gradient is kept at each step."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """Keeps the division from zero."""

    def slots(self) -> dict[str, float]:
        """Both moments, without their constant factors (1 − β): two passes fewer over the memory."""
        return {"mean": 0.0, "square": 0.0}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`m ← β₁·m + g`, `v ← β₂·v + g²`, `w ← w − α · m̂ / (√v̂ + ε)`.

        With m and v stored so, `m̂ = m · (1 − β₁) / (1 − β₁ᵗ)` and `v̂ = v · (1 − β₂) / (1 − β₂ᵗ)`: both factors and
        α are drawn into one number, `rate`, and ε is scaled to match.
        """
        root = math.sqrt((1 - self.beta_2) / (1 - self.beta_2 ** (step + 1)))
        rate *= (1 - self.beta_1) / (1 - self.beta_1 ** (step + 1)) / root
        epsilon = self.epsilon / root
        for scratch, w, g, mean, square in blocks(ctx, weights, gradient, slots["mean"], slots["square"]):
            np.multiply(mean, self.beta_1, out=mean)
            np.add(mean, g, out=mean)
            np.multiply(g, g, out=scratch)
            np.multiply(square, self.beta_2, out=square)
            np.add(square, scratch, out=square)
            np.sqrt(square, out=scratch)
            np.add(scratch, epsilon, out=scratch)
            np.divide(mean, scratch, out=scratch)
            np.multiply(scratch, rate, out=scratch)
            np.subtract(w, scratch, out=w)


@dataclass(frozen=True, kw_only=True, slots=True)
class AdamW(BaseOptimizer):
    """Adam beside a weight decay that is not scaled with the gradient (Loshchilov & Hutter 2019, alg. 2)."""

    type: Literal["adamw"] = "adamw"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.001))
    """The step's length η: a number or a schedule."""
    weight_decay: Annotated[float, Ge(0)] = 0.004
    """The share of a weight, in learning rates, that is taken off at each step."""
    beta_1: Annotated[float, Ge(0), Lt(1)] = 0.9
    """How much of the mean gradient is kept at each step."""
    beta_2: Annotated[float, Ge(0), Lt(1)] = 0.999
    """How much of the mean squared gradient is kept at each step."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """Keeps the division from zero."""

    def slots(self) -> dict[str, float]:
        """Both moments, stored as Adam's."""
        return {"mean": 0.0, "square": 0.0}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`w ← w − η · λ · w`, then Adam's step."""
        decay(weights, rate * self.weight_decay)
        adam = Adam(beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon)
        adam.update(weights, gradient, slots, step, rate, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class AmsGrad(BaseOptimizer):
    """Adam whose scale never shrinks: it divides by the largest mean square so far (Reddi et al. 2018, alg. 2)."""

    type: Literal["amsgrad"] = "amsgrad"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.001))
    """The step's length η: a number or a schedule."""
    beta_1: Annotated[float, Ge(0), Lt(1)] = 0.9
    """How much of the mean gradient is kept at each step."""
    beta_2: Annotated[float, Ge(0), Lt(1)] = 0.999
    """How much of the mean squared gradient is kept at each step."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """Keeps the division from zero."""

    def slots(self) -> dict[str, float]:
        """Both moments, stored as Adam's, and the largest second one."""
        return {"mean": 0.0, "square": 0.0, "largest": 0.0}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """Adam's step with `v ← max(v so far)`."""
        root = math.sqrt((1 - self.beta_2) / (1 - self.beta_2 ** (step + 1)))
        rate *= (1 - self.beta_1) / (1 - self.beta_1 ** (step + 1)) / root
        vectors = (slots["mean"], slots["square"], slots["largest"])
        for scratch, w, g, mean, square, largest in blocks(ctx, weights, gradient, *vectors):
            _remember(mean, square, g, self.beta_1, self.beta_2, scratch)
            np.maximum(largest, square, out=largest)
            _step(w, mean, largest, rate, self.epsilon / root, scratch)


@dataclass(frozen=True, kw_only=True, slots=True)
class Adamax(BaseOptimizer):
    """Adam by the largest gradient instead of the mean square (Kingma & Ba 2015, alg. 2)."""

    type: Literal["adamax"] = "adamax"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.001))
    """The step's length η: a number or a schedule."""
    beta_1: Annotated[float, Ge(0), Lt(1)] = 0.9
    """How much of the mean gradient is kept at each step."""
    beta_2: Annotated[float, Ge(0), Lt(1)] = 0.999
    """How much of the largest gradient is kept at each step."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """Keeps the division from zero."""

    def slots(self) -> dict[str, float]:
        """The mean gradient, stored as Adam's, and the largest."""
        return {"mean": 0.0, "largest": 0.0}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`m ← β₁·m + g`, `u ← max(β₂·u, |g| + ε)`, `w ← w − η · m̂ / u`."""
        rate *= (1 - self.beta_1) / (1 - self.beta_1 ** (step + 1))
        for scratch, w, g, mean, largest in blocks(ctx, weights, gradient, slots["mean"], slots["largest"]):
            mean *= self.beta_1
            mean += g
            np.abs(g, out=scratch)
            scratch += self.epsilon
            largest *= self.beta_2
            np.maximum(largest, scratch, out=largest)
            np.divide(mean, largest, out=scratch)
            scratch *= rate
            w -= scratch


@dataclass(frozen=True, kw_only=True, slots=True)
class Nadam(BaseOptimizer):
    """Adam with Nesterov's look ahead (Dozat 2016, alg. 2, whose momentum grows as `β₁ · (1 − 0.96^(t/250) / 2)`)."""

    type: Literal["nadam"] = "nadam"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.001))
    """The step's length η: a number or a schedule."""
    beta_1: Annotated[float, Ge(0), Lt(1)] = 0.9
    """How much of the mean gradient is kept at each step."""
    beta_2: Annotated[float, Ge(0), Lt(1)] = 0.999
    """How much of the mean squared gradient is kept at each step."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """Keeps the division from zero."""

    def slots(self) -> dict[str, float]:
        """Both moments, stored as Adam's."""
        return {"mean": 0.0, "square": 0.0}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`w ← w − η · (μₜ₊₁·m / (1 − Πμ to t + 1) + (1 − μₜ)·g / (1 − Πμ to t)) / (√v̂ + ε)`, m with its (1 − β₁)."""
        root = math.sqrt((1 - self.beta_2) / (1 - self.beta_2 ** (step + 1)))
        now, after = _momentum(self.beta_1, step + 1), _momentum(self.beta_1, step + 2)
        so_far, and_after = _momenta(self.beta_1, step + 1), _momenta(self.beta_1, step + 2)
        of_mean = after * (1 - self.beta_1) / (1 - and_after) / root * rate
        of_gradient = (1 - now) / (1 - so_far) / root * rate
        spare = ctx.empty(weights.shape)
        vectors = (slots["mean"], slots["square"], spare)
        for scratch, w, g, mean, square, along in blocks(ctx, weights, gradient, *vectors):
            _remember(mean, square, g, self.beta_1, self.beta_2, scratch)
            np.multiply(mean, of_mean, out=along)
            np.multiply(g, of_gradient, out=scratch)
            along += scratch
            _step(w, along, square, 1.0, self.epsilon / root, scratch)


def _momentum(beta_1: float, step: int) -> float:
    return beta_1 * (1 - 0.5 * 0.96 ** (0.004 * step))


@functools.lru_cache(maxsize=1024)
def _momenta(beta_1: float, step: int) -> float:
    """The product of all momenta up to `step`; each is under 0.6 for long, so that a hundred leave nothing."""
    return math.prod(_momentum(beta_1, turn + 1) for turn in range(min(step, 100)))


@dataclass(frozen=True, kw_only=True, slots=True)
class RAdam(BaseOptimizer):
    """Adam that trusts its scale only as far as the gradients seen allow (Liu et al. 2020, alg. 2)."""

    type: Literal["radam"] = "radam"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.001))
    """The step's length η: a number or a schedule."""
    beta_1: Annotated[float, Ge(0), Lt(1)] = 0.9
    """How much of the mean gradient is kept at each step."""
    beta_2: Annotated[float, Ge(0), Lt(1)] = 0.999
    """How much of the mean squared gradient is kept at each step."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """Keeps the division from zero."""

    def slots(self) -> dict[str, float]:
        """Both moments, stored as Adam's."""
        return {"mean": 0.0, "square": 0.0}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """Momentum alone while the variance of `1 / √v` is not known (`ρ ≤ 5`), then Adam's step, scaled by r."""
        t = step + 1
        rate *= (1 - self.beta_1) / (1 - self.beta_1**t)
        most = 2 / (1 - self.beta_2) - 1
        known = most - 2 * t * self.beta_2**t / (1 - self.beta_2**t)
        root = math.sqrt(1 - self.beta_2)
        if known > 5:
            trust = (known - 4) * (known - 2) * most / ((most - 4) * (most - 2) * known)
            rate *= math.sqrt(trust * (1 - self.beta_2**t)) / root
        for scratch, w, g, mean, square in blocks(ctx, weights, gradient, slots["mean"], slots["square"]):
            _remember(mean, square, g, self.beta_1, self.beta_2, scratch)
            if known > 5:
                _step(w, mean, square, rate, self.epsilon / root, scratch)
            else:
                np.multiply(mean, rate, out=scratch)
                w -= scratch


@dataclass(frozen=True, kw_only=True, slots=True)
class Lamb(BaseOptimizer):
    """Adam whose step has, for each weight of the network, a length in proportion to it (You et al. 2020, alg. 2)."""

    type: Literal["lamb"] = "lamb"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.001))
    """The step's length η: a number or a schedule."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """How much of the weight itself stands in its step."""
    beta_1: Annotated[float, Ge(0), Lt(1)] = 0.9
    """How much of the mean gradient is kept at each step."""
    beta_2: Annotated[float, Ge(0), Lt(1)] = 0.999
    """How much of the mean squared gradient is kept at each step."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """Keeps the division from zero."""

    def slots(self) -> dict[str, float]:
        """Both moments, stored as Adam's."""
        return {"mean": 0.0, "square": 0.0}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`r = m̂ / (√v̂ + ε) + λ·w`, `w ← w − η · r · |w| / |r|`; a length of 0 counts as no scale."""
        root = math.sqrt((1 - self.beta_2) / (1 - self.beta_2 ** (step + 1)))
        of_mean = (1 - self.beta_1) / (1 - self.beta_1 ** (step + 1)) / root
        along: Array = np.asarray(ctx.empty(weights.shape))
        along.fill(0)
        for scratch, r, g, mean, square in blocks(ctx, along, gradient, slots["mean"], slots["square"]):
            _remember(mean, square, g, self.beta_1, self.beta_2, scratch)
            _step(r, mean, square, -of_mean, self.epsilon / root, scratch)
        for scratch, r, w in blocks(ctx, along, weights):
            np.multiply(w, self.weight_decay, out=scratch)
            r += scratch
        for w, r in each_weight(ctx, weights, along):
            long, wide = float(np.linalg.norm(w)), float(np.linalg.norm(r))
            r *= rate * (long / wide if long and wide else 1.0)
            w -= r


def _remember(mean: Array, square: Array, g: Array, beta_1: float, beta_2: float, scratch: Array) -> None:
    """`m ← β₁·m + g` and `v ← β₂·v + g²`."""
    mean *= beta_1
    mean += g
    np.multiply(g, g, out=scratch)
    square *= beta_2
    square += scratch


def _step(w: Array, mean: Array, square: Array, rate: float, epsilon: float, scratch: Array) -> None:
    """`w ← w − rate · m / (√v + ε)`."""
    np.sqrt(square, out=scratch)
    scratch += epsilon
    np.divide(mean, scratch, out=scratch)
    scratch *= rate
    w -= scratch


AdamOptimizers: TypeAlias = Adam | AdamW | AmsGrad | Adamax | Nadam | RAdam | Lamb
