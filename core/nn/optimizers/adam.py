"""Adam and its variants: the mean gradient, divided by the root of the mean squared gradient.

All of them store `m ← β₁·m + g` and `v ← β₂·v + g²`, without the constant factors (1 − β), which are included in the
learning rate.
"""

import functools
import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Lt

from core.nn.arrays import Array
from core.nn.optimizers.base import DirectOptimizer
from core.nn.optimizers.slots import Slots, blocks, decay, each_weight
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class MomentOptimizer(DirectOptimizer):
    """An optimizer with exponential moving averages of the gradient and of its square."""

    beta_1: Annotated[float, Ge(0), Lt(1)] = 0.9
    """The decay rate β₁ of the mean gradient."""
    beta_2: Annotated[float, Ge(0), Lt(1)] = 0.999
    """The decay rate β₂ of the mean squared gradient."""
    epsilon: Annotated[float, Gt(0)] = 1e-7
    """A small number ε that prevents a division by zero."""

    def slots(self) -> dict[str, float]:
        """Both moments, without their constant factors (1 − β), which saves two passes over the memory."""
        return {"mean": 0.0, "square": 0.0}


@dataclass(frozen=True, kw_only=True, slots=True)
class Adam(MomentOptimizer):
    """Momentum and a step size for each weight, with bias correction (Kingma & Ba 2015, alg. 1)."""

    type: Literal["adam"] = "adam"

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`m ← β₁·m + g`, `v ← β₂·v + g²`, `w ← w − η · m̂ / (√v̂ + ε)`.

        With m and v stored this way, `m̂ = m · (1 − β₁) / (1 − β₁ᵗ)` and `v̂ = v · (1 − β₂) / (1 − β₂ᵗ)`. Both factors
        and η are combined into one number, `rate`, and ε is scaled to match.
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
class AdamW(MomentOptimizer):
    """Adam with decoupled weight decay, which is not scaled by the gradient (Loshchilov & Hutter 2019, alg. 2)."""

    type: Literal["adamw"] = "adamw"
    weight_decay: Annotated[float, Ge(0)] = 0.004
    """The weight decay λ: each step subtracts `η · λ · w`."""

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`w ← w − η · λ · w`, then Adam's step."""
        decay(weights, rate * self.weight_decay)
        adam = Adam(beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon)
        adam.update(weights, gradient, slots, step, rate, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class AmsGrad(MomentOptimizer):
    """Adam that divides by the largest mean square so far (Reddi et al. 2018, alg. 2)."""

    type: Literal["amsgrad"] = "amsgrad"

    def slots(self) -> dict[str, float]:
        """Both moments, and the largest second moment so far."""
        return {"mean": 0.0, "square": 0.0, "largest": 0.0}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """Adam's step with the maximum of v so far instead of v."""
        root = math.sqrt((1 - self.beta_2) / (1 - self.beta_2 ** (step + 1)))
        rate *= (1 - self.beta_1) / (1 - self.beta_1 ** (step + 1)) / root
        vectors = (slots["mean"], slots["square"], slots["largest"])
        for scratch, w, g, mean, square, largest in blocks(ctx, weights, gradient, *vectors):
            _update_moments(mean, square, g, self.beta_1, self.beta_2, scratch)
            np.maximum(largest, square, out=largest)
            _step(w, mean, largest, rate, self.epsilon / root, scratch)


@dataclass(frozen=True, kw_only=True, slots=True)
class Adamax(MomentOptimizer):
    """Adam with the decayed maximum gradient instead of the mean square (Kingma & Ba 2015, alg. 2)."""

    type: Literal["adamax"] = "adamax"
    beta_2: Annotated[float, Ge(0), Lt(1)] = 0.999
    """The decay rate β₂ of the maximum gradient."""

    def slots(self) -> dict[str, float]:
        """Mean gradient and decayed maximum."""
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
class Nadam(MomentOptimizer):
    """Adam with Nesterov momentum, which grows as `β₁ · (1 − 0.96^(t/250) / 2)` (Dozat 2016, alg. 2)."""

    type: Literal["nadam"] = "nadam"

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`w ← w − η · (μₜ₊₁·m / (1 − Πμ to t + 1) + (1 − μₜ)·g / (1 − Πμ to t)) / (√v̂ + ε)`, m with its (1 − β₁)."""
        root = math.sqrt((1 - self.beta_2) / (1 - self.beta_2 ** (step + 1)))
        current, following = _momentum(self.beta_1, step + 1), _momentum(self.beta_1, step + 2)
        product, next_product = _momentum_product(self.beta_1, step + 1), _momentum_product(self.beta_1, step + 2)
        mean_factor = following * (1 - self.beta_1) / (1 - next_product) / root * rate
        gradient_factor = (1 - current) / (1 - product) / root * rate
        directions = ctx.empty(weights.shape)
        vectors = (slots["mean"], slots["square"], directions)
        for scratch, w, g, mean, square, direction in blocks(ctx, weights, gradient, *vectors):
            _update_moments(mean, square, g, self.beta_1, self.beta_2, scratch)
            np.multiply(mean, mean_factor, out=direction)
            np.multiply(g, gradient_factor, out=scratch)
            direction += scratch
            _step(w, direction, square, 1.0, self.epsilon / root, scratch)


def _momentum(beta_1: float, step: int) -> float:
    """Return Nadam's momentum μ at a step, counted from 1."""
    return beta_1 * (1 - 0.5 * 0.96 ** (0.004 * step))


@functools.lru_cache(maxsize=1024)
def _momentum_product(beta_1: float, step: int) -> float:
    """Return the product of the momenta up to `step`. The first hundred are enough: most are below 0.6."""
    return math.prod(_momentum(beta_1, index + 1) for index in range(min(step, 100)))


@dataclass(frozen=True, kw_only=True, slots=True)
class RAdam(MomentOptimizer):
    """Adam with a rectified variance: plain momentum in the first steps (Liu et al. 2020, alg. 2)."""

    type: Literal["radam"] = "radam"

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """Momentum only while the variance of `1 / √v` is intractable (`ρ ≤ 5`), then Adam's step, scaled by r."""
        t = step + 1
        rate *= (1 - self.beta_1) / (1 - self.beta_1**t)
        rho_limit = 2 / (1 - self.beta_2) - 1
        rho = rho_limit - 2 * t * self.beta_2**t / (1 - self.beta_2**t)
        root = math.sqrt(1 - self.beta_2)
        if rho > 5:
            rectification = (rho - 4) * (rho - 2) * rho_limit / ((rho_limit - 4) * (rho_limit - 2) * rho)
            rate *= math.sqrt(rectification * (1 - self.beta_2**t)) / root
        for scratch, w, g, mean, square in blocks(ctx, weights, gradient, slots["mean"], slots["square"]):
            _update_moments(mean, square, g, self.beta_1, self.beta_2, scratch)
            if rho > 5:
                _step(w, mean, square, rate, self.epsilon / root, scratch)
            else:
                np.multiply(mean, rate, out=scratch)
                w -= scratch


@dataclass(frozen=True, kw_only=True, slots=True)
class Lamb(MomentOptimizer):
    """Adam with a step proportional to the norm of each weight array (You et al. 2020, alg. 2)."""

    type: Literal["lamb"] = "lamb"
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """The weight decay λ: `λ · w` is added to the step before it is scaled."""

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`r = m̂ / (√v̂ + ε) + λ·w`, `w ← w − η · r · |w| / |r|`; without the scale where a norm is 0."""
        root = math.sqrt((1 - self.beta_2) / (1 - self.beta_2 ** (step + 1)))
        mean_factor = (1 - self.beta_1) / (1 - self.beta_1 ** (step + 1)) / root
        direction: Array = np.asarray(ctx.empty(weights.shape))
        direction.fill(0)
        for scratch, r, g, mean, square in blocks(ctx, direction, gradient, slots["mean"], slots["square"]):
            _update_moments(mean, square, g, self.beta_1, self.beta_2, scratch)
            _step(r, mean, square, -mean_factor, self.epsilon / root, scratch)
        for scratch, r, w in blocks(ctx, direction, weights):
            np.multiply(w, self.weight_decay, out=scratch)
            r += scratch
        for w, r in each_weight(ctx, weights, direction):
            weight_norm, step_norm = float(np.linalg.norm(w)), float(np.linalg.norm(r))
            r *= rate * (weight_norm / step_norm if weight_norm and step_norm else 1.0)
            w -= r


def _update_moments(mean: Array, square: Array, g: Array, beta_1: float, beta_2: float, scratch: Array) -> None:
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
