"""Layers made of layers. A composite has the shape of its parts, so that nets are built without naming nodes.

The union of all layers stands here, since a composite may hold any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from annotated_types import MinLen

from core.nn.arena import Run
from core.nn.arrays import Array, Backward, Shape
from core.nn.kinds import Tagged
from core.nn.layers.activation import ActivationLayer
from core.nn.layers.bordering import Bordering
from core.nn.layers.convolution import Conv1D, Conv2D
from core.nn.layers.dense import Dense
from core.nn.layers.dropout import Noise
from core.nn.layers.embedding import Embedding
from core.nn.layers.normalization import Normalization
from core.nn.layers.pooling import Pooling
from core.nn.layers.shaping import Shaping
from core.nn.plan import Plan, ShapeMismatch, Views


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequential:
    """One layer after the other."""

    type: Literal["sequential"] = "sequential"
    layers: Annotated[tuple[Layer, ...], MinLen(1)]
    """The layers, from the input to the output."""
    trainable: bool = True
    """Whether anything in it learns; if not, all of it is as if it were not trainable itself."""

    def plan(self, shape: Shape) -> Plan:
        """Each layer's plan for what the one before it emits."""
        parts = []
        for position, layer in enumerate(self.layers):
            try:
                parts.append(layer.plan(shape))
            except ShapeMismatch as error:
                raise error.within(f"layer {position + 1} ({layer.type})", "layers", position) from None
            shape = parts[-1].output_shape
        return Plan(shape, parts=tuple(parts)).frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, run: Run) -> tuple[Array, Backward]:
        """Forwards through the layers in order; backwards by the chain rule, in reverse, to the first that learns."""
        chain = []
        for layer, view in zip(self.layers, views.parts, strict=True):
            x, backward = layer.forward(x, view, run)
            if view.learns or view.input_gradient:
                chain.append(backward)
        chain.reverse()

        def backward_through(gradient: Array) -> Array:
            for step_back in chain:
                gradient = step_back(gradient)
            return gradient

        return x, backward_through


Layer: TypeAlias = Annotated[
    Dense
    | ActivationLayer
    | Shaping
    | Noise
    | Normalization
    | Embedding
    | Conv1D
    | Conv2D
    | Pooling
    | Bordering
    | Sequential,
    Tagged(),
]
