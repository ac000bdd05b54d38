"""Losses for regression: the distance of each output from its target."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Gt, Lt

from core.nn.arrays import Array, Mask, Shape
from core.nn.kernels.exponentials import sigmoid, softplus
from core.nn.losses.base import (
    Comparison,
    Mismatch,
    Predicts,
    Targets,
    WeightedMeanLoss,
    shape_mismatch,
)
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class RegressionLoss(WeightedMeanLoss):
    """A loss for targets that are numbers, with the identity as link unless a member says otherwise."""

    predicts: ClassVar[Predicts] = "numbers"
    mixable: ClassVar[bool] = True

    def mismatch(self, targets: Targets, output: Shape) -> Mismatch | None:
        """Return a mismatch unless the targets are numbers in the shape of the output."""
        if targets.classes:
            return Mismatch("the target names classes: use cross_entropy, or omit the loss", output=False)
        return shape_mismatch(targets.shape, output)

    def encode(self, targets: Array, output_shape: Shape) -> Array:
        """Return numbers `(rows, …)` in the shape of the outputs."""
        return targets.reshape(len(targets), *output_shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanSquaredError(RegressionLoss):
    """The mean of `(output − target)²` over all numbers of the batch. Link: identity."""

    type: Literal["mean_squared_error"] = "mean_squared_error"
    any_unit: ClassVar[bool] = True

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss of outputs and targets `(batch, …)`; the gradient is `2 · (output − target) / size`."""
        difference = np.subtract(outputs, targets, out=ctx.empty(outputs.shape))
        flat = difference.reshape(-1)
        value = np.dot(flat, flat) / difference.size
        return value, lambda: np.multiply(difference, 2 / difference.size, out=difference), lambda: difference**2


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanAbsoluteError(RegressionLoss):
    """The mean of `|output − target|`, less sensitive to outliers than squares (Laplace 1774). Link: identity."""

    type: Literal["mean_absolute_error"] = "mean_absolute_error"
    any_unit: ClassVar[bool] = True

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss; the gradient is `sign(output − target) / size`."""
        difference = np.subtract(outputs, targets, out=ctx.empty(outputs.shape))
        distance = np.abs(difference, out=ctx.empty(outputs.shape))

        def backward() -> Array:
            np.sign(difference, out=difference)
            return np.divide(difference, difference.size, out=difference)

        return _mean(distance), backward, lambda: distance


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanAbsolutePercentageError(RegressionLoss):
    """The mean of `100 · |output − target| / |target|`; a target of 0 counts as 1e-7. Link: identity."""

    type: Literal["mean_absolute_percentage_error"] = "mean_absolute_percentage_error"

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss; the gradient is `100 · sign(output − target) / |target| / size`."""
        difference = np.subtract(outputs, targets, out=ctx.empty(outputs.shape))
        scale = np.abs(targets, out=ctx.empty(outputs.shape))
        np.maximum(scale, 1e-7, out=scale)
        np.divide(100, scale, out=scale)
        percentage = np.abs(difference, out=ctx.empty(outputs.shape))
        percentage *= scale

        def backward() -> Array:
            np.sign(difference, out=difference)
            np.multiply(difference, scale, out=difference)
            return np.divide(difference, difference.size, out=difference)

        return _mean(percentage), backward, lambda: percentage


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanSquaredLogarithmicError(RegressionLoss):
    """The mean of `(log(1 + output) − log(1 + target))²`: for targets of several magnitudes. Link: identity.

    An output below 0 counts as 0, and its gradient is 0.
    """

    type: Literal["mean_squared_logarithmic_error"] = "mean_squared_logarithmic_error"

    def mismatch(self, targets: Targets, output: Shape) -> Mismatch | None:
        """Return a mismatch unless the targets are numbers of at least 0 in the shape of the output."""
        if not targets.classes and targets.min < 0:
            return Mismatch(f"{self.type} needs targets of at least 0: use mean_squared_error", output=False)
        return RegressionLoss.mismatch(self, targets, output)

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss; the gradient is `2 · d / (1 + output) / size`, with d the difference of the logarithms."""
        slope = np.maximum(outputs, 0, out=ctx.empty(outputs.shape))
        difference = np.log1p(slope, out=ctx.empty(outputs.shape))
        difference -= np.log1p(targets, out=ctx.empty(outputs.shape))
        flat = difference.reshape(-1)
        value = np.dot(flat, flat) / difference.size

        def backward() -> Array:
            np.add(slope, 1, out=slope)
            np.divide(difference, slope, out=slope)
            np.multiply(slope, outputs > 0, out=slope)
            return np.multiply(slope, 2 / slope.size, out=slope)

        return value, backward, lambda: difference**2


@dataclass(frozen=True, kw_only=True, slots=True)
class Huber(RegressionLoss):
    """`d² / 2` for a difference d of up to δ, beyond it `δ · (|d| − δ / 2)` (Huber 1964). Link: identity."""

    type: Literal["huber"] = "huber"
    any_unit: ClassVar[bool] = True
    delta: Annotated[float, Gt(0)] = 1.0
    """The difference at which the loss changes from quadratic to linear."""

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss `c · (d − c / 2)`, with c the difference d clipped to ±δ; the gradient is `c / size`."""
        difference = np.subtract(outputs, targets, out=ctx.empty(outputs.shape))
        clipped = np.clip(difference, -self.delta, self.delta, out=ctx.empty(outputs.shape))
        difference -= np.multiply(clipped, 0.5, out=ctx.empty(outputs.shape))
        value = np.dot(clipped.reshape(-1), difference.reshape(-1)) / clipped.size
        return value, lambda: np.divide(clipped, clipped.size, out=clipped), lambda: clipped * difference


