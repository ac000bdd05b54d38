"""Losses for classification into any number of classes, with one output unit for each."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Len, Lt

from core.nn.arrays import Array, Mask, Shape
from core.nn.kernels.exponentials import softmax
from core.nn.kernels.reductions import row_maxima, row_sums, total
from core.nn.losses.base import (
    BaseLoss,
    Comparison,
    LossForward,
    Mismatch,
    Predicts,
    Targets,
    class_mismatch,
    weighted_mean,
)
from core.nn.step.context import PassContext

MAX_CLASS_WEIGHTS = 10_000
MIN_PROBABILITY = 1e-30
"""The smallest probability of a class in the gradient.

Smaller ones soon lead to denormal numbers, with which many processors compute many times more slowly: a small net that
had almost converged took 147 µs a step, compared with 69 at the start.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoricalLoss(BaseLoss):
    """A loss for several classes, with the link softmax unless a member says otherwise."""

    predicts: ClassVar[Predicts] = "classes"
    link_type: ClassVar[str] = "softmax"
    mixable: ClassVar[bool] = True

    def mismatch(self, targets: Targets, output: Shape) -> Mismatch | None:
        """Return a mismatch unless the targets are class names, class numbers or probabilities that fit the output.

        The output has one unit for each class. For outputs `(steps, classes)` this holds for each step.
        """
        if targets.classes:
            if output == (targets.classes,):
                return None
            return Mismatch(f"emits {output}, and the target names {targets.classes} classes: give it as many units")
        if not output or output[-1] < 2:
            return Mismatch(f"emits {output}: {self.type} needs one unit for each class, at least 2")
        if targets.shape == output:
            return (
                None if targets.within(0, 1) else Mismatch(f"{self.type} needs probabilities from 0 to 1", output=False)
            )
        return class_mismatch(targets, output, self.type)

    def classes(self, output: Shape) -> int | None:
        """Return the number of units: one for each class."""
        return output[-1]

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """Return probabilities `(batch, …, classes)` that add up to 1."""
        return softmax(outputs, np.empty_like(outputs))

    def encode(self, targets: Array, output_shape: Shape) -> Any:
        """Return class numbers `(rows, …)` as indices, and probabilities `(rows, …, classes)` unchanged."""
        if targets.shape[1:] == output_shape and output_shape != (1,):
            return targets
        return targets.reshape(len(targets), *output_shape[:-1]).astype(np.intp)

    @abstractmethod
    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the unweighted mean loss of outputs `(rows, classes)`.

        Targets are class numbers `(rows,)` or probabilities `(rows, classes)`.
        """

    def forward(self, outputs: Array, targets: Array, ctx: PassContext) -> LossForward:
        """Return the mean over all unmasked rows and steps, weighted by the rows' weights if there are any.

        Outputs are `(batch, …, classes)`. Targets are class numbers `(batch, …)` or probabilities
        `(batch, …, classes)`.
        """
        rows, row_targets = outputs, targets
        if outputs.ndim > 2:
            rows = outputs.reshape(-1, outputs.shape[-1])
            row_targets = targets.reshape(rows.shape if targets.ndim == outputs.ndim else -1)
        value, backward, each = self.compare(rows, row_targets, ctx)
        if ctx.weights is not None:
            value, backward = weighted_mean((value, backward, each), ctx.weights)
        return value, backward if rows is outputs else lambda: backward().reshape(outputs.shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossEntropy(CategoricalLoss):
    """`−Σ t · log p` with `p = softmax(outputs)`. Link: softmax."""

    type: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    """The fraction of each target that is spread evenly over all classes (Szegedy et al. 2016, section 7)."""
    class_weight: Annotated[tuple[Annotated[float, Gt(0)], ...], Len(2, MAX_CLASS_WEIGHTS)] | None = None
    """The weight of each class's rows; null: all weights are equal."""

    def mismatch(self, targets: Targets, output: Shape) -> Mismatch | None:
        """Return a mismatch as for all losses of classes, or if there is not one weight for each class."""
        mismatch = CategoricalLoss.mismatch(self, targets, output)
        if mismatch or self.class_weight is None or len(self.class_weight) == output[-1]:
            return mismatch
        return Mismatch(f"class_weight has {len(self.class_weight)} weights for {output[-1]} classes", output=False)

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss of outputs (logits) `(rows, classes)`; the gradient is `(p − t) / rows`.

        Targets are class numbers `(rows,)` or probabilities `(rows, classes)`. The largest logit of each row is
        subtracted first, so nothing overflows.
        """
        rows = len(outputs)
        if self.label_smoothing or self.class_weight:
            targets = self._weighted(as_probabilities(targets, outputs, ctx))
        shifted = np.subtract(outputs, row_maxima(outputs, ctx), out=ctx.empty(outputs.shape))
        p = np.exp(shifted, out=ctx.empty(outputs.shape))
        sums = row_sums(p, ctx.empty((rows,)))
        log_sums = np.log(sums, out=ctx.empty((rows,)))
        dense = targets.ndim == 2
        if dense:
            target_logits = np.dot(shifted.reshape(-1), targets.reshape(-1))
            value = (np.dot(log_sums, np.add.reduce(targets, axis=1)) - target_logits) / rows
        else:
            chosen = np.add(_row_starts(outputs.shape), targets, out=ctx.empty((rows,), np.intp))
            losses = np.subtract(log_sums, shifted.reshape(-1)[chosen])
            value = total(losses) / rows

        def backward() -> Array:
            if dense:
                np.divide(p, sums[:, None], out=p)
                np.maximum(p, MIN_PROBABILITY, out=p)
                np.multiply(p, np.add.reduce(targets, axis=1, keepdims=True), out=p)
                np.subtract(p, targets, out=p)
                return np.divide(p, rows, out=p)
            np.multiply(sums, rows, out=sums)
            np.divide(p, sums[:, None], out=p)
            np.maximum(p, MIN_PROBABILITY, out=p)
            p.reshape(-1)[chosen] -= 1 / rows
            return p

        def each() -> Array:
            return log_sums * targets.sum(axis=1) - (shifted * targets).sum(axis=1) if dense else losses

        return value, backward, each

    def _weighted(self, t: Array) -> Array:
        """Smooth the target probabilities, and multiply each row by the weight of its most probable class."""
        weight = np.asarray(self.class_weight, t.dtype)[t.argmax(axis=1)] if self.class_weight else 1
        t *= 1 - self.label_smoothing
        t += self.label_smoothing / t.shape[1]
        t *= np.reshape(weight, (-1, 1))
        return t


@dataclass(frozen=True, kw_only=True, slots=True)
class FocalCrossEntropy(CategoricalLoss):
    """`−α · Σ t · (1 − p)^γ · log p`: well-classified rows count less (Lin et al. 2017, eq. 5). Link: softmax."""

    type: Literal["focal_cross_entropy"] = "focal_cross_entropy"
    gamma: Annotated[float, Ge(0)] = 2.0
    """The focusing exponent γ: the higher, the less well-classified rows count."""
    alpha: Annotated[float, Gt(0)] = 0.25
    """The factor α of the whole loss."""

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss; the gradient is `h − p · Σ h`.

        Here `h = −α · t · ((1 − p)^γ − γ · (1 − p)^(γ − 1) · p · log p)`.
        """
        rows = len(outputs)
        t = as_probabilities(targets, outputs, ctx)
        log_p = np.subtract(outputs, outputs.max(axis=1, keepdims=True), out=ctx.empty(outputs.shape))
        p = np.exp(log_p, out=ctx.empty(outputs.shape))
        log_p -= np.log(p.sum(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        wrong = np.subtract(1, p, out=ctx.empty(outputs.shape))
        np.maximum(wrong, np.finfo(p.dtype).tiny, out=wrong)
        t *= -self.alpha
        t *= np.power(wrong, self.gamma, out=ctx.empty(outputs.shape))
        value = np.dot(t.reshape(-1), log_p.reshape(-1)) / rows

        def backward() -> Array:
            np.multiply(log_p, p, out=log_p)
            np.divide(log_p, wrong, out=log_p)
            np.multiply(log_p, -self.gamma, out=log_p)
            np.add(log_p, 1, out=log_p)
            slope = np.multiply(t, log_p, out=log_p)
            np.multiply(p, slope.sum(axis=1, keepdims=True), out=p)
            np.subtract(slope, p, out=slope)
            return np.divide(slope, rows, out=slope)

        return value, backward, lambda: (t * log_p).sum(axis=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class KlDivergence(CategoricalLoss):
    """`Σ t · log(t / p)` with `p = softmax(outputs)`, the relative entropy (Kullback & Leibler 1951). Link: softmax."""

    type: Literal["kl_divergence"] = "kl_divergence"

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the cross-entropy minus the entropy of the targets, which does not affect the gradient."""
        value, backward, each = CrossEntropy().compare(outputs, targets, ctx)
        if targets.ndim == 1:
            return value, backward, each
        log_t = np.log(targets, out=np.zeros_like(targets), where=targets > 0)
        value = value + np.vdot(targets, log_t) / len(targets)
        return value, backward, lambda: each() + (targets * log_t).sum(axis=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoricalHinge(CategoricalLoss):
    """`max(1 + the largest wrong output − the true class's, 0)` (Crammer & Singer 2001). Link: one-hot of the largest.

    A margin is not a probability: a prediction gives all probability to one class.
    """

    type: Literal["categorical_hinge"] = "categorical_hinge"
    link_type: ClassVar[str] = "one_hot"
    mixable: ClassVar[bool] = False

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss.

        Where the margin is violated, the gradient is `1 / rows` at the largest wrong output and `−1 / rows` at the true
        one.
        """
        row = np.arange(len(outputs))
        true: Any = targets.argmax(axis=1) if targets.ndim == 2 else targets
        others: Any = ctx.empty(outputs.shape)
        np.copyto(others, outputs)
        others[row, true] = -np.inf
        wrong = others.argmax(axis=1)
        violation = np.maximum(1 + outputs[row, wrong] - outputs[row, true], 0)

        def backward() -> Array:
            others.fill(0)
            others[row, wrong] = (violation > 0) / len(outputs)
            others[row, true] -= others[row, wrong]
            return others

        return float(violation.mean()), backward, lambda: violation

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """Return 1 for the class of the largest output, else 0."""
        return np.eye(outputs.shape[-1], dtype=outputs.dtype)[outputs.argmax(axis=-1)]


@lru_cache(maxsize=8)
def _row_starts(shape: Shape) -> Any:
    """Return the flat index of the first element of each row of `(rows, classes)`."""
    starts = np.arange(0, shape[0] * shape[1], shape[1])
    starts.flags.writeable = False
    return starts


def as_probabilities(targets: Array, outputs: Array, ctx: PassContext) -> Array:
    """Return class numbers `(rows,)` or probabilities `(rows, classes)` as probabilities in a new array."""
    t: Any = ctx.empty(outputs.shape)
    if targets.ndim == 2:
        np.copyto(t, targets)
    else:
        t.fill(0)
        t[np.arange(len(outputs)), targets] = 1
    return t


CategoricalLosses: TypeAlias = CrossEntropy | FocalCrossEntropy | KlDivergence | CategoricalHinge
