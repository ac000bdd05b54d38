"""What a layer wants before anything is allocated: its weights, its output shape, its cost.

A network is planned with integers alone, so that a wrong or an impossible one is refused before it takes a byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

from core.nn.arrays import Array, Shape, size
from core.nn.constraints import Constraint
from core.nn.initializers import Drawn
from core.nn.regularizers import Regularizer

Part = TypeVar("Part")


class ShapeMismatch(ValueError):
    """A layer does not fit the shape that it gets; `path` leads to it through the composites that hold it."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = path

    def within(self, name: str, *step: str | int) -> ShapeMismatch:
        """The same fact, seen from the composite that holds the layer called `name` at `step`."""
        message = self.message if self.path else f"{name} {self.message}"
        return ShapeMismatch(message, (*step, *self.path))


class WeightInitializer(Protocol):
    """How a weight begins: an initializer, or what a layer makes of one."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """The first numbers of a weight of this shape."""


@dataclass(frozen=True, slots=True)
class Weight:
    """An array that is learnt; `ShapeMismatch` where its constraint asks for other axes than it has."""

    shape: Shape
    initializer: WeightInitializer
    regularizer: Regularizer | None = None
    constraint: Constraint | None = None

    def __post_init__(self) -> None:
        """Hold the constraint against the shape."""
        if self.constraint and not self.constraint.fits(self.shape):
            wanted = f"gets a constraint `{self.constraint.type}` for a weight {self.shape}"
            raise ShapeMismatch(f"{wanted}: let its axes be different ones from 0 to {len(self.shape) - 1}")


@dataclass(frozen=True, slots=True)
class Statistic:
    """An array that is measured on the way and not learnt, such as a moving mean."""

    shape: Shape
    start: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a layer wants and what it emits, for one row.

    `flops` are the floating-point operations of the forward pass (a multiplication and an addition are two);
    `activation_size` counts the numbers that both passes keep per row, `scratch` those that they keep per batch.
    A composite has the plans of its `parts`. Where it is not `trainable`, its weights and statistics stay as they are.
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
    """Whether processes may take some rows of a batch each: not where rows are measured together, nor where chance is
    drawn by another method than `random`."""

    def frozen_unless(self, trainable: bool) -> Plan:
        """The same, parts included, with nothing that changes while training, no penalties and no constraints."""
        if trainable:
            return self
        weights = {name: replace(weight, regularizer=None, constraint=None) for name, weight in self.weights.items()}
        frozen = {id(part): part.frozen_unless(trainable) for part in {id(part): part for part in self.parts}.values()}
        parts = tuple(frozen[id(part)] for part in self.parts)  # copies of a layer stay one plan
        return replace(self, weights=weights, parts=parts, trainable=False)

    def repeated(self, count: int) -> Plan:
        """The same for `count` runs of it, which share its weights."""
        parts = tuple(part.repeated(count) for part in self.parts)
        return replace(self, flops=count * self.flops, activation_size=count * self.activation_size, parts=parts)

    def walk(self) -> Iterator[Plan]:
        """The plan itself and those of its parts, depth first: the order of the flat vectors."""
        yield self
        for part in self.parts:
            yield from part.walk()

    @property
    def layers(self) -> int:
        """How many layers it is, itself and parts included."""
        return sum(1 for _ in self.walk())

    @property
    def learns(self) -> bool:
        """Whether it or a part of it has weights that change."""
        return any(plan.trainable and plan.weights for plan in self.walk())

    @property
    def parameters(self) -> int:
        """How many numbers the weights are, parts included."""
        return sum(size(weight.shape) for plan in self.walk() for weight in plan.weights.values())

    @property
    def statistics_size(self) -> int:
        """How many numbers are moving statistics, parts included."""
        return sum(size(statistic.shape) for plan in self.walk() for statistic in plan.statistics.values())


@dataclass(slots=True)
class Views:
    """What one layer sees of the three flat vectors, by name, and what its parts see.

    `learns` is true where it or a part of it has weights that change; `input_gradient` is false where nothing below
    the layer learns, so that its backward pass can end with its own weights. Where both are false no backward pass is
    made. What is not `trainable` writes its gradients where nobody reads them.
    """

    weights: dict[str, Array]
    gradients: dict[str, Array]
    statistics: dict[str, Array]
    parts: tuple[Views, ...]
    learns: bool
    input_gradient: bool
    trainable: bool


def layer_parts(layer: Any, parts: Sequence[Part]) -> Iterator[tuple[tuple[str | int, ...], Any, Part]]:
    """What a layer holds: each with its place in the layer, and its plan or its views.

    A layer that is repeated stands at one place and has several parts.
    """
    children = list(getattr(layer, "children", list)())
    for position, part in enumerate(parts):
        place, child = children[min(position, len(children) - 1)]
        yield place, child, part
