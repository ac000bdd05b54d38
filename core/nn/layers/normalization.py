"""Layers that bring numbers to a common scale, which lets a deep net learn with longer steps."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt

from core.nn.arena import Run
from core.nn.arrays import Array, Backward, Shape, size
from core.nn.initializers import Initializer, Ones, Zeros
from core.nn.plan import Plan, ShapeMismatch, Statistic, Views, Weight


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
        plan = Plan(shape, weights, statistics, flops=8 * size(shape), floats=4 * size(shape))
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, run: Run) -> tuple[Array, Backward]:
        """`∂γ = Σ ∂y·x̂`, `∂β = Σ ∂y`, `∂x = γ / (n·√(σ² + ε)) · (n·∂y − ∂β − x̂·∂γ)`.

        n is the count of numbers a feature has and x̂ the normalised input (the paper's section 3, gathered).
        """
        rows = x.reshape(-1, x.shape[-1])
        of_the_batch = run.training and views.trainable
        moving_mean, moving_variance = views.statistics["moving_mean"], views.statistics["moving_variance"]
        mean = rows.mean(axis=0) if of_the_batch else moving_mean
        normal = np.subtract(rows, mean, out=run.empty(rows.shape))
        variance = moving_variance
        if of_the_batch:
            variance = np.multiply(normal, normal, out=run.empty(rows.shape)).mean(axis=0)
            self._move(moving_mean, mean)
            self._move(moving_variance, variance)
        deviation = 1 / np.sqrt(variance + x.dtype.type(self.epsilon))
        normal *= deviation
        y = np.multiply(normal, views.weights["gamma"] if self.scale else 1, out=run.empty(rows.shape))
        if self.center:
            y += views.weights["beta"]

        def backward(d_output: Array) -> Array:
            d_y = d_output.reshape(rows.shape)
            product = np.multiply(d_y, normal, out=run.empty(rows.shape))
            d_gamma, d_beta = product.sum(axis=0), d_y.sum(axis=0)
            if self.scale:
                views.gradients["gamma"][:] = d_gamma
            if self.center:
                views.gradients["beta"][:] = d_beta
            factor = deviation * views.weights["gamma"] if self.scale else deviation
            if of_the_batch:  # the batch's own moments depend on x, too
                d_y -= d_beta / len(rows)
                d_y -= np.multiply(normal, d_gamma / len(rows), out=product)
            d_y *= factor
            return d_y.reshape(x.shape)

        return y.reshape(x.shape), backward

    def _move(self, moving: Array, now: Array) -> None:
        moving *= self.momentum
        moving += (1 - self.momentum) * now
