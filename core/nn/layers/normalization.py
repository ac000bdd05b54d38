"""Normalization layers: they bring activations to a common scale, which allows deeper nets and larger steps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Lt

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.initializers import Initializer, Ones, Zeros
from core.nn.kernels.reductions import column_sums, row_sums
from core.nn.layers.base import Trainable
from core.nn.plan import Plan, ShapeMismatch, Statistic, Views, Weight
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True)
class ScaleAndShift(Trainable):
    """A normalization with an optional scale γ and an optional shift β, one number per feature."""

    __slots__ = ()

    center: bool = True
    """Whether to add β."""
    scale: bool = True
    """Whether to multiply by γ."""
    beta_initializer: Initializer = field(default=Zeros())
    """The initial values of β."""
    gamma_initializer: Initializer = field(default=Ones())
    """The initial values of γ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchNormalization(ScaleAndShift):
    """Batch normalization: `y = γ · (x − μ) / √(σ² + ε) + β` per feature (Ioffe & Szegedy 2015, alg. 1).

    In training μ and σ² are the moments of the batch, and their moving averages are updated; prediction uses the
    moving averages.
    """

    type: Literal["batch_normalization"] = "batch_normalization"
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.99
    """The factor by which each step multiplies the moving averages."""
    epsilon: Annotated[float, Gt(0)] = 1e-3
    """The number ε that avoids a division by zero."""
    trainable: bool = True
    """Whether the layer is trained; if not, weights and moving averages stay fixed, and the latter normalize."""

    def plan(self, shape: Shape) -> Plan:
        """γ, β and the moving averages of μ and σ², each `(features,)`."""
        weights = _weights(self, shape)
        width = shape[-1:]
        statistics = {"moving_mean": Statistic(width, 0.0), "moving_variance": Statistic(width, 1.0)}
        flops, activation_size, scratch = 8 * size(shape), 4 * size(shape), 4 * size(width)
        plan = Plan(
            shape, weights, statistics, flops=flops, activation_size=activation_size, scratch=scratch, divisible=False
        )
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂γ = Σ ∂y·x̂`, `∂β = Σ ∂y`, `∂x = γ / (n·√(σ² + ε)) · (n·∂y − ∂β − x̂·∂γ)`.

        n is the number of elements per feature and x̂ the normalized input (section 3 of the paper, simplified).
        """
        input_shape, rows = x.shape, x.reshape(-1, x.shape[-1])
        count = len(rows)
        use_batch = ctx.training and views.trainable
        moving_mean, moving_variance = views.statistics["moving_mean"], views.statistics["moving_variance"]
        width = x.shape[-1:]
        mean = moving_mean
        if use_batch:
            mean = column_sums(rows, ctx.empty(width))
            mean /= count
        normal = np.subtract(rows, mean, out=ctx.empty(rows.shape))
        variance = moving_variance
        if use_batch:
            squares = np.multiply(normal, normal, out=ctx.empty(rows.shape))
            variance = column_sums(squares, ctx.empty(width))
            variance /= count
            self._update(moving_mean, mean)
            self._update(moving_variance, variance)
        inverse_deviation = 1 / np.sqrt(variance + x.dtype.type(self.epsilon))
        normal *= inverse_deviation
        y = np.multiply(normal, views.weights["gamma"] if self.scale else 1, out=ctx.empty(rows.shape))
        if self.center:
            y += views.weights["beta"]

        def backward(d_output: Array) -> Array:
            d_y = d_output.reshape(normal.shape)
            product = np.multiply(d_y, normal, out=ctx.empty(normal.shape))
            d_gamma, d_beta = column_sums(product, ctx.empty(width)), column_sums(d_y, ctx.empty(width))
            if self.scale:
                views.gradients["gamma"][:] = d_gamma
            if self.center:
                views.gradients["beta"][:] = d_beta
            factor = inverse_deviation * views.weights["gamma"] if self.scale else inverse_deviation
            if use_batch:  # the moments of the batch depend on x, too
                d_y -= d_beta / count
                d_y -= np.multiply(normal, d_gamma / count, out=product)
            d_y *= factor
            return d_y.reshape(input_shape)

        return y.reshape(input_shape), backward

    def _update(self, moving: Array, current: Array) -> None:
        moving *= self.momentum
        moving += (1 - self.momentum) * current


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerNormalization(ScaleAndShift):
    """Layer normalization: `y = γ · (x − μ) / √(σ² + ε) + β` over the last axis of each row (Ba et al. 2016)."""

    type: Literal["layer_normalization"] = "layer_normalization"
    epsilon: Annotated[float, Gt(0)] = 1e-3
    """The number ε that avoids a division by zero."""

    def plan(self, shape: Shape) -> Plan:
        """γ and β, each `(features,)`."""
        return _plan_per_row(self, shape, shape).frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x = (g − mean(g) − x̂ · mean(g · x̂)) / √(σ² + ε)` with `g = ∂y · γ`."""
        return _forward_per_row(x, (-1, 1, 1, x.shape[-1]), self.epsilon, views, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class RMSNormalization(Trainable):
    """RMS normalization: `y = γ · x / √(mean(x²) + ε)` over the last axis (Zhang & Sennrich 2019, eq. 4)."""

    type: Literal["rms_normalization"] = "rms_normalization"
    epsilon: Annotated[float, Gt(0)] = 1e-6
    """The number ε that avoids a division by zero."""
    gamma_initializer: Initializer = field(default=Ones())
    """The initial values of γ."""
    center: ClassVar = False
    scale: ClassVar = True
    beta_initializer: ClassVar = Zeros()

    def plan(self, shape: Shape) -> Plan:
        """γ `(features,)`."""
        return _plan_per_row(self, shape, shape).frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x = (g − x̂ · mean(g · x̂)) / √(mean(x²) + ε)` with `g = ∂y · γ`."""
        return _forward_per_row(x, (-1, 1, 1, x.shape[-1]), self.epsilon, views, ctx, subtract_mean=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupNormalization(ScaleAndShift):
    """Group normalization: `y = γ · (x − μ) / √(σ² + ε) + β` over groups of channels of each row (Wu & He 2018).

    With one group it is layer normalization over an image; with a group per channel, instance normalization.
    """

    type: Literal["group_normalization"] = "group_normalization"
    groups: Annotated[int, Ge(1)] = 32
    """The number of groups of channels."""
    epsilon: Annotated[float, Gt(0)] = 1e-3
    """The number ε that avoids a division by zero."""

    def plan(self, shape: Shape) -> Plan:
        """γ and β, each `(channels,)`."""
        if shape and shape[-1] % self.groups:
            raise ShapeMismatch(
                f"gets {shape[-1]} channels for {self.groups} groups: choose a number of groups that divides them"
            )
        return _plan_per_row(self, shape, shape[:-1]).frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x = (g − mean(g) − x̂ · mean(g · x̂)) / √(σ² + ε)` with `g = ∂y · γ`, means over a row's group."""
        shape = (len(x), size(x.shape[1:-1]), self.groups, x.shape[-1] // self.groups)
        return _forward_per_row(x, shape, self.epsilon, views, ctx)


Normalization: TypeAlias = BatchNormalization | LayerNormalization | RMSNormalization | GroupNormalization


def _weights(layer: Normalization, shape: Shape) -> dict[str, Weight]:
    if not shape:
        raise ShapeMismatch("needs (…, features) but gets a single number per row: nest each row in a list")
    weights = {}
    if layer.scale:
        weights["gamma"] = Weight(shape[-1:], layer.gamma_initializer)
    if layer.center:
        weights["beta"] = Weight(shape[-1:], layer.beta_initializer)
    return weights


def _plan_per_row(layer: Normalization, shape: Shape, measured: Shape) -> Plan:
    weights = _weights(layer, shape)
    moments = 4 * size(shape) // measured[-1] if measured else 4 * shape[-1]
    return Plan(shape, weights, flops=8 * size(shape), activation_size=3 * size(shape) + moments)


def _forward_per_row(
    x: Array, shape: tuple[int, ...], epsilon: float, views: Views, ctx: PassContext, *, subtract_mean: bool = True
) -> tuple[Array, Backward]:
    """Normalize over the axes 1 and 3 of x in `shape`, `(n, positions, groups, channels)`, then scale and shift.

    The backward pass needs x̂ but not x.
    """
    input_shape, rows_shape = x.shape, (-1, x.shape[-1])
    gamma, beta = views.weights.get("gamma"), views.weights.get("beta")
    y: Array = ctx.empty(input_shape)
    normal, back_normal = _normalized(x.reshape(shape), y.reshape(shape), epsilon, ctx, subtract_mean=subtract_mean)
    np.multiply(normal.reshape(input_shape), 1 if gamma is None else gamma, out=y)
    if beta is not None:
        y += beta

    def backward(d_output: Array) -> Array:
        d_y, scratch = d_output.reshape(input_shape), ctx.empty(input_shape)
        if beta is not None:
            column_sums(d_y.reshape(rows_shape), views.gradients["beta"])
        if gamma is not None:
            np.multiply(d_y, normal.reshape(input_shape), out=scratch)
            column_sums(scratch.reshape(rows_shape), views.gradients["gamma"])
            d_y *= gamma
        return back_normal(d_y.reshape(normal.shape), scratch.reshape(normal.shape)).reshape(input_shape)

    return y, backward


def _normalized(
    x: Array, scratch: Array, epsilon: float, ctx: PassContext, *, subtract_mean: bool
) -> tuple[Array, Callable[[Array, Array], Array]]:
    """Return x̂ and its backward pass, which takes a scratch array of its own; both overwrite their scratch."""
    number, positions, groups, channels = x.shape
    moments_shape = (number, 1, groups, 1)
    count = positions * channels

    def mean(values: Array) -> Array:
        result: Array = ctx.empty(moments_shape)
        if 1 in (positions, groups):
            row_sums(values.reshape(result.size, -1), result.reshape(-1))
        else:
            np.add.reduce(values, axis=(1, 3), keepdims=True, out=result)
        result /= count
        return result

    normal: Array = ctx.empty(x.shape)
    np.subtract(x, mean(x) if subtract_mean else 0, out=normal)
    deviation = mean(np.multiply(normal, normal, out=scratch))
    deviation += epsilon
    np.sqrt(deviation, out=deviation)
    normal /= deviation

    def backward(g: Array, scratch: Array) -> Array:
        projection = mean(np.multiply(g, normal, out=scratch))
        if subtract_mean:
            g -= mean(g)
        g -= np.multiply(normal, projection, out=scratch)
        g /= deviation
        return g

    return normal, backward
