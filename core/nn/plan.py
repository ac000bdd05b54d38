"""Plans: the weights, output shape and cost of a layer, computed before anything is allocated.

Planning uses integers alone, so an invalid or too large network is refused before it takes memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np

from core.nn.arrays import Array, Shape, size
from core.nn.constraints import Constraint
from core.nn.initializers import Drawn
from core.nn.regularizers import Regularizer

Part = TypeVar("Part")

LayerPath: TypeAlias = tuple[str | int, ...]
"""The place of a layer in an architecture, such as `("layers", 2)`."""


class ShapeMismatch(ValueError):
    """A layer does not fit its input shape; `path` is its position in the composites that contain it."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = path

    def within(self, name: str, *step: str | int) -> ShapeMismatch:
        """Return the error as seen from the composite that contains the layer `name` at `step`."""
        message = self.message if self.path else f"{name} {self.message}"
        return ShapeMismatch(message, (*step, *self.path))


class WeightInitializer(Protocol):
    """A distribution of initial weights: an initializer, or a layer's adaptation of one."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Return the initial values of a weight of this shape."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A trainable array.

    Raises
    ------
    ShapeMismatch
        If the constraint names axes that the array does not have.
    """

    shape: Shape
    initializer: WeightInitializer
    regularizer: Regularizer | None = None
    constraint: Constraint | None = None

    def __post_init__(self) -> None:
        """Check that the constraint fits the shape."""
        if self.constraint and not self.constraint.fits(self.shape):
            problem = f"gets a constraint `{self.constraint.type}` for a weight {self.shape}"
            raise ShapeMismatch(f"{problem}: choose distinct axes from 0 to {len(self.shape) - 1}")


@dataclass(frozen=True, slots=True)
class Statistic:
    """An array that is measured during training instead of optimized, such as a moving mean."""

    shape: Shape
    start: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The weights, statistics, output shape and cost of a layer, for one row.

    `flops` are the floating-point operations of the forward pass (a multiplication and an addition are two);
    `activation_size` is the number of floats that both passes keep per row, `scratch` the number that they keep per
    batch. `parts` are the plans of a composite's children. If `trainable` is false, weights and statistics do not
    change in training.
    """

    output_shape: Shape
    weights: Mapping[str, Weight] = field(default_factory=dict)
    statistics: Mapping[str, Statistic] = field(default_factory=dict)
    flops: int = 0
    activation_size: int = 0
    scratch: int = 0
    parts: tuple[Plan, ...] = ()
    trainable: bool = True
    order: Literal["chain", "parallel", "loop"] = "chain"
    """The input of the parts: the output of the part before, the same for all, or the part's own output."""
    output_activation: str = "linear"
    """The type of the activation whose value is the output."""
    masked_value: float | None = None
    """The input value whose steps the mask hides from the layers that follow."""
    categorical_input: bool = False
    """Whether the input is category numbers, of which a mean makes no sense."""
    divisible: bool = True
    """Whether processes may each take a share of the batch. False if the layer computes statistics over the rows, or
    draws random numbers by another method than `random`."""

    def frozen_unless(self, trainable: bool) -> Plan:
        """Return the plan itself, or a copy (parts included) that is frozen, without penalties and constraints."""
        if trainable:
            return self
        weights = {name: replace(weight, regularizer=None, constraint=None) for name, weight in self.weights.items()}
        frozen = {id(part): part.frozen_unless(trainable) for part in {id(part): part for part in self.parts}.values()}
        parts = tuple(frozen[id(part)] for part in self.parts)  # repeated parts keep sharing one plan
        return replace(self, weights=weights, parts=parts, trainable=False)

    def repeated(self, count: int) -> Plan:
        """Return the plan for `count` passes that share the weights."""
        parts = tuple(part.repeated(count) for part in self.parts)
        return replace(self, flops=count * self.flops, activation_size=count * self.activation_size, parts=parts)

    def walk(self) -> Iterator[Plan]:
        """Yield the plan and those of its parts, depth first: the order of the flat vectors."""
        yield self
        for part in self.parts:
            yield from part.walk()

    @property
    def layers(self) -> int:
        """The number of layers, itself and parts included."""
        return sum(1 for _ in self.walk())

    @property
    def learns(self) -> bool:
        """Whether the layer or one of its parts has trainable weights."""
        return any(plan.trainable and plan.weights for plan in self.walk())

    @property
    def parameters(self) -> int:
        """The number of floats of the weights, parts included."""
        return sum(size(weight.shape) for plan in self.walk() for weight in plan.weights.values())

    @property
    def statistics_size(self) -> int:
        """The number of floats of the moving statistics, parts included."""
        return sum(size(statistic.shape) for plan in self.walk() for statistic in plan.statistics.values())


@dataclass(slots=True)
class Views:
    """One layer's views of the three flat vectors, by name, and the views of its parts.

    `learns`: the layer or one of its parts has trainable weights. `input_gradient`: the backward pass computes the
    gradient by the input, since a layer below has trainable weights. If both are false the layer has no backward
    pass. The gradients of a layer that is not `trainable` are scratch arrays outside the flat vector.
    """

    weights: dict[str, Array]
    gradients: dict[str, Array]
    statistics: dict[str, Array]
    parts: tuple[Views, ...]
    learns: bool
    input_gradient: bool
    trainable: bool


def layer_parts(layer: Any, parts: Sequence[Part]) -> Iterator[tuple[tuple[str | int, ...], Any, Part]]:
    """Yield each child of a layer: its path in the layer, the child, and its plan or views.

    A repeated layer is one child with several parts.
    """
    children = list(getattr(layer, "children", list)())
    for position, part in enumerate(parts):
        path, child = children[min(position, len(children) - 1)]
        yield path, child, part
