"""Losses of numbers: how far an output is from its target."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Gt, Lt

from core.nn.activations import sigmoid, softplus
from core.nn.arrays import Array, Mask, Shape
from core.nn.losses.base import BaseLoss, Compared, Lost, Misfit, Predicts, Targets, unequal, weighed
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class OfNumbers(BaseLoss):
    """What every loss of numbers that has no link says of itself."""

    predicts: ClassVar[Predicts] = "numbers"
    mixable: ClassVar[bool] = True

    def misfit(self, targets: Targets, output: Shape) -> Misfit | None:
        """Targets are numbers in the shape of the output."""
        if targets.classes:
            return Misfit("the target names classes: use cross_entropy, or leave the loss out", output=False)
        return unequal(targets.shape, output)

    def encode(self, targets: Array, output_shape: Shape) -> Array:
        """Numbers `(rows, …)` in the shape of the outputs."""
        return targets.reshape(len(targets), *output_shape)

    @abstractmethod
    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """The mean over all numbers of outputs and targets `(batch, …)`."""

    def forward(self, outputs: Array, targets: Array, ctx: PassContext) -> Lost:
        """The mean over all numbers that are there; rows count by their weights, if they have any."""
        value, backward, each = self.compare(outputs, targets, ctx)
        return (value, backward) if ctx.weights is None else weighed((value, backward, each), ctx.weights)


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanSquaredError(OfNumbers):
    """The mean of `(output − target)²` over all numbers of the batch: for numbers. Link: none."""

    type: Literal["mean_squared_error"] = "mean_squared_error"

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """Outputs and targets `(batch, …)`; the gradient is `2 · (output − target) / size`."""
        difference = np.subtract(outputs, targets, out=ctx.empty(outputs.shape))
        flat = difference.reshape(-1)
        value = np.dot(flat, flat) / difference.size
        return value, lambda: np.multiply(difference, 2 / difference.size, out=difference), lambda: difference**2


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanAbsoluteError(OfNumbers):
    """The mean of `|output − target|`, which outliers pull less than squares do (Laplace 1774). Link: none."""

    type: Literal["mean_absolute_error"] = "mean_absolute_error"

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """The gradient is `sign(output − target) / size`."""
        difference = np.subtract(outputs, targets, out=ctx.empty(outputs.shape))
        size = np.abs(difference, out=ctx.empty(outputs.shape))

        def backward() -> Array:
            np.sign(difference, out=difference)
            return np.divide(difference, difference.size, out=difference)

        return _mean(size), backward, lambda: size


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanAbsolutePercentageError(OfNumbers):
    """The mean of `100 · |output − target| / |target|`; a target of 0 counts as 1e-7. Link: none."""

    type: Literal["mean_absolute_percentage_error"] = "mean_absolute_percentage_error"

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """The gradient is `100 · sign(output − target) / |target| / size`."""
        difference = np.subtract(outputs, targets, out=ctx.empty(outputs.shape))
        scale = np.abs(targets, out=ctx.empty(outputs.shape))
        np.maximum(scale, 1e-7, out=scale)
        np.divide(100, scale, out=scale)
        share = np.abs(difference, out=ctx.empty(outputs.shape))
        share *= scale

        def backward() -> Array:
            np.sign(difference, out=difference)
            np.multiply(difference, scale, out=difference)
            return np.divide(difference, difference.size, out=difference)

        return _mean(share), backward, lambda: share


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanSquaredLogarithmicError(OfNumbers):
    """The mean of `(log(1 + output) − log(1 + target))²`: for what grows by factors. Link: none.

    An output below 0 counts as 0, where the gradient is 0.
    """

    type: Literal["mean_squared_logarithmic_error"] = "mean_squared_logarithmic_error"

    def misfit(self, targets: Targets, output: Shape) -> Misfit | None:
        """Targets are numbers of at least 0 in the shape of the output."""
        if not targets.classes and targets.least < 0:
            return Misfit(f"{self.type} needs targets of at least 0: use mean_squared_error", output=False)
        return OfNumbers.misfit(self, targets, output)

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """With d the difference of both logarithms: `2 · d / (1 + output) / size` where the output is above 0."""
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
class Huber(OfNumbers):
    """`d² / 2` for a difference d of up to δ, then the line `δ · (|d| − δ / 2)` (Huber 1964). Link: none."""

    type: Literal["huber"] = "huber"
    delta: Annotated[float, Gt(0)] = 1.0
    """Where the square goes over into the line."""

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """With d brought between ±δ as c: `c · (d − c / 2)`, and the gradient is `c / size`."""
        difference = np.subtract(outputs, targets, out=ctx.empty(outputs.shape))
        near = np.clip(difference, -self.delta, self.delta, out=ctx.empty(outputs.shape))
        difference -= np.multiply(near, 0.5, out=ctx.empty(outputs.shape))
        value = np.dot(near.reshape(-1), difference.reshape(-1)) / near.size
        return value, lambda: np.divide(near, near.size, out=near), lambda: near * difference


@dataclass(frozen=True, kw_only=True, slots=True)
class LogCosh(OfNumbers):
    """The mean of `log cosh(output − target)`: a square near 0, a straight line far off. Link: none."""

    type: Literal["log_cosh"] = "log_cosh"

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """It is `|d| + log(1 + e^−2|d|) − log 2`, which cannot overflow; the gradient is `tanh(d) / size`."""
        difference = np.subtract(outputs, targets, out=ctx.empty(outputs.shape))
        far = np.abs(difference, out=ctx.empty(outputs.shape))
        far *= 2
        rest = softplus(np.negative(far, out=far), ctx.empty(far.shape), ctx.empty(far.shape))
        value = _mean(rest)
        value -= np.add.reduce(far, axis=None) / (2 * far.size) + math.log(2)

        def backward() -> Array:
            np.tanh(difference, out=difference)
            return np.divide(difference, difference.size, out=difference)

        return value, backward, lambda: rest - far / 2 - math.log(2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantile(OfNumbers):
    """The pinball loss, least where a share of all targets is below the output (Koenker & Bassett 1978). Link: none."""

    type: Literal["quantile"] = "quantile"
    quantile: Annotated[float, Gt(0), Lt(1)] = 0.5
    """The share; 0.5 asks for the median."""

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """`q · (target − output)` if above 0, else `(q − 1) · (target − output)`: gradients `−q` and `1 − q`."""
        difference = np.subtract(outputs, targets, out=ctx.empty(outputs.shape))
        slope: Array = ctx.empty(outputs.shape)
        slope.fill(-self.quantile)
        np.copyto(slope, 1 - self.quantile, where=difference > 0)
        value = np.dot(difference.reshape(-1), slope.reshape(-1)) / slope.size
        return value, lambda: np.divide(slope, slope.size, out=slope), lambda: slope * difference


@dataclass(frozen=True, kw_only=True, slots=True)
class Poisson(OfNumbers):
    """`e^output − target · output`: for counts of mean `e^output` (Nelder & Wedderburn 1972). Link: exponential."""

    type: Literal["poisson"] = "poisson"
    applies: ClassVar[str] = "exponential"

    def misfit(self, targets: Targets, output: Shape) -> Misfit | None:
        """Targets are numbers of at least 0 in the shape of the output."""
        if not targets.classes and targets.least < 0:
            return Misfit("poisson needs targets of at least 0: use mean_squared_error", output=False)
        return OfNumbers.misfit(self, targets, output)

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """The gradient is `(e^output − target) / size`."""
        means = np.exp(outputs, out=ctx.empty(outputs.shape))
        value = (np.add.reduce(means, axis=None) - np.dot(targets.reshape(-1), outputs.reshape(-1))) / means.size

        def backward() -> Array:
            np.subtract(means, targets, out=means)
            return np.divide(means, means.size, out=means)

        return value, backward, lambda: means - targets * outputs

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """The means."""
        return np.exp(outputs)


@dataclass(frozen=True, kw_only=True, slots=True)
class GaussianNegativeLogLikelihood(OfNumbers):
    """`(log v + (target − m)² / v) / 2`: how likely a target is, with m and v both learnt. Link: the mean.

    The first half of the last axis are means, the second half z with `v = log(1 + eᶻ) + ε`
    (Nix & Weigend 1994; Lakshminarayanan et al. 2017, section 2.2.1).
    """

    type: Literal["gaussian_negative_log_likelihood"] = "gaussian_negative_log_likelihood"
    epsilon: Annotated[float, Gt(0)] = 1e-6
    """The least variance."""

    def misfit(self, targets: Targets, output: Shape) -> Misfit | None:
        """Targets are numbers; the output has twice as many."""
        if targets.classes or not output:
            return OfNumbers.misfit(self, targets, output)
        wanted = (*targets.shape[:-1], 2 * targets.shape[-1])
        if output == wanted:
            return None
        return Misfit(f"emits {output}, and needs a mean and a variance for each target: make it {wanted}")

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """Targets `(batch, …, k)`, outputs `(batch, …, 2·k)`.

        With `r = (m − target) / v`: `∂m = r / size`, `∂v = (1 / v − r²) / (2 · size)`, `∂z = ∂v · sigmoid(z)`.
        """
        half = outputs.shape[-1] // 2
        means, z = outputs[..., :half], outputs[..., half:]
        variance = softplus(z, ctx.empty(z.shape), ctx.empty(z.shape))
        variance += self.epsilon
        off = np.subtract(means, targets, out=ctx.empty(z.shape))
        ratio = np.divide(off, variance, out=ctx.empty(z.shape))
        logs = np.log(variance, out=ctx.empty(z.shape))
        value = (np.add.reduce(logs, axis=None) + np.dot(off.reshape(-1), ratio.reshape(-1))) / (2 * z.size)

        def backward() -> Array:
            gradient: Any = ctx.empty(outputs.shape)
            np.copyto(gradient[..., :half], ratio)
            np.multiply(ratio, ratio, out=ratio)
            np.divide(1, variance, out=variance)
            np.subtract(variance, ratio, out=ratio)
            np.multiply(sigmoid(z, variance), ratio, out=ratio)
            np.multiply(ratio, 0.5, out=gradient[..., half:])
            return np.divide(gradient, z.size, out=gradient)

        return value, backward, lambda: (logs + off * ratio) / 2

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """The means `(batch, …, k)`."""
        return outputs[..., : outputs.shape[-1] // 2]

    def encode(self, targets: Array, output_shape: Shape) -> Array:
        """Numbers `(rows, …, k)`."""
        return targets.reshape(len(targets), *output_shape[:-1], output_shape[-1] // 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class CosineSimilarity(OfNumbers):
    """Minus the cosine of the angle between output and target, both taken along the last axis. Link: none."""

    type: Literal["cosine_similarity"] = "cosine_similarity"

    def misfit(self, targets: Targets, output: Shape) -> Misfit | None:
        """Targets are vectors of at least two numbers in the shape of the output."""
        if not targets.classes and (not output or output[-1] < 2):
            return Misfit(
                f"emits {output}: cosine_similarity needs at least 2 units, since one number has no direction"
            )
        return OfNumbers.misfit(self, targets, output)

    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Compared:
        """With both brought to length 1 as ô and t̂: `−ô · t̂`, and the gradient is `(ô · (ô · t̂) − t̂) / |output|`."""
        length = np.sqrt(np.maximum(np.square(outputs).sum(axis=-1, keepdims=True), 1e-12))
        along = np.divide(outputs, length, out=ctx.empty(outputs.shape))
        wanted = np.square(targets).sum(axis=-1, keepdims=True)
        aim = np.divide(targets, np.sqrt(np.maximum(wanted, 1e-12)), out=ctx.empty(outputs.shape))
        product = np.multiply(along, aim, out=ctx.empty(outputs.shape)).sum(axis=-1, keepdims=True)

        def backward() -> Array:
            np.multiply(along, product, out=along)
            np.subtract(along, aim, out=along)
            return np.divide(along, length * product.size, out=along)

        return -_mean(product), backward, lambda: -product


def _mean(values: Array) -> Any:
    return np.add.reduce(values, axis=None) / values.size


OfNumber: TypeAlias = (
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
