"""Losses of any number of classes, with one output for each."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Lt, MinLen

from core.nn.activations import softmax
from core.nn.arrays import Array, Mask, Shape
from core.nn.kernels.reductions import row_maxima, row_sums, total
from core.nn.losses.base import BaseLoss, Compared, Lost, Misfit, Predicts, Targets, not_class_numbers, weighed
from core.nn.step.context import PassContext

LEAST_SHARE = 1e-30
"""Of a class, as the gradient sees it. What is less soon leads to denormal numbers, with which many processors compute
many times more slowly: a little net that had all but learnt its classes took 147 µs a step, at first 69.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class OfClasses(BaseLoss):
    """What every loss of classes says of itself, by the link softmax."""

    predicts: ClassVar[Predicts] = "classes"
    applies: ClassVar[str] = "softmax"
    mixable: ClassVar[bool] = True

    def misfit(self, targets: Targets, output: Shape) -> Misfit | None:
        """Targets are classes, whole numbers from 0, or a share for each class; the output has one unit a class.

        So it is for each step, where the output is `(steps, classes)`.
        """
        if targets.classes:
            if output == (targets.classes,):
                return None
            return Misfit(f"emits {output}, and the target names {targets.classes} classes: give it as many units")
        if not output or output[-1] < 2:
            return Misfit(f"emits {output}: {self.type} needs one unit for each class, at least 2")
        if targets.shape == output:
            return None if targets.within(0, 1) else Misfit(f"{self.type} needs shares from 0 to 1", output=False)
        return not_class_numbers(targets, output, self.type)

    def classes(self, output: Shape) -> int | None:
        """One unit a class."""
        return output[-1]

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """Probabilities `(batch, …, classes)` that add up to one."""
        return softmax(outputs, np.empty_like(outputs))

    def encode(self, targets: Array, output_shape: Shape) -> Any:
        """Class numbers `(rows, …)` as indices, one for each step; shares `(rows, …, classes)` as they are."""
        if targets.shape[1:] == output_shape and output_shape != (1,):
            return targets
        return targets.reshape(len(targets), *output_shape[:-1]).astype(np.intp)

    @abstractmethod
    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """The mean over outputs `(rows, classes)`; targets are numbers `(rows,)` or shares `(rows, classes)`."""

    def forward(self, outputs: Array, targets: Array, ctx: PassContext) -> Lost:
        """The mean over all rows, and steps, that are there, by their weights, if they have any.

        Outputs are `(batch, …, classes)`; targets are class numbers `(batch, …)` or shares `(batch, …, classes)`.
        """
        rows, aims = outputs, targets
        if outputs.ndim > 2:
            rows = outputs.reshape(-1, outputs.shape[-1])
            aims = targets.reshape(rows.shape if targets.ndim == outputs.ndim else -1)
        value, backward, each = self.compare(rows, aims, ctx)
        if ctx.weights is not None:
            value, backward = weighed((value, backward, each), ctx.weights)
        return value, backward if rows is outputs else lambda: backward().reshape(outputs.shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossEntropy(OfClasses):
    """`−Σ t · log p` with `p = softmax(outputs)`: for classes. Link: softmax."""

    type: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    """The share of each target that is spread evenly over all classes (Szegedy et al. 2016, section 7)."""
    class_weight: Annotated[tuple[Annotated[float, Gt(0)], ...], MinLen(2)] | None = None
    """How much a row of each class counts; left out: all alike."""

    def misfit(self, targets: Targets, output: Shape) -> Misfit | None:
        """As all losses of classes; there is one weight for each class."""
        misfit = OfClasses.misfit(self, targets, output)
        if misfit or self.class_weight is None or len(self.class_weight) == output[-1]:
            return misfit
        return Misfit(f"class_weight has {len(self.class_weight)} weights for {output[-1]} classes", output=False)

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """Outputs (logits) `(batch, classes)`; targets are class numbers `(batch,)` or shares `(batch, classes)`.

        The gradient is `(p − t) / batch`. The largest logit is taken off first, so nothing overflows.
        """
        rows = len(outputs)
        if self.label_smoothing or self.class_weight:
            targets = self._weighted(shares_of(targets, outputs, ctx))
        shifted = np.subtract(outputs, row_maxima(outputs, ctx), out=ctx.empty(outputs.shape))
        shares = np.exp(shifted, out=ctx.empty(outputs.shape))
        whole = row_sums(shares, ctx.empty((rows,)))
        log_whole = np.log(whole, out=ctx.empty((rows,)))
        one_hot = targets.ndim == 2
        if one_hot:
            known = np.dot(shifted.reshape(-1), targets.reshape(-1))
            value = (np.dot(log_whole, np.add.reduce(targets, axis=1)) - known) / rows
        else:
            chosen = np.add(_firsts(outputs.shape), targets, out=ctx.empty((rows,), np.intp))
            lost = np.subtract(log_whole, shifted.reshape(-1)[chosen])
            value = total(lost) / rows

        def backward() -> Array:
            if one_hot:
                np.divide(shares, whole[:, None], out=shares)
                np.maximum(shares, LEAST_SHARE, out=shares)
                np.multiply(shares, np.add.reduce(targets, axis=1, keepdims=True), out=shares)
                np.subtract(shares, targets, out=shares)
                return np.divide(shares, rows, out=shares)
            np.multiply(whole, rows, out=whole)
            np.divide(shares, whole[:, None], out=shares)
            np.maximum(shares, LEAST_SHARE, out=shares)
            shares.reshape(-1)[chosen] -= 1 / rows
            return shares

        def each() -> Array:
            return log_whole * targets.sum(axis=1) - (shifted * targets).sum(axis=1) if one_hot else lost

        return value, backward, each

    def _weighted(self, shares: Array) -> Array:
        """The shares, smoothed; a row counts by the weight of its likeliest class."""
        weight = np.asarray(self.class_weight, shares.dtype)[shares.argmax(axis=1)] if self.class_weight else 1
        shares *= 1 - self.label_smoothing
        shares += self.label_smoothing / shares.shape[1]
        shares *= np.reshape(weight, (-1, 1))
        return shares


@dataclass(frozen=True, kw_only=True, slots=True)
class FocalCrossEntropy(OfClasses):
    """`−α · Σ t · (1 − p)^γ · log p`: what is right already counts less (Lin et al. 2017, eq. 5). Link: softmax."""

    type: Literal["focal_cross_entropy"] = "focal_cross_entropy"
    gamma: Annotated[float, Ge(0)] = 2.0
    """How much less."""
    alpha: Annotated[float, Gt(0)] = 0.25
    """A factor of the whole loss."""

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """`∂outputs = h − p · Σ h` with `h = −α · t · ((1 − p)^γ − γ · (1 − p)^(γ − 1) · p · log p)`."""
        rows = len(outputs)
        t = shares_of(targets, outputs, ctx)
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
class KlDivergence(OfClasses):
    """`Σ t · log(t / p)` with `p = softmax(outputs)`: how far p is from t (Kullback & Leibler 1951). Link: softmax."""

    type: Literal["kl_divergence"] = "kl_divergence"

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """The cross-entropy less that of the targets with themselves, which is no part of the gradient."""
        value, backward, each = CrossEntropy().compare(outputs, targets, ctx)
        if targets.ndim == 1:
            return value, backward, each
        known = np.log(targets, out=np.zeros_like(targets), where=targets > 0)
        value = value + np.vdot(targets, known) / len(targets)
        return value, backward, lambda: each() + (targets * known).sum(axis=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoricalHinge(OfClasses):
    """`max(1 + the best wrong output − the true class's, 0)` (Crammer & Singer 2001). Link: the largest output.

    A margin is no probability: a prediction gives all of it to one class.
    """

    type: Literal["categorical_hinge"] = "categorical_hinge"
    applies: ClassVar[str] = "one_hot"
    mixable: ClassVar[bool] = False

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """Where the margin lacks: `1 / batch` at the best wrong output and `−1 / batch` at the true one."""
        turn = np.arange(len(outputs))
        true: Any = targets.argmax(axis=1) if targets.ndim == 2 else targets
        others: Any = ctx.empty(outputs.shape)
        np.copyto(others, outputs)
        others[turn, true] = -np.inf
        best = others.argmax(axis=1)
        lacks = np.maximum(1 + outputs[turn, best] - outputs[turn, true], 0)

        def backward() -> Array:
            others.fill(0)
            others[turn, best] = (lacks > 0) / len(outputs)
            others[turn, true] -= others[turn, best]
            return others

        return float(lacks.mean()), backward, lambda: lacks

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """1 for the class of the largest output, else 0."""
        return np.eye(outputs.shape[-1], dtype=outputs.dtype)[outputs.argmax(axis=-1)]


@lru_cache(maxsize=8)
def _firsts(shape: Shape) -> Any:
    """Where each row of `(rows, classes)` begins."""
    firsts = np.arange(0, shape[0] * shape[1], shape[1])
    firsts.flags.writeable = False
    return firsts


def shares_of(targets: Array, outputs: Array, ctx: PassContext) -> Array:
    """Class numbers `(batch,)` or shares `(batch, classes)` as shares that may be overwritten."""
    shares: Any = ctx.empty(outputs.shape)
    if targets.ndim == 2:
        np.copyto(shares, targets)
    else:
        shares.fill(0)
        shares[np.arange(len(outputs)), targets] = 1
    return shares


OfAnyClass: TypeAlias = CrossEntropy | FocalCrossEntropy | KlDivergence | CategoricalHinge
