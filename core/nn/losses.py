"""How wrong a network is, in one number, and in which direction it gets worse.

A loss owns its link, the function that turns a network's outputs (logits) into an answer: it is computed from the
logits, where it is stable, and nobody pairs a final activation with it. All losses are means over the batch.
`applies` names the link, `predicts` says what it is for, `misfit` which outputs and targets it can compare.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np

from core.nn.activations import sigmoid, softmax
from core.nn.arena import Run
from core.nn.arrays import Array, Shape
from core.nn.kinds import Tagged

Predicts: TypeAlias = Literal["numbers", "classes"]
"""What a loss, or a metric, is about."""

Lost: TypeAlias = tuple[float, Callable[[], Array]]
"""The value, and the backward pass that gives its gradient with regard to the outputs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """What is known of the targets before they are read: the shape of a row's, and what values there are.

    `classes` is how many classes there are, where the targets name classes; else they are numbers.
    """

    shape: Shape = (1,)
    classes: int | None = None
    integers: bool = False
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
class MeanSquaredError:
    """The mean of `(output − target)²` over all numbers of the batch: for numbers. Link: none."""

    type: Literal["mean_squared_error"] = "mean_squared_error"
    predicts: ClassVar[Predicts] = "numbers"
    applies: ClassVar[str] = "linear"

    def misfit(self, targets: Targets, output: Shape) -> Misfit | None:
        """Targets are numbers in the shape of the output."""
        if targets.classes:
            return Misfit("the target names classes: use cross_entropy, or leave the loss out", output=False)
        return _unequal(targets.shape, output)

    def classes(self, output: Shape) -> int | None:
        """None: whole numbers are numbers."""
        return None

    def forward(self, outputs: Array, targets: Array, run: Run) -> Lost:
        """Outputs and targets `(batch, …)`; the gradient is `2 · (output − target) / size`."""
        difference = np.subtract(outputs, targets, out=run.empty(outputs.shape))
        flat = difference.reshape(-1)
        value = float(np.dot(flat, flat)) / difference.size
        return value, lambda: np.multiply(difference, 2 / difference.size, out=difference)

    def link(self, outputs: Array) -> Array:
        """The outputs as they are."""
        return outputs

    def encode(self, targets: Array, output_shape: Shape) -> Array:
        """Numbers `(rows, …)` in the shape of the outputs."""
        return targets.reshape(len(targets), *output_shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class BinaryCrossEntropy:
    """`−[t · log p + (1 − t) · log(1 − p)]` with `p = sigmoid(output)`: for two classes. Link: sigmoid."""

    type: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    predicts: ClassVar[Predicts] = "classes"
    applies: ClassVar[str] = "sigmoid"

    def misfit(self, targets: Targets, output: Shape) -> Misfit | None:
        """Targets are two classes for one output, or numbers from 0 to 1 in the shape of the output."""
        if targets.classes:
            if targets.classes != 2:
                return Misfit(f"the target names {targets.classes} classes: use cross_entropy", output=False)
            return None if output == (1,) else Misfit(f"emits {output}: give it 1 unit, or use cross_entropy")
        if not targets.within(0, 1):
            return Misfit("binary_cross_entropy needs targets from 0 to 1: use mean_squared_error", output=False)
        return _unequal(targets.shape, output)

    def classes(self, output: Shape) -> int | None:
        """One output tells two classes apart."""
        return 2 if output == (1,) else None

    def forward(self, outputs: Array, targets: Array, run: Run) -> Lost:
        """Outputs (logits) and targets (0 to 1) `(batch, …)`; the gradient is `(p − t) / size`.

        With the logit z it is `max(z, 0) − z·t + log(1 + e^−|z|)`, which cannot overflow.
        """
        rest = np.abs(outputs, out=run.empty(outputs.shape))
        np.negative(rest, out=rest)
        np.exp(rest, out=rest)
        np.log1p(rest, out=rest)
        rest += np.maximum(outputs, 0, out=run.empty(outputs.shape))
        rest -= np.multiply(outputs, targets, out=run.empty(outputs.shape))
        value = float(np.add.reduce(rest, axis=None)) / rest.size

        def backward() -> Array:
            gradient = sigmoid(outputs, run.empty(outputs.shape))
            gradient -= targets
            gradient /= gradient.size
            return gradient

        return value, backward

    def link(self, outputs: Array) -> Array:
        """Probabilities of the second class, of the shape of the outputs."""
        return sigmoid(outputs, np.empty_like(outputs))

    def encode(self, targets: Array, output_shape: Shape) -> Array:
        """Class numbers 0 and 1 `(rows,)`, or numbers from 0 to 1, as float32 in the shape of the outputs."""
        return targets.astype(np.float32).reshape(len(targets), *output_shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossEntropy:
    """`−Σ t · log p` with `p = softmax(outputs)`: for classes. Link: softmax."""

    type: Literal["cross_entropy"] = "cross_entropy"
    predicts: ClassVar[Predicts] = "classes"
    applies: ClassVar[str] = "softmax"

    def misfit(self, targets: Targets, output: Shape) -> Misfit | None:
        """Targets are classes, whole numbers from 0, or a share for each class; the output has one unit a class."""
        if targets.classes:
            if output == (targets.classes,):
                return None
            return Misfit(f"emits {output}, and the target names {targets.classes} classes: give it as many units")
        if len(output) != 1 or output[0] < 2:
            return Misfit(f"emits {output}: cross_entropy needs one unit for each class, at least 2")
        if targets.shape == output:
            return None if targets.within(0, 1) else Misfit("cross_entropy needs shares from 0 to 1", output=False)
        return _not_class_numbers(targets, output[0])

    def classes(self, output: Shape) -> int | None:
        """One unit a class."""
        return output[0]

    def forward(self, outputs: Array, targets: Array, run: Run) -> Lost:
        """Outputs (logits) `(batch, classes)`; targets are class numbers `(batch,)` or shares `(batch, classes)`.

        The gradient is `(p − t) / batch`. The largest logit is taken off first, so nothing overflows.
        """
        rows = len(outputs)
        shifted = np.subtract(outputs, np.maximum.reduce(outputs, axis=1, keepdims=True), out=run.empty(outputs.shape))
        shares = np.exp(shifted, out=run.empty(outputs.shape))
        total = np.add.reduce(shares, axis=1, keepdims=True, out=run.empty((rows, 1)))
        log_total = np.log(total, out=run.empty((rows, 1)))
        one_hot = targets.ndim == 2
        if one_hot:
            chosen = float(np.vdot(shifted, targets))
            weight = float(np.dot(log_total[:, 0], np.add.reduce(targets, axis=1)))
        else:
            chosen = float(np.add.reduce(shifted[np.arange(rows), targets]))
            weight = float(np.add.reduce(log_total, axis=None))
        value = (weight - chosen) / rows

        def backward() -> Array:
            np.divide(shares, total, out=shares)
            if one_hot:
                np.multiply(shares, np.add.reduce(targets, axis=1, keepdims=True), out=shares)
                np.subtract(shares, targets, out=shares)
            else:
                shares[np.arange(rows), targets] -= 1
            return np.divide(shares, rows, out=shares)

        return value, backward

    def link(self, outputs: Array) -> Array:
        """Probabilities `(batch, classes)` that add up to one."""
        return softmax(outputs, np.empty_like(outputs))

    def encode(self, targets: Array, output_shape: Shape) -> Any:
        """Class numbers `(rows,)` or `(rows, 1)` as indices; shares `(rows, classes)` as they are."""
        if targets.ndim == 2 and targets.shape[1:] == output_shape and output_shape != (1,):
            return targets
        return targets.reshape(-1).astype(np.intp)


def _unequal(targets: Shape, output: Shape) -> Misfit | None:
    if targets == output:
        return None
    return Misfit(f"emits {output}, and a row of the target has the shape {targets}: make them equal")


def _not_class_numbers(targets: Targets, units: int) -> Misfit | None:
    if targets.shape != (1,) or not targets.integers:
        wanted = "cross_entropy needs class numbers 0, 1, … or one share for each class"
        return Misfit(f"{wanted}: use mean_squared_error for other numbers", output=False)
    if not targets.within(0, units - 1):
        numbers = f"the class numbers go from {targets.least:g} to {targets.most:g}"
        return Misfit(f"has {units} units, for the classes 0 to {units - 1}, and {numbers}")
    return None


Loss: TypeAlias = Annotated[MeanSquaredError | BinaryCrossEntropy | CrossEntropy, Tagged()]
