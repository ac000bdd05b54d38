"""Losses of two classes, told apart by one output, or of any number of yes-or-no questions."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from core.nn.activations import sigmoid, softplus
from core.nn.arrays import Array, Mask, Shape
from core.nn.losses.base import BaseLoss, Compared, Lost, Misfit, Predicts, Targets, unequal, weighed
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class OfTwoClasses(BaseLoss):
    """What every loss of two classes says of itself, by the link sigmoid."""

    predicts: ClassVar[Predicts] = "classes"
    applies: ClassVar[str] = "sigmoid"
    mixable: ClassVar[bool] = True
    independent_units: ClassVar[bool] = True

    def misfit(self, targets: Targets, output: Shape) -> Misfit | None:
        """Targets are two classes for one output, or numbers from 0 to 1 in the shape of the output."""
        if targets.classes:
            if targets.classes != 2:
                return Misfit(f"the target names {targets.classes} classes: use cross_entropy", output=False)
            return None if output == (1,) else Misfit(f"emits {output}: give it 1 unit, or use cross_entropy")
        if not targets.within(0, 1):
            return Misfit(f"{self.type} needs targets from 0 to 1: use mean_squared_error", output=False)
        return unequal(targets.shape, output)

    def classes(self, output: Shape) -> int | None:
        """One output tells two classes apart."""
        return 2 if output == (1,) else None

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """Probabilities of the second class, of the shape of the outputs."""
        return sigmoid(outputs, np.empty_like(outputs))

    def encode(self, targets: Array, output_shape: Shape) -> Array:
        """Class numbers 0 and 1 `(rows,)`, or numbers from 0 to 1, as float32 in the shape of the outputs."""
        return targets.astype(np.float32).reshape(len(targets), *output_shape)

    @abstractmethod
    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """The mean over all outputs and targets `(batch, …)`."""

    def forward(self, outputs: Array, targets: Array, ctx: PassContext) -> Lost:
        """The mean over all numbers that are there; rows count by their weights, if they have any."""
        value, backward, each = self.compare(outputs, targets, ctx)
        return (value, backward) if ctx.weights is None else weighed((value, backward, each), ctx.weights)


@dataclass(frozen=True, kw_only=True, slots=True)
class BinaryCrossEntropy(OfTwoClasses):
    """`−[t · log p + (1 − t) · log(1 − p)]` with `p = sigmoid(output)`: for two classes. Link: sigmoid."""

    type: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    """How far targets are drawn towards 1/2 (Szegedy et al. 2016, section 7)."""

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """Outputs (logits) and targets (0 to 1) `(batch, …)`; the gradient is `(p − t) / size`.

        With the logit z it is `max(z, 0) − z·t + log(1 + e^−|z|)`, which cannot overflow.
        """
        if self.label_smoothing:
            targets = np.multiply(targets, 1 - self.label_smoothing, out=ctx.empty(outputs.shape))
            targets += self.label_smoothing / 2
        rest = np.abs(outputs, out=ctx.empty(outputs.shape))
        np.negative(rest, out=rest)
        np.exp(rest, out=rest)
        np.log1p(rest, out=rest)
        rest += np.maximum(outputs, 0, out=ctx.empty(outputs.shape))
        rest -= np.multiply(outputs, targets, out=ctx.empty(outputs.shape))
        value = np.add.reduce(rest, axis=None) / rest.size

        def backward() -> Array:
            gradient = sigmoid(outputs, ctx.empty(outputs.shape))
            gradient -= targets
            gradient /= gradient.size
            return gradient

        return value, backward, lambda: rest


@dataclass(frozen=True, kw_only=True, slots=True)
class BinaryFocalCrossEntropy(OfTwoClasses):
    """`−(1 − p)^γ · log p`, p the true class's probability: what is right already counts less. Link: sigmoid.

    (Lin et al. 2017, eq. 4 and 5.) The targets are 0 and 1.
    """

    type: Literal["binary_focal_cross_entropy"] = "binary_focal_cross_entropy"
    gamma: Annotated[float, Ge(0)] = 2.0
    """How much less."""
    alpha: Annotated[float, Gt(0), Lt(1)] = 0.25
    """The weight of the second class, and 1 − α that of the first, where classes are balanced."""
    apply_class_balancing: bool = False
    """Weigh the classes by α."""

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """With `u = ±output`, q = sigmoid(−u) and s = softplus(−u): `q^γ · s`, `∂u = −q^γ · (γ · (1 − q) · s + q)`."""
        sign = np.multiply(targets, -2, out=ctx.empty(outputs.shape))
        sign += 1
        away = np.multiply(outputs, sign, out=ctx.empty(outputs.shape))
        wrong = sigmoid(away, ctx.empty(away.shape))
        rest = softplus(away, away, ctx.empty(away.shape))
        weight = np.power(wrong, self.gamma, out=ctx.empty(away.shape))
        if self.apply_class_balancing:
            weight *= np.where(targets > 0.5, self.alpha, 1 - self.alpha)
        value = np.dot(weight.reshape(-1), rest.reshape(-1)) / rest.size

        def backward() -> Array:
            np.multiply(rest, self.gamma, out=rest)
            np.multiply(rest, 1 - wrong, out=rest)
            np.add(rest, wrong, out=rest)
            np.multiply(rest, weight, out=rest)
            np.multiply(rest, sign, out=rest)
            return np.divide(rest, rest.size, out=rest)

        return value, backward, lambda: weight * rest


@dataclass(frozen=True, kw_only=True, slots=True)
class Hinge(OfTwoClasses):
    """`max(1 − y · output, 0)` with y = ±1: the margin of a support vector machine (Cortes & Vapnik 1995). Link: sign.

    The targets are 0 and 1. A margin is no probability: a prediction gives all of it to one class.
    """

    type: Literal["hinge"] = "hinge"
    applies: ClassVar[str] = "sign"

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """The gradient is `−y / size` where the margin is not kept."""
        lacks, sign = _margin(outputs, targets, ctx)
        value = np.add.reduce(lacks, axis=None) / lacks.size

        def backward() -> Array:
            np.multiply(sign, lacks > 0, out=sign)
            return np.divide(sign, -sign.size, out=sign)

        return value, backward, lambda: lacks

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """1 where the output is above 0, else 0."""
        return np.asarray(outputs > 0, outputs.dtype)


@dataclass(frozen=True, kw_only=True, slots=True)
class SquaredHinge(OfTwoClasses):
    """`max(1 − y · output, 0)²` with y = ±1: as `hinge`, and smooth. Link: sign."""

    type: Literal["squared_hinge"] = "squared_hinge"
    applies: ClassVar[str] = "sign"

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """The gradient is `−2 · y · max(1 − y · output, 0) / size`."""
        lacks, sign = _margin(outputs, targets, ctx)
        flat = lacks.reshape(-1)
        value = np.dot(flat, flat) / lacks.size

        def backward() -> Array:
            np.multiply(sign, lacks, out=sign)
            return np.multiply(sign, -2 / sign.size, out=sign)

        return value, backward, lambda: lacks**2

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """1 where the output is above 0, else 0."""
        return np.asarray(outputs > 0, outputs.dtype)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dice(OfTwoClasses):
    """`1 − 2 · Σ p·t / (Σ p + Σ t)` for each row: how little two sets overlap (Milletari 2016). Link: sigmoid."""

    type: Literal["dice"] = "dice"
    epsilon: Annotated[float, Gt(0), Le(1)] = 1e-7
    """Keeps the division from zero."""

    def misfit(self, targets: Targets, output: Shape) -> Misfit | None:
        """Targets are numbers from 0 to 1 in the shape of the output, at least two."""
        if targets.classes or output in {(), (1,)}:
            return Misfit(
                "dice compares sets, such as masks, of at least 2 numbers a row: use cross_entropy", output=False
            )
        return OfTwoClasses.misfit(self, targets, output)

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """With `S = Σ p + Σ t + ε`: `∂p = 2 · (Σ p·t / S − t) / S / batch`, `∂output = ∂p · p · (1 − p)`."""
        rows = len(outputs)
        p = sigmoid(outputs, ctx.empty(outputs.shape))
        if ctx.mask is not None:
            there = ctx.mask.reshape(*ctx.mask.shape, *(1,) * (outputs.ndim - 2))
            p, targets = np.multiply(p, there, out=p), targets * there
        p, t = p.reshape(rows, -1), targets.reshape(rows, -1)
        both = np.multiply(p, t, out=ctx.empty(p.shape)).sum(axis=1, keepdims=True)
        total = p.sum(axis=1, keepdims=True) + t.sum(axis=1, keepdims=True) + self.epsilon
        share = both / total
        value = 1 - 2 * np.add.reduce(share, axis=None) / rows

        def backward() -> Array:
            gradient = np.subtract(share, t, out=ctx.empty(p.shape))
            gradient *= 2 / total / rows
            gradient *= p
            gradient *= np.subtract(1, p, out=p)
            return gradient.reshape(outputs.shape)

        return value, backward, lambda: 1 - 2 * share

    def forward(self, outputs: Array, targets: Array, ctx: PassContext) -> Lost:
        """The mean over rows by their weights; a step that is not there belongs to neither set."""
        compared = self.compare(outputs, targets, ctx)
        return compared[:2] if ctx.sample_weight is None else weighed(compared, ctx.sample_weight)


def _margin(outputs: Array, targets: Array, ctx: PassContext) -> tuple[Array, Array]:
    """By how much each output lacks its margin, at least 0, and y."""
    sign = np.multiply(targets, 2, out=ctx.empty(outputs.shape))
    sign -= 1
    lacks = np.multiply(outputs, sign, out=ctx.empty(outputs.shape))
    np.subtract(1, lacks, out=lacks)
    return np.maximum(lacks, 0, out=lacks), sign


OfBits: TypeAlias = BinaryCrossEntropy | BinaryFocalCrossEntropy | Hinge | SquaredHinge | Dice
