"""Metrics that compare the most probable class of each row with the true one."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt

from core.nn.arrays import Array
from core.nn.losses.base import Predicts
from core.nn.metrics.base import BaseMetric, Sums, Table, predicted_classes, true_classes, zero_sums


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy(BaseMetric):
    """The fraction of rows whose most probable class is the true one; of multi-label outputs, of the single labels."""

    type: Literal["accuracy"] = "accuracy"
    predicts: ClassVar[Predicts] = "classes"
    higher_is_better: ClassVar[bool] = True

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits `(batch, classes)`, or `(batch, 1)` for two classes; targets as the loss takes them."""
        correct: Any
        if outputs.shape[-1] == 1:
            correct = (outputs > 0) == (targets > 0.5)
        else:
            true = targets if targets.ndim == 1 else np.argmax(targets, axis=-1)
            correct = np.argmax(outputs, axis=-1) == true
        sums[0] += float(np.count_nonzero(correct))
        sums[1] += correct.size

    def value(self, sums: Sums) -> float:
        """Between 0 and 1."""
        return sums[0] / sums[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class TopKCategoricalAccuracy(BaseMetric):
    """The fraction of rows whose true class is among the k most probable ones."""

    type: Literal["top_k_categorical_accuracy"] = "top_k_categorical_accuracy"
    k: Annotated[int, Ge(1)] = 5
    """The number of classes that are considered."""
    predicts: ClassVar[Predicts] = "classes"
    higher_is_better: ClassVar[bool] = True

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy; among equally probable classes the true one is last."""
        if outputs.shape[-1] == 1:
            outputs = np.concatenate([-outputs, outputs], axis=-1)
        true = true_classes(targets)
        true_logits = outputs[np.arange(len(outputs)), true]
        rank = np.count_nonzero(outputs >= true_logits[:, None], axis=-1) - 1
        sums[0] += float(np.count_nonzero(rank < self.k))
        sums[1] += len(outputs)

    def value(self, sums: Sums) -> float:
        """Between 0 and 1."""
        return sums[0] / sums[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class PerClassMetric(BaseMetric):
    """A score of each class, from three counts.

    The value is the score of the second class if there are two, else the unweighted mean over the classes that occur.
    """

    predicts: ClassVar[Predicts] = "classes"
    higher_is_better: ClassVar[bool] = True
    num_sums: ClassVar[int] = 0

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy."""
        classes = max(outputs.shape[-1], 2)
        predicted, true = predicted_classes(outputs), true_classes(targets)
        if not sums:
            sums.extend(zero_sums(3 * classes))
        for position, rows in enumerate((true[predicted == true], predicted, true)):
            np.frombuffer(sums)[position::3] += np.bincount(rows, minlength=classes)

    def value(self, sums: Sums) -> float:
        """Between 0 and 1; a class without a correct row has 0.

        Null where no row is of the second of two classes, and none is predicted as it.
        """
        counts = list(zip(sums[::3], sums[1::3], sums[2::3], strict=True))
        if len(counts) == 2:
            counts = counts[1:]
        scores = [self.score(correct, predicted, true) for correct, predicted, true in counts if predicted or true]
        return sum(scores) / len(scores) if scores else math.nan

    @abstractmethod
    def score(self, correct: float, predicted: float, true: float) -> float:
        """Return the score of a class from its numbers of correct, predicted and true rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Precision(PerClassMetric):
    """The fraction of the rows predicted as a class that belong to it.

    For two classes it is that of the second; for more, the unweighted mean over the classes that occur.
    """

    type: Literal["precision"] = "precision"

    def score(self, correct: float, predicted: float, true: float) -> float:
        """Return `correct / predicted`, or 0."""
        return correct / predicted if predicted else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Recall(PerClassMetric):
    """The fraction of a class's rows that are predicted as it.

    For two classes it is that of the second; for more, the unweighted mean over the classes that occur.
    """

    type: Literal["recall"] = "recall"

    def score(self, correct: float, predicted: float, true: float) -> float:
        """Return `correct / true`, or 0."""
        return correct / true if true else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class FBeta(PerClassMetric):
    """`(1 + β²) · precision · recall / (β² · precision + recall)` (van Rijsbergen 1979).

    For two classes it is that of the second; for more, the unweighted mean over the classes that occur.
    """

    type: Literal["f_beta"] = "f_beta"
    beta: Annotated[float, Gt(0)] = 1.0
    """The weight of recall relative to precision."""

    def score(self, correct: float, predicted: float, true: float) -> float:
        """Return `(1 + β²) · correct / (predicted + β² · true)`."""
        square = self.beta**2
        return (1 + square) * correct / (predicted + square * true)


@dataclass(frozen=True, kw_only=True, slots=True)
class IntersectionOverUnion(PerClassMetric):
    """The rows correctly predicted as a class, divided by the rows predicted as or belonging to it (Jaccard 1901).

    For two classes it is that of the second; for more, the unweighted mean over the classes that occur.
    """

    type: Literal["iou"] = "iou"

    def score(self, correct: float, predicted: float, true: float) -> float:
        """Return `correct / (predicted + true − correct)`."""
        return correct / (predicted + true - correct)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfusionMatrix(BaseMetric):
    """The number of rows for each pair of true and predicted class: a table, stored with the last epoch's metrics.

    Its value is called `error_rate`: the fraction of rows off the diagonal.
    """

    type: Literal["confusion_matrix"] = "confusion_matrix"
    predicts: ClassVar[Predicts] = "classes"
    num_sums: ClassVar[int] = 0
    value_name: ClassVar[str | None] = "error_rate"
    tabulates: ClassVar[bool] = True

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy."""
        classes = max(outputs.shape[-1], 2)
        if not sums:
            sums.extend(zero_sums(classes * classes))
        cells = true_classes(targets) * classes + predicted_classes(outputs)
        np.frombuffer(sums)[:] += np.bincount(cells, minlength=classes * classes)

    def value(self, sums: Sums) -> float:
        """Between 0 and 1."""
        table = np.array(self.table(sums))
        return 1 - float(np.trace(table) / table.sum())

    def table(self, sums: Sums) -> Table:
        """Return the counts, with a row for each true class and a column for each predicted class, in their order."""
        classes = math.isqrt(len(sums))
        counts: Table = np.frombuffer(sums).astype(int).reshape(classes, classes).tolist()
        return counts


ClassificationMetrics: TypeAlias = (
    Accuracy | TopKCategoricalAccuracy | Precision | Recall | FBeta | IntersectionOverUnion | ConfusionMatrix
)
