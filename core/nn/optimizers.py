"""How weights follow the gradient downhill.

An optimizer is a pair of pure functions over flat vectors: `slots` says what it remembers and where that begins,
`update` takes one step in place. They compose: `clip_by_norm` holds another optimizer, as a composite layer
holds layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Lt

from core.nn.arena import Run
from core.nn.arrays import Array
from core.nn.kinds import Tagged
from core.nn.schedules import ConstantRate, Schedule

Slots: TypeAlias = Mapping[str, Array]
"""What an optimizer remembers from step to step: vectors of the weights' length, by name."""

BLOCK = 65_536
"""How many numbers are updated at a time, so that the several passes over them find them in the cache."""


def _blocks(run: Run, weights: Array, *vectors: Array) -> Iterator[tuple[Array, ...]]:
    """The vectors cut into blocks, each with a piece of scratch of its length in front."""
    spare = run.empty((min(BLOCK, len(weights)),))
    if len(weights) <= BLOCK:
        yield spare, weights, *vectors
        return
    for start in range(0, len(weights), BLOCK):
        block = slice(start, start + BLOCK)
        piece = weights[block]
        yield spare[: len(piece)], piece, *(vector[block] for vector in vectors)


def _descend(weights: Array, gradient: Array, rate: float, run: Run) -> None:
    for scratch, w, g in _blocks(run, weights, gradient):
        np.multiply(g, rate, out=scratch)
        np.subtract(w, scratch, out=w)


@dataclass(frozen=True, kw_only=True, slots=True)
class GradientDescent:
    """`w ← w − η · g`: the plain rule of the text (Cauchy 1847)."""

    type: Literal["gradient_descent"] = "gradient_descent"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.01))
    """The step's length η: a number or a schedule."""

    def slots(self) -> dict[str, float]:
        """Nothing is remembered."""
        return {}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, run: Run) -> None:
        """One step at `rate`; all vectors have the weights' length."""
        _descend(weights, gradient, rate, run)


@dataclass(frozen=True, kw_only=True, slots=True)
class StochasticGradientDescent:
    """Gradient descent with momentum (Polyak 1964) or Nesterov's (Sutskever et al. 2013, eq. 3–4)."""

    type: Literal["sgd"] = "sgd"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.01))
    """The step's length η: a number or a schedule."""
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0
    """How much of the last step is taken again."""
    nesterov: bool = False
    """Look ahead along the momentum before stepping."""

    def slots(self) -> dict[str, float]:
        """The velocity, where there is momentum."""
        return {"velocity": 0.0} if self.momentum else {}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, run: Run) -> None:
        """`v ← μ·v − η·g`, `w ← w + v`; with Nesterov `w ← w + μ·v − η·g`."""
        if not self.momentum:
            _descend(weights, gradient, rate, run)
            return
        for scratch, w, g, velocity in _blocks(run, weights, gradient, slots["velocity"]):
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
class Adagrad:
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

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, run: Run) -> None:
        """`s ← s + g²`, `w ← w − η · g / √(s + ε)`."""
        for scratch, w, g, squares in _blocks(run, weights, gradient, slots["squares"]):
            np.multiply(g, g, out=scratch)
            squares += scratch
            np.add(squares, self.epsilon, out=scratch)
            np.sqrt(scratch, out=scratch)
            np.divide(g, scratch, out=scratch)
            scratch *= rate
            w -= scratch


@dataclass(frozen=True, kw_only=True, slots=True)
class Adam:
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

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, run: Run) -> None:
        """`m ← β₁·m + g`, `v ← β₂·v + g²`, `w ← w − α · m̂ / (√v̂ + ε)`.

        With m and v stored so, `m̂ = m · (1 − β₁) / (1 − β₁ᵗ)` and `v̂ = v · (1 − β₂) / (1 − β₂ᵗ)`: both factors and
        α are drawn into one number, `rate`, and ε is scaled to match.
        """
        root = math.sqrt((1 - self.beta_2) / (1 - self.beta_2 ** (step + 1)))
        rate *= (1 - self.beta_1) / (1 - self.beta_1 ** (step + 1)) / root
        epsilon = self.epsilon / root
        for scratch, w, g, mean, square in _blocks(run, weights, gradient, slots["mean"], slots["square"]):
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
class ClipByNorm:
    """Shortens the whole gradient to a largest length before another optimizer steps (Pascanu et al. 2013, alg. 1)."""

    type: Literal["clip_by_norm"] = "clip_by_norm"
    max_norm: Annotated[float, Gt(0)]
    """The largest length."""
    optimizer: Optimizer
    """What steps then."""

    @property
    def learning_rate(self) -> Schedule:
        """The inner optimizer's."""
        return self.optimizer.learning_rate

    def slots(self) -> dict[str, float]:
        """The inner optimizer's."""
        return self.optimizer.slots()

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, run: Run) -> None:
        """`g ← g · min(1, max_norm / |g|)`, then the inner step."""
        norm = math.sqrt(np.dot(gradient, gradient))
        if norm > self.max_norm:
            gradient *= self.max_norm / norm
        self.optimizer.update(weights, gradient, slots, step, rate, run)


Optimizer: TypeAlias = Annotated[GradientDescent | StochasticGradientDescent | Adagrad | Adam | ClipByNorm, Tagged()]
