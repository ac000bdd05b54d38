"""Layers that bring numbers to a common scale, which lets a deep net learn with longer steps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Lt

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.initializers import Initializer, Ones, Zeros
from core.nn.kernels.reductions import over_rows, within_rows
from core.nn.plan import Plan, ShapeMismatch, Statistic, Views, Weight
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchNormalization:
    """`y = γ · (x − μ) / √(σ² + ε) + β` for each number of the last axis (Ioffe & Szegedy 2015, alg. 1).

    While training μ and σ² are those of the batch, and moving means of both are kept; a prediction uses those.
    """

    type: Literal["batch_normalization"] = "batch_normalization"
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.99
    """How much of the moving statistics is kept at each step."""
    epsilon: Annotated[float, Gt(0)] = 1e-3
    """Keeps the division from zero."""
    center: bool = True
    """Add β."""
    scale: bool = True
    """Multiply by γ."""
    beta_initializer: Initializer = field(default=Zeros())
    """How β begins."""
    gamma_initializer: Initializer = field(default=Ones())
    """How γ begins."""
    trainable: bool = True
    """Whether it learns; if not, weights and moving statistics stay as they are, and it normalises by the latter."""

    def plan(self, shape: Shape) -> Plan:
        """γ, β and both moving statistics, each as long as the last axis."""
        if not shape:
            raise ShapeMismatch("needs (…, features), and gets a single number a row: nest each row in a list")
        width = shape[-1:]
        weights = {}
        if self.scale:
            weights["gamma"] = Weight(width, self.gamma_initializer)
        if self.center:
            weights["beta"] = Weight(width, self.beta_initializer)
        statistics = {"moving_mean": Statistic(width, 0.0), "moving_variance": Statistic(width, 1.0)}
        flops, activation_size, scratch = 8 * size(shape), 4 * size(shape), 4 * size(width)
        plan = Plan(
            shape, weights, statistics, flops=flops, activation_size=activation_size, scratch=scratch, divisible=False
        )
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂γ = Σ ∂y·x̂`, `∂β = Σ ∂y`, `∂x = γ / (n·√(σ² + ε)) · (n·∂y − ∂β − x̂·∂γ)`.

        n is the count of numbers a feature has and x̂ the normalised input (the paper's section 3, gathered).
        """
        given, rows = x.shape, x.reshape(-1, x.shape[-1])
        count = len(rows)
        of_the_batch = ctx.training and views.trainable
        moving_mean, moving_variance = views.statistics["moving_mean"], views.statistics["moving_variance"]
        width = x.shape[-1:]
        mean = moving_mean
        if of_the_batch:
            mean = over_rows(rows, ctx.empty(width))
            mean /= count
        normal = np.subtract(rows, mean, out=ctx.empty(rows.shape))
        variance = moving_variance
        if of_the_batch:
            squares = np.multiply(normal, normal, out=ctx.empty(rows.shape))
            variance = over_rows(squares, ctx.empty(width))
            variance /= count
            self._move(moving_mean, mean)
            self._move(moving_variance, variance)
        deviation = 1 / np.sqrt(variance + x.dtype.type(self.epsilon))
        normal *= deviation
        y = np.multiply(normal, views.weights["gamma"] if self.scale else 1, out=ctx.empty(rows.shape))
        if self.center:
            y += views.weights["beta"]

        def backward(d_output: Array) -> Array:
            d_y = d_output.reshape(normal.shape)
            product = np.multiply(d_y, normal, out=ctx.empty(normal.shape))
            d_gamma, d_beta = over_rows(product, ctx.empty(width)), over_rows(d_y, ctx.empty(width))
            if self.scale:
                views.gradients["gamma"][:] = d_gamma
            if self.center:
                views.gradients["beta"][:] = d_beta
            factor = deviation * views.weights["gamma"] if self.scale else deviation
            if of_the_batch:  # the batch's own moments depend on x, too
                d_y -= d_beta / count
                d_y -= np.multiply(normal, d_gamma / count, out=product)
            d_y *= factor
            return d_y.reshape(given)

        return y.reshape(given), backward

    def _move(self, moving: Array, now: Array) -> None:
        moving *= self.momentum
        moving += (1 - self.momentum) * now


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerNormalization:
    """`y = γ · (x − μ) / √(σ² + ε) + β`, μ and σ² of each row's last axis (Ba et al. 2016)."""

    type: Literal["layer_normalization"] = "layer_normalization"
    epsilon: Annotated[float, Gt(0)] = 1e-3
    """Keeps the division from zero."""
    center: bool = True
    """Add β."""
    scale: bool = True
    """Multiply by γ."""
    beta_initializer: Initializer = field(default=Zeros())
    """How β begins."""
    gamma_initializer: Initializer = field(default=Ones())
    """How γ begins."""
    trainable: bool = True
    """Whether γ and β learn."""

    def plan(self, shape: Shape) -> Plan:
        """γ and β, each as long as the last axis."""
        return _plan_rows(self, shape, shape).frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x = (g − mean(g) − x̂ · mean(g · x̂)) / √(σ² + ε)` with `g = ∂y · γ`."""
        return _forward_rows(x, (-1, 1, 1, x.shape[-1]), self.epsilon, views, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class RMSNormalization:
    """`y = γ · x / √(mean(x²) + ε)` over each row's last axis (Zhang & Sennrich 2019, eq. 4)."""

    type: Literal["rms_normalization"] = "rms_normalization"
    epsilon: Annotated[float, Gt(0)] = 1e-6
    """Keeps the division from zero."""
    gamma_initializer: Initializer = field(default=Ones())
    """How γ begins."""
    trainable: bool = True
    """Whether γ learns."""
    center: ClassVar = False
    scale: ClassVar = True
    beta_initializer: ClassVar = Zeros()

    def plan(self, shape: Shape) -> Plan:
        """γ, as long as the last axis."""
        return _plan_rows(self, shape, shape).frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x = (g − x̂ · mean(g · x̂)) / √(mean(x²) + ε)` with `g = ∂y · γ`."""
        return _forward_rows(x, (-1, 1, 1, x.shape[-1]), self.epsilon, views, ctx, centered=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupNormalization:
    """`y = γ · (x − μ) / √(σ² + ε) + β`, μ and σ² of each row's groups of channels (Wu & He 2018).

    One group is the layer normalisation of images, as many groups as channels their instance normalisation.
    """

    type: Literal["group_normalization"] = "group_normalization"
    groups: Annotated[int, Ge(1)] = 32
    """How many groups the last axis is cut into."""
    epsilon: Annotated[float, Gt(0)] = 1e-3
    """Keeps the division from zero."""
    center: bool = True
    """Add β."""
    scale: bool = True
    """Multiply by γ."""
    beta_initializer: Initializer = field(default=Zeros())
    """How β begins."""
    gamma_initializer: Initializer = field(default=Ones())
    """How γ begins."""
    trainable: bool = True
    """Whether γ and β learn."""

    def plan(self, shape: Shape) -> Plan:
        """γ and β, each as long as the last axis."""
        if shape and shape[-1] % self.groups:
            raise ShapeMismatch(
                f"gets {shape[-1]} channels for {self.groups} groups: choose a number of groups that divides them"
            )
        return _plan_rows(self, shape, shape[:-1]).frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x = (g − mean(g) − x̂ · mean(g · x̂)) / √(σ² + ε)` with `g = ∂y · γ`, means over a row's group."""
        shape = (len(x), size(x.shape[1:-1]), self.groups, x.shape[-1] // self.groups)
        return _forward_rows(x, shape, self.epsilon, views, ctx)


def _plan_rows(
    layer: LayerNormalization | RMSNormalization | GroupNormalization, shape: Shape, measured: Shape
) -> Plan:
    if not shape:
        raise ShapeMismatch("needs (…, features), and gets a single number a row: nest each row in a list")
    weights = {}
    if layer.scale:
        weights["gamma"] = Weight(shape[-1:], layer.gamma_initializer)
    if layer.center:
        weights["beta"] = Weight(shape[-1:], layer.beta_initializer)
    moments = 4 * size(shape) // measured[-1] if measured else 4 * shape[-1]
    return Plan(shape, weights, flops=8 * size(shape), activation_size=3 * size(shape) + moments)


def _forward_rows(
    x: Array, shape: tuple[int, ...], epsilon: float, views: Views, ctx: PassContext, *, centered: bool = True
) -> tuple[Array, Backward]:
    """Normalises over the axes 1 and 3 of x in `shape`, `(n, positions, groups, channels)`, then scales and shifts.

    What goes back needs x̂ and not x, whose memory is free for others then.
    """
    given, rows = x.shape, (-1, x.shape[-1])
    gamma, beta = views.weights.get("gamma"), views.weights.get("beta")
    y: Array = ctx.empty(given)
    normal, back_normal = _normalized(x.reshape(shape), y.reshape(shape), epsilon, ctx, centered=centered)
    np.multiply(normal.reshape(given), 1 if gamma is None else gamma, out=y)
    if beta is not None:
        y += beta

    def backward(d_output: Array) -> Array:
        d_y, spare = d_output.reshape(given), ctx.empty(given)
        if beta is not None:
            over_rows(d_y.reshape(rows), views.gradients["beta"])
        if gamma is not None:
            np.multiply(d_y, normal.reshape(given), out=spare)
            over_rows(spare.reshape(rows), views.gradients["gamma"])
            d_y *= gamma
        return back_normal(d_y.reshape(normal.shape), spare.reshape(normal.shape)).reshape(given)

    return y, backward


def _normalized(
    x: Array, spare: Array, epsilon: float, ctx: PassContext, *, centered: bool
) -> tuple[Array, Callable[[Array, Array], Array]]:
    """What `spare` holds is lost, here and on the way back, which gets memory of its own for that."""
    number, positions, groups, channels = x.shape
    few = (number, 1, groups, 1)
    count = positions * channels

    def mean(of: Array) -> Array:
        found: Array = ctx.empty(few)
        if 1 in (positions, groups):
            within_rows(of.reshape(found.size, -1), found.reshape(-1))
        else:
            np.add.reduce(of, axis=(1, 3), keepdims=True, out=found)
        found /= count
        return found

    normal: Array = ctx.empty(x.shape)
    np.subtract(x, mean(x) if centered else 0, out=normal)
    deviation = mean(np.multiply(normal, normal, out=spare))
    deviation += epsilon
    np.sqrt(deviation, out=deviation)
    normal /= deviation

    def backward(g: Array, spare: Array) -> Array:
        along = mean(np.multiply(g, normal, out=spare))
        if centered:
            g -= mean(g)
        g -= np.multiply(normal, along, out=spare)
        g /= deviation
        return g

    return normal, backward


Normalization: TypeAlias = BatchNormalization | LayerNormalization | RMSNormalization | GroupNormalization