@dataclass(frozen=True, kw_only=True, slots=True)
class LogCosh(RegressionLoss):
    """The mean of `log cosh(output − target)`: quadratic near 0, linear far from it. Link: identity."""

    type: Literal["log_cosh"] = "log_cosh"
    any_unit: ClassVar[bool] = True

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss; the gradient is `tanh(d) / size`.

        It is computed as `|d| + log(1 + e^−2|d|) − log 2`, which cannot overflow.
        """
        difference = np.subtract(outputs, targets, out=ctx.empty(outputs.shape))
        exponent = np.abs(difference, out=ctx.empty(outputs.shape))
        exponent *= 2
        np.negative(exponent, out=exponent)
        logs = softplus(exponent, ctx.empty(exponent.shape), ctx.empty(exponent.shape))
        value = _mean(logs)
        value -= np.add.reduce(exponent, axis=None) / (2 * exponent.size) + math.log(2)

        def backward() -> Array:
            np.tanh(difference, out=difference)
            return np.divide(difference, difference.size, out=difference)

        return value, backward, lambda: logs - exponent / 2 - math.log(2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantile(RegressionLoss):
    """The pinball loss, minimal at a quantile of the targets (Koenker & Bassett 1978). Link: identity."""

    type: Literal["quantile"] = "quantile"
    any_unit: ClassVar[bool] = True
    quantile: Annotated[float, Gt(0), Lt(1)] = 0.5
    """The quantile to predict, as a fraction; 0.5 is the median."""

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss: `q · (target − output)` if that is positive, else `(q − 1) · (target − output)`.

        The gradient is `−q / size` or `(1 − q) / size`.
        """
        difference = np.subtract(outputs, targets, out=ctx.empty(outputs.shape))
        slope: Array = ctx.empty(outputs.shape)
        slope.fill(-self.quantile)
        np.copyto(slope, 1 - self.quantile, where=difference > 0)
        value = np.dot(difference.reshape(-1), slope.reshape(-1)) / slope.size
        return value, lambda: np.divide(slope, slope.size, out=slope), lambda: slope * difference


