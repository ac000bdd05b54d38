"""A network: layers, planned for one shape of input, over three flat vectors that it does not own.

The weights are one vector, their gradients another, moving statistics a third; each layer sees named views of them.
So one network may train in one thread and predict in forty others.
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
"""Numbers that a pass which only predicts may hold, if a row leaves it the choice. 1,024 rows at once of a small image
net took 806 MB, and 1.8 times as long as those 16 of them that this makes.
"""


class Network:
    """Layers planned for rows of one shape. Planning allocates nothing; a layer that does not fit: `ShapeMismatch`."""

    def __init__(self, architecture: Sequential, input_shape: Shape) -> None:
        self.architecture = architecture
        self.input_shape = input_shape
        self.plan: Plan = architecture.plan(input_shape)
        self.output_shape = self.plan.output_shape
        self.parameters = self.plan.parameters
        self.statistics_size = self.plan.statistics_size
        self.prediction_batch = min(
            max(MAX_PREDICTION_NUMBERS // max(sum(plan.activation_size for plan in self.plan.walk()), 1), 1), 1024
        )
        """How many rows are predicted at once."""
        self.shapes = tuple(w.shape for plan in self.plan.walk() for w in plan.weights.values())

    def names(self) -> tuple[str, ...]:
        """Where each weight stands in the architecture, in the order of the flat vector: `layers/0/kernel`."""
        return tuple(_names(self.architecture, self.plan, ""))

    def initialize(self, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> tuple[Array, Array]:
        """The first weights `(parameters,)`, drawn in the order of the plan, and the first statistics `(measured,)`."""
        weights: Array = np.empty(self.parameters, dtype)
        statistics: Array = np.empty(self.statistics_size, dtype)
        for view, weight in self._each_weight(weights):
            view[...] = weight.initializer.draw(rng, weight.shape)
        starts = [s for plan in self.plan.walk() for s in plan.statistics.values()]
        for statistic, view in zip(starts, _split(statistics, [s.shape for s in starts]), strict=True):
            view[...] = statistic.start
        return weights, statistics

    def views(
        self, weights: Array, statistics: Array, gradient: Array | None = None, *, input_gradient: bool = False
    ) -> Views:
        """What the layers see of the vectors; without a gradient only a forward pass can be made.

        `input_gradient` asks the backward pass for the gradient with regard to the network's input as well.
        """
        measured = [s.shape for plan in self.plan.walk() for s in plan.statistics.values()]
        gradients = _split(weights if gradient is None else gradient, self.shapes)
        if gradient is not None:
            pieces = zip(gradients, self._trainable(), strict=True)
            gradients = (piece if trainable else np.empty_like(piece) for piece, trainable in pieces)
        return _views(
            self.plan,
            _split(weights, self.shapes),
            gradients,
            _split(statistics, measured),
            input_gradient=input_gradient,
        )

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The outputs (logits) `(batch, *output_shape)` for `x` `(batch, *input_shape)`, and the backward pass."""
        ctx.mask = None
        outputs, backward = self.architecture.forward(x, views, ctx)
        ctx.combine_weights()
        return outputs, backward

    def frozen(self, vector: Array) -> list[Array]:
        """Views of the numbers that stay as they are, of the weights or of another vector of their length."""
        pieces = zip(self._each_weight(vector), self._trainable(), strict=True)
        return [view for (view, _), trainable in pieces if not trainable]

    def penalized(self, weights: Array, gradient: Array) -> list[tuple[Regularizer, Array, Array]]:
        """Each regularizer, its weight, and its weight's gradient."""
        pairs = zip(self._each_weight(weights), self._each_weight(gradient), strict=True)
        return [(weight.regularizer, view, slope) for (view, weight), (slope, _) in pairs if weight.regularizer]

    def penalty(self, weights: Array) -> float:
        """What the regularizers add to the loss."""
        each = self.penalized(weights, weights)
        return sum((regularizer.penalty(weight) for regularizer, weight, _ in each), start=0.0)

    def add_penalty_gradient(self, weights: Array, gradient: Array) -> None:
        """Add the gradient of the penalties to the flat gradient."""
        for regularizer, weight, slope in self.penalized(weights, gradient):
            regularizer.add_gradient(weight, slope)

    def constrained(self, weights: Array) -> list[tuple[Constraint, Array]]:
        """Each constraint with the weight it applies to."""
        return [(weight.constraint, view) for view, weight in self._each_weight(weights) if weight.constraint]

    def _trainable(self) -> list[bool]:
        return [plan.trainable for plan in self.plan.walk() for _ in plan.weights]

    def _each_weight(self, vector: Array) -> Iterator[tuple[Array, Weight]]:
        wanted = [weight for plan in self.plan.walk() for weight in plan.weights.values()]
        return zip(_split(vector, self.shapes), wanted, strict=True)


def _names(layer: Any, plan: Plan, place: str) -> Iterator[str]:
    yield from (place + name for name in plan.weights)
    for path, inner, part in layer_parts(layer, plan.parts):
        yield from _names(inner, part, place + "".join(f"{step}/" for step in path))


def _split(vector: Array, shapes: Iterable[Shape]) -> Iterator[Any]:
    """The vector's pieces, one after the other, each in its shape."""
    start = 0
    for shape in shapes:
        end = start + size(shape)
        yield vector[start:end].reshape(shape)
        start = end


def _views(
    plan: Plan,
    weights: Iterator[Array],
    gradients: Iterator[Array],
    statistics: Iterator[Array],
    *,
    input_gradient: bool,
) -> Views:
    """Hands out the pieces in the order of `Plan.walk`.

    A part wants its input's gradient where something before it learns; weights of a composite's own come first.
    """
    own = {name: next(weights) for name in plan.weights}
    slopes = {name: next(gradients) for name in plan.weights}
    moving = {name: next(statistics) for name in plan.statistics}
    parts = []
    below = input_gradient or (bool(own) and plan.trainable) or (plan.order == "loop" and plan.learns)
    for part in plan.parts:
        parts.append(_views(part, weights, gradients, statistics, input_gradient=below))
        below = below or (part.learns and plan.order != "parallel")
    return Views(own, slopes, moving, tuple(parts), plan.learns, input_gradient, plan.trainable)
