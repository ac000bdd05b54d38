"""A network: layers planned for one input shape, over three flat vectors that the caller owns.

The vectors are the weights, their gradient, and the moving statistics; each layer gets named views of them. So one
network can train in one thread and predict in others at the same time.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.constraints import Constraint
from core.nn.layers.composite import Sequential
from core.nn.plan import Plan, Views, Weight, layer_parts
from core.nn.regularizers import Regularizer
from core.nn.step.context import PassContext

MAX_PREDICTION_NUMBERS = 1 << 22
"""Maximum number of floats of the activations in a prediction pass of more than one row.

A small image net took 806 MB for 1,024 rows at once, and 1.8 times as long as in batches of 16, which this bound gives.
"""
MAX_PREDICTION_ROWS = 1024


class Network:
    """Layers planned for rows of one shape, without allocating any array.

    Raises
    ------
    ShapeMismatch
        If a layer does not fit its input shape.
    """

    def __init__(self, architecture: Sequential, input_shape: Shape) -> None:
        self.architecture = architecture
        self.input_shape = input_shape
        self.plan: Plan = architecture.plan(input_shape)
        self.output_shape = self.plan.output_shape
        self.parameters = self.plan.parameters
        self.statistics_size = self.plan.statistics_size
        row_size = max(sum(plan.activation_size for plan in self.plan.walk()), 1)
        self.prediction_batch = min(max(MAX_PREDICTION_NUMBERS // row_size, 1), MAX_PREDICTION_ROWS)
        """The number of rows that are predicted at once."""
        self.shapes = tuple(w.shape for plan in self.plan.walk() for w in plan.weights.values())

    def names(self) -> tuple[str, ...]:
        """Return the path of each weight, such as `layers/0/kernel`, in the order of the flat vector."""
        return tuple(_names(self.architecture, self.plan, ""))

    def initialize(self, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> tuple[Array, Array]:
        """Return initial weights `(parameters,)`, drawn in plan order, and statistics `(statistics_size,)`."""
        weights: Array = np.empty(self.parameters, dtype)
        statistics: Array = np.empty(self.statistics_size, dtype)
        for view, weight in self._each_weight(weights):
            view[...] = weight.initializer.draw(rng, weight.shape)
        planned = [s for plan in self.plan.walk() for s in plan.statistics.values()]
        for statistic, view in zip(planned, _split(statistics, [s.shape for s in planned]), strict=True):
            view[...] = statistic.start
        return weights, statistics

    def views(
        self, weights: Array, statistics: Array, gradient: Array | None = None, *, input_gradient: bool = False
    ) -> Views:
        """Return the layers' views of the vectors; without `gradient` they allow a forward pass only.

        With `input_gradient`, the backward pass also computes the gradient by the network's input.
        """
        statistics_shapes = [s.shape for plan in self.plan.walk() for s in plan.statistics.values()]
        gradients = _split(weights if gradient is None else gradient, self.shapes)
        if gradient is not None:
            pieces = zip(gradients, self._trainable(), strict=True)
            gradients = (piece if trainable else np.empty_like(piece) for piece, trainable in pieces)
        return _layer_views(
            self.plan,
            _split(weights, self.shapes),
            gradients,
            _split(statistics, statistics_shapes),
            input_gradient=input_gradient,
        )

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Return the outputs (logits) `(batch, *output_shape)` of `x` `(batch, *input_shape)` and the backward pass."""
        ctx.mask = None
        outputs, backward = self.architecture.forward(x, views, ctx)
        ctx.combine_weights()
        return outputs, backward

    def frozen(self, vector: Array) -> list[Array]:
        """Return views of the frozen weights' entries in `vector`, which is as long as the weights."""
        pieces = zip(self._each_weight(vector), self._trainable(), strict=True)
        return [view for (view, _), trainable in pieces if not trainable]

    def penalized(self, weights: Array, gradient: Array) -> list[tuple[Regularizer, Array, Array]]:
        """Return each regularizer with its weight and that weight's gradient."""
        pairs = zip(self._each_weight(weights), self._each_weight(gradient), strict=True)
        return [(weight.regularizer, view, slope) for (view, weight), (slope, _) in pairs if weight.regularizer]

    def penalty(self, weights: Array) -> float:
        """Return the sum of the penalties that the regularizers add to the loss."""
        penalized = self.penalized(weights, weights)
        return sum((regularizer.penalty(weight) for regularizer, weight, _ in penalized), start=0.0)

    def add_penalty_gradient(self, weights: Array, gradient: Array) -> None:
        """Add the gradient of the penalties to the flat gradient."""
        for regularizer, weight, slope in self.penalized(weights, gradient):
            regularizer.add_gradient(weight, slope)

    def constrained(self, weights: Array) -> list[tuple[Constraint, Array]]:
        """Return each constraint with its weight."""
        return [(weight.constraint, view) for view, weight in self._each_weight(weights) if weight.constraint]

    def _trainable(self) -> list[bool]:
        return [plan.trainable for plan in self.plan.walk() for _ in plan.weights]

    def _each_weight(self, vector: Array) -> Iterator[tuple[Array, Weight]]:
        planned = [weight for plan in self.plan.walk() for weight in plan.weights.values()]
        return zip(_split(vector, self.shapes), planned, strict=True)


def _names(layer: Any, plan: Plan, prefix: str) -> Iterator[str]:
    yield from (prefix + name for name in plan.weights)
    for path, child, part in layer_parts(layer, plan.parts):
        yield from _names(child, part, prefix + "".join(f"{step}/" for step in path))


def _split(vector: Array, shapes: Iterable[Shape]) -> Iterator[Any]:
    """Yield consecutive pieces of the vector, as views in these shapes."""
    start = 0
    for shape in shapes:
        end = start + size(shape)
        yield vector[start:end].reshape(shape)
        start = end


def _layer_views(
    plan: Plan,
    weights: Iterator[Array],
    gradients: Iterator[Array],
    statistics: Iterator[Array],
    *,
    input_gradient: bool,
) -> Views:
    """Assign the pieces to the layers in the order of `Plan.walk`: a composite's own weights, then its parts.

    A part computes the gradient by its input if anything before it has trainable weights.
    """
    own_weights = {name: next(weights) for name in plan.weights}
    own_gradients = {name: next(gradients) for name in plan.weights}
    own_statistics = {name: next(statistics) for name in plan.statistics}
    parts = []
    below = input_gradient or (bool(own_weights) and plan.trainable) or (plan.order == "loop" and plan.learns)
    for part in plan.parts:
        parts.append(_layer_views(part, weights, gradients, statistics, input_gradient=below))
        below = below or (part.learns and plan.order != "parallel")
    return Views(own_weights, own_gradients, own_statistics, tuple(parts), plan.learns, input_gradient, plan.trainable)
