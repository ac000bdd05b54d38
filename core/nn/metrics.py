"""What people ask of a network beside its loss: how often it is right, and how far off.

A metric is a few sums that grow batch by batch and give the exact value at the end, however the rows were batched.
`predicts` says what it is about, `ascends` whether more is better.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np

from core.nn.arrays import Array
from core.nn.kinds import Tagged
from core.nn.losses.kind import Predicts

Sums: TypeAlias = list[float]
"""What a metric has gathered: `width` numbers that begin at zero."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy:
    """The share of rows whose most likely class is the true one."""

    type: Literal["accuracy"] = "accuracy"
    predicts: ClassVar[Predicts] = "classes"
    ascends: ClassVar[bool] = True
    width: ClassVar[int] = 2

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits `(batch, classes)`, or `(batch, 1)` for two classes; targets as the loss takes them."""
        right: Any
        if outputs.shape[-1] == 1:
            right = (outputs > 0) == (targets > 0.5)
        else:
            true = targets if targets.ndim == 1 else np.argmax(targets, axis=-1)
            right = np.argmax(outputs, axis=-1) == true
        sums[0] += float(np.count_nonzero(right))
        sums[1] += right.size

    def value(self, sums: Sums) -> float:
        """Between 0 and 1."""
        return sums[0] / sums[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanAbsoluteError:
    """The mean of `|output − target|`."""

    type: Literal["mean_absolute_error"] = "mean_absolute_error"
    predicts: ClassVar[Predicts] = "numbers"
    ascends: ClassVar[bool] = False
    width: ClassVar[int] = 2

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Outputs and targets `(batch, …)`."""
        sums[0] += float(np.add.reduce(np.abs(outputs - targets), axis=None))
        sums[1] += outputs.size

    def value(self, sums: Sums) -> float:
        """In the target's own unit."""
        return sums[0] / sums[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class RSquared:
    """The share of the targets' variance that the network explains: 1 is perfect, 0 no better than their mean."""

    type: Literal["r2"] = "r2"
    predicts: ClassVar[Predicts] = "numbers"
    ascends: ClassVar[bool] = True
    width: ClassVar[int] = 5

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Outputs and targets `(batch, …)`; all numbers of a row count alike."""
        if not sums[3]:
            sums[4] = float(targets.flat[0])  # variance is measured around the first target: no digits are lost
        sums[0] += float(np.square(np.subtract(outputs, targets, dtype=np.float64)).sum())
        true = targets.astype(np.float64) - sums[4]
        sums[1] += float(true.sum())
        sums[2] += float(np.square(true).sum())
        sums[3] += true.size

    def value(self, sums: Sums) -> float:
        """At most 1; 0 where the targets do not vary at all."""
        spread = sums[2] - sums[1] * sums[1] / sums[3]
        return 1 - sums[0] / spread if spread > 0 else 0.0


Metric: TypeAlias = Annotated[Accuracy | MeanAbsoluteError | RSquared, Tagged()]

USUAL: dict[Predicts, tuple[Metric, ...]] = {"classes": (Accuracy(),), "numbers": (MeanAbsoluteError(),)}
"""What is measured where nobody says."""
