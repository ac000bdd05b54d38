"""How wrong a network is, in one number, and in which direction it gets worse.

A loss owns its link, the function that turns a network's outputs (logits) into an answer: it is computed from the
logits, where it is stable, and nobody pairs a final activation with it. All losses are means over the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np

from core.nn.activations import sigmoid, softmax
from core.nn.arena import Run
from core.nn.arrays import Array, Shape
from core.nn.kinds import Tagged

Lost: TypeAlias = tuple[float, Callable[[], Array]]
"""The value, and the backward pass that gives its gradient with regard to the outputs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanSquaredError:
    """The mean of `(output − target)²` over all numbers of the batch: for numbers. Link: none."""

    type: Literal["mean_squared_error"] = "mean_squared_error"

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


Loss: TypeAlias = Annotated[MeanSquaredError | BinaryCrossEntropy | CrossEntropy, Tagged()]
