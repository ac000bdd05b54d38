"""What a loss says of itself, and what it is told of the targets."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from core.nn.arrays import Array, Mask, Shape
from core.nn.step.context import PassContext

Predicts: TypeAlias = Literal["numbers", "classes", "labels", "embeddings"]
"""What a loss, or a metric, is about; labels are those of a sequence, fewer than its steps."""

Lost: TypeAlias = tuple[Any, Callable[[], Array]]
"""The value, a number or an array of no axes, and the backward pass: its gradient with regard to the outputs."""

Compared: TypeAlias = tuple[Any, Callable[[], Array], Callable[[], Array]]
"""As `Lost`, where all rows and steps count alike; and what each of them, or each of its numbers, is off by.

The last is asked for, before the backward pass, only where they count differently.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """What is known of the targets before they are read: the shape of a row's, and what values there are.

    `classes` is how many classes there are, where the targets name classes; else they are numbers.
    """

    shape: Shape = (1,)
    classes: int | None = None
    integers: bool = False
    filled: bool = False
    """Whether rows had different numbers of targets, and the shorter are filled up with 0."""
    least: float = -math.inf
    most: float = math.inf

    def within(self, least: float, most: float) -> bool:
        """Whether every number lies between the two."""
        return least <= self.least and self.most <= most


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why outputs and targets cannot be compared, and what to do.

    It is said of the last layer, or, where `output` is false, of the loss itself.
    """

    message: str
    output: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseLoss:
    """What every loss has: its facts, its link, its targets and its forward pass."""

    type: str
    predicts: ClassVar[Predicts]
    applies: ClassVar[str] = "linear"
    """The type of the activation that the link applies, with which a network must not end."""
    mixable: ClassVar[bool] = False
    """Whether a weighted mean of two targets is a target too, as mixup needs."""
    independent_units: ClassVar[bool] = False
    """Whether each output unit answers a yes-or-no question of its own (multi-label classification)."""

    @abstractmethod
    def misfit(self, targets: Targets, output: Shape) -> Misfit | None:
        """Return why targets cannot be compared with outputs of this shape, or None."""

    def classes(self, output: Shape) -> int | None:
        """Return the number of classes that an output of this shape tells apart, or None."""
        return None

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """Return the outputs as they are."""
        return outputs

    @abstractmethod
    def encode(self, targets: Array, output_shape: Shape) -> Array:
        """Return targets `(rows, …)` as `forward` takes them."""

    def scratch_bytes(self, batch: int, output_shape: Shape, targets: Targets) -> int:
        """Return the bytes that a batch takes beside arrays of the size of the outputs."""
        return 0

    @abstractmethod
    def forward(self, outputs: Array, targets: Array, ctx: PassContext) -> Lost:
        """Return the mean loss of a batch, and its backward pass."""


def weighed(compared: Compared, weights: Array) -> Lost:
    """The mean in which rows `(batch,)`, or their steps `(batch, steps)`, count by their weights: `Σ w·l / Σ w`.

    The gradient of each is `w · size / Σ w` times what it is where all count alike. Where nothing counts, it is all 0.
    """
    _, backward, each = compared
    total = float(np.add.reduce(weights, axis=None))
    lost = np.add.reduce(values := each().reshape(*weights.shape, -1), axis=-1)
    share = weights * (weights.size / total if total else 0.0)

    def weighed_backward() -> Array:
        gradient = backward()
        parts = gradient.reshape(*weights.shape, -1)
        np.multiply(parts, share[..., None], out=parts)
        return gradient

    return (float(np.vdot(lost, weights)) / (total * values.shape[-1]) if total else 0.0), weighed_backward


def unequal(targets: Shape, output: Shape) -> Misfit | None:
    """Why rows of both shapes cannot be compared number by number, if they cannot."""
    if targets == output:
        return None
    return Misfit(f"emits {output}, and a row of the target has the shape {targets}: make them equal")


def not_class_numbers(targets: Targets, output: Shape, loss: str) -> Misfit | None:
    """Why the targets are no class numbers for an output of one unit a class, for each step if there are any."""
    units = output[-1]
    if not targets.integers:
        wanted = f"{loss} needs class numbers 0, 1, … or one share for each class"
        return Misfit(f"{wanted}: use mean_squared_error for other numbers", output=False)
    if targets.shape != (output[:-1] or (1,)):
        each = f"emits {output}, {units} classes" + (f" for each of {output[:-1]}" if output[1:] else "")
        return Misfit(f"{each}, and a row of the target has the shape {targets.shape}: make them equal")
    if not targets.within(0, units - 1):
        numbers = f"the class numbers go from {targets.least:g} to {targets.most:g}"
        return Misfit(f"has {units} units, for the classes 0 to {units - 1}, and {numbers}")
    return None
