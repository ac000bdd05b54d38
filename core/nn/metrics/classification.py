"""How often the likeliest class is the true one."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt

from core.nn.arrays import Array
from core.nn.losses.base import Predicts
from core.nn.metrics.base import BaseMetric, Sums, Table, true_classes, zero_sums


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy(BaseMetric):
    """The share of rows whose most likely class is the true one; of outputs that are a yes or a no each, of those."""

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
class TopKCategoricalAccuracy(BaseMetric):
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
        true = true_classes(targets)
        own = outputs[np.arange(len(outputs)), true]
        ahead = np.count_nonzero(outputs >= own[:, None], axis=-1) - 1
        sums[0] += float(np.count_nonzero(ahead < self.k))
        sums[1] += len(outputs)

    def value(self, sums: Sums) -> float:
        """Between 0 and 1."""
        return sums[0] / sums[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Precision(BaseMetric):
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
class Recall(BaseMetric):
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
class FBeta(BaseMetric):
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
class IntersectionOverUnion(BaseMetric):
    """The rows rightly said to be of a class, as a share of those said to be or of it (Jaccard 1901).

    Of two classes it is about the second; of more it is the plain mean over those that occur.
    """

    type: Literal["iou"] = "iou"
    predicts: ClassVar[Predicts] = "classes"
    ascends: ClassVar[bool] = True
    width: ClassVar[int] = 0

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy."""
        _count(sums, outputs, targets)

    def value(self, sums: Sums) -> float:
        """Between 0 and 1."""
        return _mean_over_classes(sums, lambda right, said, true: right / (said + true - right))


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfusionMatrix(BaseMetric):
    """How often rows of each class are said to be of each: a table, kept beside the numbers of the last epoch.

    As one number it is the share of rows off its diagonal, the error rate.
    """

    type: Literal["confusion_matrix"] = "confusion_matrix"
    predicts: ClassVar[Predicts] = "classes"
    ascends: ClassVar[bool] = False
    width: ClassVar[int] = 0
    tabulates: ClassVar[bool] = True

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy."""
        classes = max(outputs.shape[-1], 2)
        if not sums:
            sums.extend(zero_sums(classes * classes))
        places = true_classes(targets) * classes + _said(outputs)
        np.frombuffer(sums)[:] += np.bincount(places, minlength=classes * classes)

    def value(self, sums: Sums) -> float:
        """Between 0 and 1."""
        table = np.array(self.table(sums))
        return 1 - float(np.trace(table) / table.sum())

    def table(self, sums: Sums) -> Table:
        """Row by row the true classes, column by column those that were said, in the order of their numbers."""
        classes = math.isqrt(len(sums))
        counts: Table = np.frombuffer(sums).astype(int).reshape(classes, classes).tolist()
        return counts


def _said(outputs: Array) -> Any:
    """The likeliest classes `(rows,)` by logits `(rows, classes)`, or `(rows, 1)` of two."""
    return (outputs[:, 0] > 0).astype(np.intp) if outputs.shape[-1] == 1 else outputs.argmax(axis=-1)


def _count(sums: Sums, outputs: Array, targets: Array) -> None:
    """For each class in turn: how often it was rightly said, said, and true."""
    classes = max(outputs.shape[-1], 2)
    said, true = _said(outputs), true_classes(targets)
    if not sums:
        sums.extend(zero_sums(3 * classes))
    for turn, kind in enumerate((true[said == true], said, true)):
        np.frombuffer(sums)[turn::3] += np.bincount(kind, minlength=classes)


def _mean_over_classes(sums: Sums, score: Callable[[float, float, float], float]) -> float:
    each = list(zip(sums[::3], sums[1::3], sums[2::3], strict=True))
    if len(each) == 2:
        each = each[1:]
    scores = [score(right, said, true) for right, said, true in each if said or true]
    return sum(scores) / len(scores) if scores else 0.0


ClassificationMetrics: TypeAlias = (
    Accuracy | TopKCategoricalAccuracy | Precision | Recall | FBeta | IntersectionOverUnion | ConfusionMatrix
)
