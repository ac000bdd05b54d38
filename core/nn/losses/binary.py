"""Losses for binary classification by one output, and for multi-label classification by several."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from core.nn.arrays import Array, Mask, Shape
from core.nn.kernels.exponentials import sigmoid, softplus
from core.nn.losses.base import (
    Comparison,
    LossForward,
    Mismatch,
    Predicts,
    Targets,
    WeightedMeanLoss,
    shape_mismatch,
    weighted_mean,
)
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class BinaryLoss(WeightedMeanLoss):
    """A loss for two classes by one output, or several yes-or-no questions, with the link sigmoid by default."""

    predicts: ClassVar[Predicts] = "classes"
    link_type: ClassVar[str] = "sigmoid"
    mixable: ClassVar[bool] = True
    independent_units: ClassVar[bool] = True

    def mismatch(self, targets: Targets, output: Shape) -> Mismatch | None:
        """Return a mismatch unless there are two classes for one output, or numbers from 0 to 1 in its shape."""
        if targets.classes:
            if targets.classes != 2:
                return Mismatch(f"the target names {targets.classes} classes: use cross_entropy", output=False)
            return None if output == (1,) else Mismatch(f"emits {output}: give it 1 unit, or use cross_entropy")
        if not targets.within(0, 1):
            return Mismatch(f"{self.type} needs targets from 0 to 1: use mean_squared_error", output=False)
        return shape_mismatch(targets.shape, output)

    def classes(self, output: Shape) -> int | None:
        """Return 2 for a single output, which distinguishes two classes; else None."""
        return 2 if output == (1,) else None

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """Return the probabilities of the second class, in the shape of the outputs."""
        return sigmoid(outputs, np.empty_like(outputs))

    def encode(self, targets: Array, output_shape: Shape) -> Array:
        """Return class numbers 0 and 1 `(rows,)`, or numbers from 0 to 1, as float32 in the shape of the outputs."""
        return targets.astype(np.float32).reshape(len(targets), *output_shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class BinaryCrossEntropy(BinaryLoss):
    """`−[t · log p + (1 − t) · log(1 − p)]` with `p = sigmoid(output)`. Link: sigmoid."""

    type: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    """How far targets are moved towards 1/2, as a fraction (Szegedy et al. 2016, section 7)."""

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss of outputs (logits) and targets (0 to 1) `(batch, …)`; the gradient is `(p − t) / size`.

        It is computed from the logit z as `max(z, 0) − z·t + log(1 + e^−|z|)`, which cannot overflow.
        """
        if self.label_smoothing:
            targets = np.multiply(targets, 1 - self.label_smoothing, out=ctx.empty(outputs.shape))
            targets += self.label_smoothing / 2
        losses = np.abs(outputs, out=ctx.empty(outputs.shape))
        np.negative(losses, out=losses)
        np.exp(losses, out=losses)
        np.log1p(losses, out=losses)
        losses += np.maximum(outputs, 0, out=ctx.empty(outputs.shape))
        losses -= np.multiply(outputs, targets, out=ctx.empty(outputs.shape))
        value = np.add.reduce(losses, axis=None) / losses.size

        def backward() -> Array:
            gradient = sigmoid(outputs, ctx.empty(outputs.shape))
            gradient -= targets
            gradient /= gradient.size
            return gradient

        return value, backward, lambda: losses


@dataclass(frozen=True, kw_only=True, slots=True)
class BinaryFocalCrossEntropy(BinaryLoss):
    """`−(1 − p)^γ · log p`, p the true class's probability: well-classified rows count less. Link: sigmoid.

    Lin et al. 2017, eq. 4 and 5. The targets are 0 and 1.
    """

    type: Literal["binary_focal_cross_entropy"] = "binary_focal_cross_entropy"
    gamma: Annotated[float, Ge(0)] = 2.0
    """The focusing exponent γ: the higher, the less well-classified rows count."""
    alpha: Annotated[float, Gt(0), Lt(1)] = 0.25
    """The weight α of the second class if classes are balanced; that of the first is 1 − α."""
    apply_class_balancing: bool = False
    """Whether to weight the classes by α."""

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss `q^γ · s` with u = ±output, q = sigmoid(−u), s = softplus(−u).

        The gradient is `∂u = −q^γ · (γ · (1 − q) · s + q)`.
        """
        sign = np.multiply(targets, -2, out=ctx.empty(outputs.shape))
        sign += 1
        minus_u = np.multiply(outputs, sign, out=ctx.empty(outputs.shape))
        q = sigmoid(minus_u, ctx.empty(minus_u.shape))
        s = softplus(minus_u, minus_u, ctx.empty(minus_u.shape))
        weight = np.power(q, self.gamma, out=ctx.empty(minus_u.shape))
        if self.apply_class_balancing:
            weight *= np.where(targets > 0.5, self.alpha, 1 - self.alpha)
        value = np.dot(weight.reshape(-1), s.reshape(-1)) / s.size

        def backward() -> Array:
            np.multiply(s, self.gamma, out=s)
            np.multiply(s, 1 - q, out=s)
            np.add(s, q, out=s)
            np.multiply(s, weight, out=s)
            np.multiply(s, sign, out=s)
            return np.divide(s, s.size, out=s)

        return value, backward, lambda: weight * s


@dataclass(frozen=True, kw_only=True, slots=True)
class Hinge(BinaryLoss):
    """`max(1 − y · output, 0)` with y = ±1: the margin of a support vector machine (Cortes & Vapnik 1995). Link: sign.

    The targets are 0 and 1. A margin is not a probability: a prediction gives all probability to one class.
    """

    type: Literal["hinge"] = "hinge"
    link_type: ClassVar[str] = "sign"

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss; the gradient is `−y / size` where the margin is violated."""
        violation, sign = _margin_violation(outputs, targets, ctx)
        value = np.add.reduce(violation, axis=None) / violation.size

        def backward() -> Array:
            np.multiply(sign, violation > 0, out=sign)
            return np.divide(sign, -sign.size, out=sign)

        return value, backward, lambda: violation

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """Return 1 where the output is above 0, else 0."""
        return np.asarray(outputs > 0, outputs.dtype)