@dataclass(frozen=True, kw_only=True, slots=True)
class Poisson(RegressionLoss):
    """`e^output − target · output`: for counts with mean `e^output` (Nelder & Wedderburn 1972). Link: exponential."""

    type: Literal["poisson"] = "poisson"
    link_type: ClassVar[str] = "exponential"

    def mismatch(self, targets: Targets, output: Shape) -> Mismatch | None:
        """Return a mismatch unless the targets are numbers of at least 0 in the shape of the output."""
        if not targets.classes and targets.min < 0:
            return Mismatch("poisson needs targets of at least 0: use mean_squared_error", output=False)
        return RegressionLoss.mismatch(self, targets, output)

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss; the gradient is `(e^output − target) / size`."""
        means = np.exp(outputs, out=ctx.empty(outputs.shape))
        value = (np.add.reduce(means, axis=None) - np.dot(targets.reshape(-1), outputs.reshape(-1))) / means.size

        def backward() -> Array:
            np.subtract(means, targets, out=means)
            return np.divide(means, means.size, out=means)

        return value, backward, lambda: means - targets * outputs

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """Return the means `e^output`."""
        return np.exp(outputs)


@dataclass(frozen=True, kw_only=True, slots=True)
class GaussianNegativeLogLikelihood(RegressionLoss):
    """`(log v + (target − m)² / v) / 2`: the mean m and the variance v are both learnt. Link: the mean.

    The first half of the last axis of the outputs is m, the second half z with `v = log(1 + eᶻ) + ε`
    (Nix & Weigend 1994; Lakshminarayanan et al. 2017, section 2.2.1).
    """

    type: Literal["gaussian_negative_log_likelihood"] = "gaussian_negative_log_likelihood"
    any_unit: ClassVar[bool] = True
    epsilon: Annotated[float, Gt(0)] = 1e-6
    """The smallest variance."""

    def mismatch(self, targets: Targets, output: Shape) -> Mismatch | None:
        """Return a mismatch unless the targets are numbers and the output has twice as many."""
        if targets.classes or not output:
            return RegressionLoss.mismatch(self, targets, output)
        wanted = (*targets.shape[:-1], 2 * targets.shape[-1])
        if output == wanted:
            return None
        return Mismatch(f"emits {output}, but the loss needs a mean and a variance for each target: make it {wanted}")

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss of outputs `(batch, …, 2·k)` and targets `(batch, …, k)`.

        With `r = (m − target) / v`: `∂m = r / size`, `∂v = (1 / v − r²) / (2 · size)`, `∂z = ∂v · sigmoid(z)`.
        """
        half = outputs.shape[-1] // 2
        means, z = outputs[..., :half], outputs[..., half:]
        variance = softplus(z, ctx.empty(z.shape), ctx.empty(z.shape))
        variance += self.epsilon
        difference = np.subtract(means, targets, out=ctx.empty(z.shape))
        ratio = np.divide(difference, variance, out=ctx.empty(z.shape))
        logs = np.log(variance, out=ctx.empty(z.shape))
        value = (np.add.reduce(logs, axis=None) + np.dot(difference.reshape(-1), ratio.reshape(-1))) / (2 * z.size)

        def backward() -> Array:
            gradient: Any = ctx.empty(outputs.shape)
            np.copyto(gradient[..., :half], ratio)
            np.multiply(ratio, ratio, out=ratio)
            np.divide(1, variance, out=variance)
            np.subtract(variance, ratio, out=ratio)
            np.multiply(sigmoid(z, variance), ratio, out=ratio)
            np.multiply(ratio, 0.5, out=gradient[..., half:])
            return np.divide(gradient, z.size, out=gradient)

        return value, backward, lambda: (logs + difference * ratio) / 2

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """Return the means `(batch, …, k)`."""
        return outputs[..., : outputs.shape[-1] // 2]

    def encode(self, targets: Array, output_shape: Shape) -> Array:
        """Return numbers `(rows, …, k)`."""
        return targets.reshape(len(targets), *output_shape[:-1], output_shape[-1] // 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class CosineSimilarity(RegressionLoss):
    """Minus the cosine of the angle between output and target along the last axis. Link: identity."""

    type: Literal["cosine_similarity"] = "cosine_similarity"

    def mismatch(self, targets: Targets, output: Shape) -> Mismatch | None:
        """Return a mismatch unless the targets are vectors of at least two numbers in the shape of the output."""
        if not targets.classes and (not output or output[-1] < 2):
            return Mismatch(
                f"emits {output}: cosine_similarity needs at least 2 units, since one number has no direction"
            )
        return RegressionLoss.mismatch(self, targets, output)

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the loss `−ô · t̂` of the unit vectors ô and t̂; the gradient is `(ô · (ô · t̂) − t̂) / |output|`."""
        norm = np.sqrt(np.maximum(np.square(outputs).sum(axis=-1, keepdims=True), 1e-12))
        output_unit = np.divide(outputs, norm, out=ctx.empty(outputs.shape))
        square = np.square(targets).sum(axis=-1, keepdims=True)
        target_unit = np.divide(targets, np.sqrt(np.maximum(square, 1e-12)), out=ctx.empty(outputs.shape))
        product = np.multiply(output_unit, target_unit, out=ctx.empty(outputs.shape))
        cosine = product.sum(axis=-1, keepdims=True)

        def backward() -> Array:
            np.multiply(output_unit, cosine, out=output_unit)
            np.subtract(output_unit, target_unit, out=output_unit)
            return np.divide(output_unit, norm * cosine.size, out=output_unit)

        return -_mean(cosine), backward, lambda: -cosine


def _mean(values: Array) -> Any:
    return np.add.reduce(values, axis=None) / values.size


RegressionLosses: TypeAlias = (
    MeanSquaredError
    | MeanAbsoluteError
    | MeanAbsolutePercentageError
    | MeanSquaredLogarithmicError
    | Huber
    | LogCosh
    | Quantile
    | Poisson
    | GaussianNegativeLogLikelihood
    | CosineSimilarity
)
