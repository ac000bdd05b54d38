"""The gradient check: directional derivatives by the backward pass and by central finite differences, in float64.

One random direction per check is enough: it misses a wrong gradient only if it happens to be orthogonal to the error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.nn.arrays import Array
from core.nn.losses import Loss
from core.nn.network import Network
from core.nn.plan import LayerPath, Views, layer_parts
from core.nn.step.context import PassContext

STEP = 1e-5
"""Distance of each of the two points of a central difference, in units of the direction."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A directional derivative by the backward pass and by finite differences."""

    backward: float
    differences: float

    @property
    def error(self) -> float:
        """Return the relative difference of the two."""
        scale = max(abs(self.backward), abs(self.differences), 1e-8)
        return abs(self.backward - self.differences) / scale


@dataclass(frozen=True, slots=True)
class LayerCheck:
    """The comparisons of one layer, one for each weight array."""

    path: LayerPath
    """The layer's position in the architecture, such as `("layers", 2)`."""
    type: str
    weights: Mapping[str, Comparison]


def check_gradient(
    network: Network, loss: Loss, x: Array, targets: Any, *, seed: int = 0, quantities: bool = True
) -> dict[str, Comparison]:
    """Compare the derivatives by the `weights` and by the `input`, in float64; `x` is `(batch, *input_shape)`.

    Inputs that are category numbers instead of `quantities` have no gradient: only the weights are compared. `seed`
    draws the weights and makes every forward pass draw the same random numbers.
    """
    rng = np.random.default_rng(seed)
    weights, statistics = network.initialize(rng, np.float64)
    weights += 0.1 * rng.standard_normal(weights.shape)
    objective = _Objective(
        network, loss, x.astype(np.float64), loss.encode(targets, network.output_shape), statistics, seed
    )
    gradient = np.zeros_like(weights)
    d_x = objective.backward(
        weights, network.views(weights, statistics.copy(), gradient, input_gradient=True), gradient
    )

    w_direction, x_direction = rng.standard_normal(weights.shape), rng.standard_normal(x.shape)
    for direction in network.frozen(w_direction):
        direction[...] = 0
    by_weights = Comparison(
        float(gradient @ w_direction), objective.finite_difference(weights, weights, STEP * w_direction)
    )
    if not quantities:
        return {"weights": by_weights}
    by_input = Comparison(
        float((d_x * x_direction).sum()), objective.finite_difference(weights, objective.x, STEP * x_direction)
    )
    return {"weights": by_weights, "input": by_input}


def check_layers(
    network: Network, loss: Loss, x: Array, targets: Any, weights: Array, statistics: Array, *, seed: int = 0
) -> list[LayerCheck]:
    """Compare each trainable weight array along a random unit direction, in float64 at `weights` `(parameters,)`.

    `x` is `(batch, *input_shape)`. The loss includes penalties. `seed` draws the directions and makes every forward
    pass draw the same random numbers. Each array takes two forward passes.
    """
    weights, statistics = weights.astype(np.float64), statistics.astype(np.float64)
    objective = _Objective(
        network, loss, x.astype(np.float64), loss.encode(targets, network.output_shape), statistics, seed
    )
    gradient = np.zeros_like(weights)
    views = network.views(weights, statistics.copy(), gradient)
    objective.backward(weights, views, gradient)
    rng = np.random.default_rng(seed)

    def compare(view: Array, d_view: Array) -> Comparison:
        direction = rng.standard_normal(view.shape)
        direction /= np.linalg.norm(direction)
        return Comparison(
            float(np.vdot(d_view, direction)), objective.finite_difference(weights, view, STEP * direction)
        )

    return [
        LayerCheck(path, kind, {name: compare(view, own.gradients[name]) for name, view in own.weights.items()})
        for path, kind, own in _trainable_layers(network.architecture, views, ())
    ]


@dataclass(frozen=True, slots=True)
class _Objective:
    """The loss of a network on one batch; every pass draws the same random numbers."""

    network: Network
    loss: Loss
    x: Array
    targets: Any
    statistics: Array
    seed: int

    def backward(self, weights: Array, views: Views, gradient: Array) -> Array:
        """Write the gradient of the loss and the penalties by the weights, and return the one by the input."""
        ctx = self._ctx()
        outputs, backward = self.network.forward(self.x, views, ctx)
        _, gradient_of_loss = self.loss.forward(outputs, self.targets, ctx)
        d_x = backward(gradient_of_loss()).copy()
        self.network.add_penalty_gradient(weights, gradient)
        return d_x

    def finite_difference(self, weights: Array, moved: Array, step: Array) -> float:
        """Return the central difference for `moved` ± `step`; `moved` is x, the weights or a view of them."""
        before = moved.copy()
        np.add(before, step, out=moved)
        above = self._loss_at(weights)
        np.subtract(before, step, out=moved)
        below = self._loss_at(weights)
        np.copyto(moved, before)
        return (above - below) / (2 * STEP)

    def _loss_at(self, weights: Array) -> float:
        ctx = self._ctx()
        outputs, _ = self.network.forward(self.x, self.network.views(weights, self.statistics.copy()), ctx)
        return self.loss.forward(outputs, self.targets, ctx)[0] + self.network.penalty(weights)

    def _ctx(self) -> PassContext:
        return PassContext(np.float64, training=True, rng=np.random.default_rng(self.seed))


def _trainable_layers(layer: Any, views: Views, path: LayerPath) -> Iterator[tuple[LayerPath, str, Views]]:
    """Yield path, type and views of each trainable layer with weights of its own, at any depth."""
    if views.weights and views.trainable:
        yield path, str(layer.type), views
    for step, child, part in layer_parts(layer, views.parts):
        yield from _trainable_layers(child, part, (*path, *step))