@dataclass(frozen=True, kw_only=True, slots=True)
class SquaredHinge(BinaryLoss):
    """`max(1 − y · output, 0)²` with y = ±1: a differentiable `hinge`. Link: sign."""

    type: Literal["squared_hinge"] = "squared_hinge"
    link_type: ClassVar[str] = "sign"

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss; the gradient is `−2 · y · max(1 − y · output, 0) / size`."""
        violation, sign = _margin_violation(outputs, targets, ctx)
        flat = violation.reshape(-1)
        value = np.dot(flat, flat) / violation.size

        def backward() -> Array:
            np.multiply(sign, violation, out=sign)
            return np.multiply(sign, -2 / sign.size, out=sign)

        return value, backward, lambda: violation**2

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """Return 1 where the output is above 0, else 0."""
        return np.asarray(outputs > 0, outputs.dtype)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dice(BinaryLoss):
    """`1 − 2 · Σ p·t / (Σ p + Σ t)` for each row: 1 less the overlap of two sets (Milletari 2016). Link: sigmoid."""

    type: Literal["dice"] = "dice"
    epsilon: Annotated[float, Gt(0), Le(1)] = 1e-7
    """A small number that prevents a division by zero."""

    def mismatch(self, targets: Targets, output: Shape) -> Mismatch | None:
        """Return a mismatch unless the targets are at least two numbers from 0 to 1 in the shape of the output."""
        if targets.classes or output in {(), (1,)}:
            return Mismatch(
                "dice compares sets, such as masks, of at least 2 numbers a row: use cross_entropy", output=False
            )
        return BinaryLoss.mismatch(self, targets, output)

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss.

        With `S = Σ p + Σ t + ε`: `∂p = 2 · (Σ p·t / S − t) / S / batch`, `∂output = ∂p · p · (1 − p)`.
        """
        rows = len(outputs)
        p = sigmoid(outputs, ctx.empty(outputs.shape))
        if ctx.mask is not None:
            mask = ctx.mask.reshape(*ctx.mask.shape, *(1,) * (outputs.ndim - 2))
            p, targets = np.multiply(p, mask, out=p), targets * mask
        p, t = p.reshape(rows, -1), targets.reshape(rows, -1)
        intersection = np.multiply(p, t, out=ctx.empty(p.shape)).sum(axis=1, keepdims=True)
        total = p.sum(axis=1, keepdims=True) + t.sum(axis=1, keepdims=True) + self.epsilon
        overlap = intersection / total
        value = 1 - 2 * np.add.reduce(overlap, axis=None) / rows

        def backward() -> Array:
            gradient = np.subtract(overlap, t, out=ctx.empty(p.shape))
            gradient *= 2 / total / rows
            gradient *= p
            gradient *= np.subtract(1, p, out=p)
            return gradient.reshape(outputs.shape)

        return value, backward, lambda: 1 - 2 * overlap

    def forward(self, outputs: Array, targets: Array, ctx: PassContext) -> LossForward:
        """Return the mean over rows, weighted if they have weights; a masked step belongs to neither set."""
        comparison = self.compare(outputs, targets, ctx)
        return comparison[:2] if ctx.sample_weight is None else weighted_mean(comparison, ctx.sample_weight)


def _margin_violation(outputs: Array, targets: Array, ctx: PassContext) -> tuple[Array, Array]:
    """Return `max(1 − y · output, 0)` and y."""
    sign = np.multiply(targets, 2, out=ctx.empty(outputs.shape))
    sign -= 1
    violation = np.multiply(outputs, sign, out=ctx.empty(outputs.shape))
    np.subtract(1, violation, out=violation)
    return np.maximum(violation, 0, out=violation), sign


BinaryLosses: TypeAlias = BinaryCrossEntropy | BinaryFocalCrossEntropy | Hinge | SquaredHinge | Dice
