"""The base class of all losses, the description of targets, and the weighted mean."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from core.nn.arrays import Array, Mask, Shape
from core.nn.step.context import PassContext

Predicts: TypeAlias = Literal["numbers", "classes", "labels", "embeddings"]
"""What a loss or a metric is for; `labels` are those of a sequence, fewer than its steps."""

LossForward: TypeAlias = tuple[Any, Callable[[], Array]]
"""The loss, a scalar, and the backward pass, which returns its gradient with respect to the outputs."""

Comparison: TypeAlias = tuple[Any, Callable[[], Array], Callable[[], Array]]
"""The unweighted mean loss, its backward pass, and a function that returns the loss of each row, step or number.

The last one is called only where rows or steps have weights, and before the backward pass.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """The shape and the range of the targets, known before they are loaded.

    `classes` is the number of classes if the targets are class names; None if they are numbers.
    """

    shape: Shape = (1,)
    """The shape of one row's target."""
    classes: int | None = None
    integers: bool = False
    """Whether every number is an integer."""
    padded: bool = False
    """Whether rows had different numbers of targets, and the shorter are padded with 0."""
    min: float = -math.inf
    max: float = math.inf

    def within(self, low: float, high: float) -> bool:
        """Return whether every number is in the closed interval."""
        return low <= self.min and self.max <= high


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Reason why a loss cannot compare outputs and targets, and what to change.

    The message continues a sentence about the last layer if `output` is true; else it is about the loss.
    """

    message: str
    output: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseLoss:
    """A loss: its facts, its link, the encoding of its targets, and its forward pass."""

    type: str
    predicts: ClassVar[Predicts]
    link_type: ClassVar[str] = "linear"
    """The type of the activation that the link applies. A network must not end with it."""
    mixable: ClassVar[bool] = False
    """Whether a weighted mean of two targets is a target too, as mixup needs."""
    independent_units: ClassVar[bool] = False
    """Whether each output unit answers a yes-or-no question of its own (multi-label classification)."""

    any_unit: ClassVar[bool] = False
    """Whether targets can be numbers of any unit and sign, so that they may be standardized."""

    @abstractmethod
    def mismatch(self, targets: Targets, output: Shape) -> Mismatch | None:
        """Return why the loss cannot compare these targets with outputs of this shape; None if it can."""

    def classes(self, output: Shape) -> int | None:
        """Return the number of classes that an output of this shape distinguishes; None if it has none."""
        return None

    def link(self, outputs: Array, mask: Mask | None = None) -> Array:
        """Return the predictions of these outputs: here the outputs themselves."""
        return outputs

    @abstractmethod
    def encode(self, targets: Array, output_shape: Shape) -> Array:
        """Return targets `(rows, …)` in the form that `forward` takes."""

    def scratch_bytes(self, batch: int, output_shape: Shape, targets: Targets) -> int:
        """Return the bytes that a batch needs besides arrays of the outputs' size."""
        return 0

    @abstractmethod
    def forward(self, outputs: Array, targets: Array, ctx: PassContext) -> LossForward:
        """Return the mean loss of a batch and its backward pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightedMeanLoss(BaseLoss):
    """A loss that is the mean of several comparisons of outputs with targets, weighted by the rows' weights."""

    @abstractmethod
    def compare(self, outputs: Array, targets: Array, ctx: PassContext) -> Comparison:
        """Return the unweighted mean loss over all outputs and targets `(batch, …)`."""

    def forward(self, outputs: Array, targets: Array, ctx: PassContext) -> LossForward:
        """Return the mean over all unmasked numbers, weighted by the rows' weights if there are any."""
        comparison = self.compare(outputs, targets, ctx)
        return comparison[:2] if ctx.weights is None else weighted_mean(comparison, ctx.weights)


def weighted_mean(comparison: Comparison, weights: Array) -> LossForward:
    """Return the weighted mean `Σ w·l / Σ w` of rows `(batch,)` or steps `(batch, steps)`.

    The gradient of each is `w · size / Σ w` times its unweighted gradient. If all weights are 0, loss and gradient are.
    """
    _, backward, each = comparison
    total = float(np.add.reduce(weights, axis=None))
    losses = np.add.reduce(values := each().reshape(*weights.shape, -1), axis=-1)
    factors = weights * (weights.size / total if total else 0.0)

    def weighted_backward() -> Array:
        gradient = backward()
        parts = gradient.reshape(*weights.shape, -1)
        np.multiply(parts, factors[..., None], out=parts)
        return gradient

    return (float(np.vdot(losses, weights)) / (total * values.shape[-1]) if total else 0.0), weighted_backward


def shape_mismatch(targets: Shape, output: Shape) -> Mismatch | None:
    """Return a mismatch if a row of targets and a row of outputs differ in shape."""
    if targets == output:
        return None
    return Mismatch(f"emits {output}, and a row of the target has the shape {targets}: make them equal")


def class_mismatch(targets: Targets, output: Shape, loss: str) -> Mismatch | None:
    """Return a mismatch if the targets are not one class number for each row or step of the output."""
    units = output[-1]
    if not targets.integers:
        wanted = f"{loss} needs class numbers 0, 1, … or one probability for each class"
        return Mismatch(f"{wanted}: use mean_squared_error for other numbers", output=False)
    if targets.shape != (output[:-1] or (1,)):
        each = f"emits {output}, {units} classes" + (f" for each of {output[:-1]}" if output[1:] else "")
        return Mismatch(f"{each}, and a row of the target has the shape {targets.shape}: make them equal")
    if not targets.within(0, units - 1):
        numbers = f"the class numbers are {targets.min:g} to {targets.max:g}"
        return Mismatch(f"has {units} units, for the classes 0 to {units - 1}, and {numbers}")
    return None
