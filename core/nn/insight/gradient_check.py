"""Is a backward pass right? Its gradient is held against the slope that the forward pass itself shows.

One random direction is enough: a wrong gradient would have to be orthogonal to the error by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.nn.arrays import Array
from core.nn.insight.step_inspection import Path
from core.nn.losses import Loss
from core.nn.network import Network
from core.nn.plan import Views, layer_parts
from core.nn.step.context import PassContext

STEP = 1e-5
"""How far the slope looks to either side, in float64."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The slope along a direction, by the backward pass and by finite differences."""

    backward: float
    differences: float

    @property
    def error(self) -> float:
        """The relative difference of both."""
        scale = max(abs(self.backward), abs(self.differences), 1e-8)
        return abs(self.backward - self.differences) / scale


@dataclass(frozen=True, slots=True)
class LayerCheck:
    """Each array of one layer's weights, held against the slope along a direction of its own."""

    path: Path
    """Where it stands in the architecture, such as `("layers", 2)`."""
    type: str
    weights: Mapping[str, Comparison]


def check_gradient(
    network: Network, loss: Loss, x: Array, targets: Any, *, seed: int = 0, quantities: bool = True
) -> dict[str, Comparison]:
    """Compare in float64, for the `weights` and for the `input`; `x` is `(batch, *input_shape)`.

    Where inputs are no `quantities` but whole numbers that stand for something, only the weights are compared.
    Weights are drawn by `seed`, and all chance of the forward pass is the same at every look.
    """
    rng = np.random.default_rng(seed)
    weights, statistics = network.initialize(rng, np.float64)
    weights += 0.1 * rng.standard_normal(weights.shape)
    slope = _Slope(network, loss, x.astype(np.float64), loss.encode(targets, network.output_shape), statistics, seed)
    gradient = np.zeros_like(weights)
    d_x = slope.backward(weights, network.views(weights, statistics.copy(), gradient, input_gradient=True), gradient)

    w_direction, x_direction = rng.standard_normal(weights.shape), rng.standard_normal(x.shape)
    for direction in network.frozen(w_direction):
        direction[...] = 0
    of_weights = Comparison(float(gradient @ w_direction), slope.along(weights, weights, STEP * w_direction))
    if not quantities:
        return {"weights": of_weights}
    of_input = Comparison(float((d_x * x_direction).sum()), slope.along(weights, slope.x, STEP * x_direction))
    return {"weights": of_weights, "input": of_input}


def check_layers(
    network: Network, loss: Loss, x: Array, targets: Any, weights: Array, statistics: Array, *, seed: int = 0
) -> list[LayerCheck]:
    """Compare each array of weights by itself, in float64 at `weights` `(parameters,)`, along a direction of length 1.

    `x` is `(batch, *input_shape)`, penalties are part of the slope, and all chance of the forward pass comes from
    `seed`. It takes two forward passes an array. Layers that do not learn are left out.
    """
    weights, statistics = weights.astype(np.float64), statistics.astype(np.float64)
    slope = _Slope(network, loss, x.astype(np.float64), loss.encode(targets, network.output_shape), statistics, seed)
    gradient = np.zeros_like(weights)
    views = network.views(weights, statistics.copy(), gradient)
    slope.backward(weights, views, gradient)
    rng = np.random.default_rng(seed)

    def compare(view: Array, its_gradient: Array) -> Comparison:
        direction = rng.standard_normal(view.shape)
        direction /= np.linalg.norm(direction)
        return Comparison(float(np.vdot(its_gradient, direction)), slope.along(weights, view, STEP * direction))

    return [
        LayerCheck(path, kind, {name: compare(view, own.gradients[name]) for name, view in own.weights.items()})
        for path, kind, own in _weighted(network.architecture, views, ())
    ]


@dataclass(frozen=True, slots=True)
class _Slope:
    """How a network's loss on one batch goes up and down, with the same chance at every look."""

    network: Network
    loss: Loss
    x: Array
    targets: Any
    statistics: Array
    seed: int

    def backward(self, weights: Array, views: Views, gradient: Array) -> Array:
        """Fill the gradient with that of loss and penalties; the gradient with regard to the input, if it is asked."""
        ctx = self._run()
        outputs, backward = self.network.forward(self.x, views, ctx)
        _, gradient_of_loss = self.loss.forward(outputs, self.targets, ctx)
        d_x = backward(gradient_of_loss()).copy()
        self.network.add_penalty_gradient(weights, gradient)
        return d_x

    def along(self, weights: Array, moved: Array, step: Array) -> float:
        """The slope by two looks a step to either side: of `moved`, which is x, the weights or a view of them."""
        before = moved.copy()
        np.add(before, step, out=moved)
        ahead = self._lost(weights)
        np.subtract(before, step, out=moved)
        behind = self._lost(weights)
        np.copyto(moved, before)
        return (ahead - behind) / (2 * STEP)

    def _lost(self, weights: Array) -> float:
        ctx = self._run()
        outputs, _ = self.network.forward(self.x, self.network.views(weights, self.statistics.copy()), ctx)
        return self.loss.forward(outputs, self.targets, ctx)[0] + self.network.penalty(weights)

    def _run(self) -> PassContext:
        return PassContext(np.float64, training=True, rng=np.random.default_rng(self.seed))


def _weighted(layer: Any, views: Views, path: Path) -> Iterator[tuple[Path, str, Views]]:
    """Each layer that has weights of its own and learns, however deep, with its place and its type."""
    if views.weights and views.trainable:
        yield path, str(layer.type), views
    for place, inner, part in layer_parts(layer, views.parts):
        yield from _weighted(inner, part, (*path, *place))
