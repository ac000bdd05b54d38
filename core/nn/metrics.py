"""What people ask of a network beside its loss: how often it is right, and how far off.

A metric is a few sums that grow batch by batch and give the exact value at the end, however the rows were batched.
`predicts` says what it is about, `ascends` whether more is better.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt

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
class TopKCategoricalAccuracy:
    """The share of rows whose true class is among the k likeliest."""

    type: Literal["top_k_categorical_accuracy"] = "top_k_categorical_accuracy"
    k: Annotated[int, Ge(1)] = 5
    """How many are looked at."""
    predicts: ClassVar[Predicts] = "classes"
    ascends: ClassVar[bool] = True
    width: ClassVar[int] = 2

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy; of classes that are equally likely the true one comes last."""
        if outputs.shape[-1] == 1:
            outputs = np.concatenate([-outputs, outputs], axis=-1)
        true = _true(targets)
        own = outputs[np.arange(len(outputs)), true]
        ahead = np.count_nonzero(outputs >= own[:, None], axis=-1) - 1
        sums[0] += float(np.count_nonzero(ahead < self.k))
        sums[1] += len(outputs)

    def value(self, sums: Sums) -> float:
        """Between 0 and 1."""
        return sums[0] / sums[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Precision:
    """The share of rows said to be of a class that are of it.

    Of two classes it is about the second; of more it is the plain mean over those that occur.
    """

    type: Literal["precision"] = "precision"
    predicts: ClassVar[Predicts] = "classes"
    ascends: ClassVar[bool] = True
    width: ClassVar[int] = 0

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy."""
        _count(sums, outputs, targets)

    def value(self, sums: Sums) -> float:
        """Between 0 and 1; a class that is never right counts 0."""
        return _mean_over_classes(sums, lambda right, said, _: right / said if said else 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recall:
    """The share of a class's rows that are said to be of it.

    Of two classes it is about the second; of more it is the plain mean over those that occur.
    """

    type: Literal["recall"] = "recall"
    predicts: ClassVar[Predicts] = "classes"
    ascends: ClassVar[bool] = True
    width: ClassVar[int] = 0

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy."""
        _count(sums, outputs, targets)

    def value(self, sums: Sums) -> float:
        """Between 0 and 1; a class that is never right counts 0."""
        return _mean_over_classes(sums, lambda right, _, true: right / true if true else 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class FBeta:
    """`(1 + β²) · precision · recall / (β² · precision + recall)` (van Rijsbergen 1979).

    Of two classes it is about the second; of more it is the plain mean over those that occur.
    """

    type: Literal["f_beta"] = "f_beta"
    beta: Annotated[float, Gt(0)] = 1.0
    """How many times as much recall counts as precision."""
    predicts: ClassVar[Predicts] = "classes"
    ascends: ClassVar[bool] = True
    width: ClassVar[int] = 0

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy."""
        _count(sums, outputs, targets)

    def value(self, sums: Sums) -> float:
        """Between 0 and 1; a class that is never right counts 0."""
        square = self.beta**2
        return _mean_over_classes(sums, lambda right, said, true: (1 + square) * right / (said + square * true))


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
class RootMeanSquaredError:
    """The root of the mean of `(output − target)²`."""

    type: Literal["root_mean_squared_error"] = "root_mean_squared_error"
    predicts: ClassVar[Predicts] = "numbers"
    ascends: ClassVar[bool] = False
    width: ClassVar[int] = 2

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Outputs and targets `(batch, …)`."""
        sums[0] += float(np.square(np.subtract(outputs, targets, dtype=np.float64)).sum())
        sums[1] += outputs.size

    def value(self, sums: Sums) -> float:
        """In the target's own unit."""
        return math.sqrt(sums[0] / sums[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanAbsolutePercentageError:
    """The mean of `100 · |output − target| / |target|`; a target of 0 counts as 1e-7."""

    type: Literal["mean_absolute_percentage_error"] = "mean_absolute_percentage_error"
    predicts: ClassVar[Predicts] = "numbers"
    ascends: ClassVar[bool] = False
    width: ClassVar[int] = 2

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Outputs and targets `(batch, …)`."""
        scale = np.maximum(np.abs(targets), 1e-7)
        sums[0] += 100 * float(np.sum(np.abs(outputs - targets) / scale, dtype=np.float64))
        sums[1] += outputs.size

    def value(self, sums: Sums) -> float:
        """In per cent."""
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


def _true(targets: Array) -> Any:
    """The class numbers `(batch,)` of targets as any loss takes them."""
    if targets.ndim == 1:
        return targets
    return (targets[:, 0] > 0.5).astype(np.intp) if targets.shape[-1] == 1 else targets.argmax(axis=-1)


def _count(sums: Sums, outputs: Array, targets: Array) -> None:
    """For each class in turn: how often it was rightly said, said, and true."""
    classes = max(outputs.shape[-1], 2)
    said = (outputs[:, 0] > 0).astype(np.intp) if outputs.shape[-1] == 1 else outputs.argmax(axis=-1)
    true = _true(targets)
    if not sums:
        sums += [0.0] * (3 * classes)
    for turn, kind in enumerate((true[said == true], said, true)):
        counts = np.bincount(kind, minlength=classes).tolist()
        sums[turn::3] = [before + count for before, count in zip(sums[turn::3], counts, strict=True)]


def _mean_over_classes(sums: Sums, score: Callable[[float, float, float], float]) -> float:
    each = list(zip(sums[::3], sums[1::3], sums[2::3], strict=True))
    if len(each) == 2:
        each = each[1:]
    scores = [score(right, said, true) for right, said, true in each if said or true]
    return sum(scores) / len(scores) if scores else 0.0


Metric: TypeAlias = Annotated[
    Accuracy
    | TopKCategoricalAccuracy
    | Precision
    | Recall
    | FBeta
    | MeanAbsoluteError
    | RootMeanSquaredError
    | MeanAbsolutePercentageError
    | RSquared,
    Tagged(),
]

USUAL: dict[Predicts, tuple[Metric, ...]] = {"classes": (Accuracy(),), "numbers": (MeanAbsoluteError(),)}
"""What is measured where nobody says."""
