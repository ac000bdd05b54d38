"""Is a backward pass right? Its gradient is held against the slope that the forward pass itself shows.

One random direction is enough: a wrong gradient would have to be orthogonal to the error by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.nn.arena import Arena, Run
from core.nn.arrays import Array
from core.nn.losses import Loss
from core.nn.network import Network

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


def check_gradient(
    network: Network, loss: Loss, x: Array, targets: Any, *, seed: int = 0, quantities: bool = True
) -> dict[str, Comparison]:
    """Compare in float64, for the `weights` and for the `input`; `x` is `(batch, *input_shape)`.

    Where inputs are no `quantities` but whole numbers that stand for something, only the weights are compared.
    Weights are drawn by `seed`, and all chance of the forward pass is the same at every look.
    """
    rng = np.random.default_rng(seed)
    x = x.astype(np.float64)
    weights, statistics = network.initialize(rng, np.float64)
    weights += 0.1 * rng.standard_normal(weights.shape)
    targets = loss.encode(targets, network.output_shape)

    def lost(at_weights: Array, at_x: Array) -> float:
        views = network.views(at_weights, statistics.copy())
        run = _run(seed)
        outputs, _ = network.forward(at_x, views, run)
        return loss.forward(outputs, targets, run)[0] + network.penalty(at_weights)

    gradient = np.zeros_like(weights)
    views = network.views(weights, statistics.copy(), gradient, input_gradient=True)
    run = _run(seed)
    outputs, backward = network.forward(x, views, run)
    _, gradient_of_loss = loss.forward(outputs, targets, run)
    d_x = backward(gradient_of_loss()).copy()
    network.add_penalty_gradient(weights, gradient)

    w_direction, x_direction = rng.standard_normal(weights.shape), rng.standard_normal(x.shape)
    for direction in network.frozen(w_direction):
        direction[...] = 0
    w, z = STEP * w_direction, STEP * x_direction
    of_weights = Comparison(float(gradient @ w_direction), (lost(weights + w, x) - lost(weights - w, x)) / (2 * STEP))
    if not quantities:
        return {"weights": of_weights}
    of_input = Comparison(float((d_x * x_direction).sum()), (lost(weights, x + z) - lost(weights, x - z)) / (2 * STEP))
    return {"weights": of_weights, "input": of_input}


def _run(seed: int) -> Run:
    return Run(Arena(np.float64), training=True, rng=np.random.default_rng(seed))
