"""Metrics of the ranking of rows by their score, over all classification thresholds.

A rank depends on all rows, so the scores of each row are stored until the end, and the value is exact.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from core.nn.arrays import Array, Shape, size
from core.nn.losses.base import Predicts
from core.nn.metrics.base import BaseMetric, Sums, true_classes
from core.nn.metrics.probabilistic import log_probabilities

EXTRA_NUMBERS = 8
"""Numbers for each row besides its scores: the order, the counts, and the spare capacity of a growing array."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RankingMetric(BaseMetric):
    """An area under a curve, from the scores of all rows."""

    predicts: ClassVar[Predicts] = "classes"
    higher_is_better: ClassVar[bool] = True
    num_sums: ClassVar[int] = 0

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy; the scores of all rows are stored.

        The first number is the number of scores of a row; then follow the scores and the class of each row.
        """
        scores = _scores(outputs)
        if not sums:
            sums.append(scores.shape[1])
        sums.frombytes(np.column_stack([scores, true_classes(targets)]).tobytes())

    def value(self, sums: Sums) -> float:
        """Between 0 and 1; null if all rows are of one class."""
        columns = int(sums[0])
        rows = np.frombuffer(sums)[1:].reshape(-1, columns + 1)
        if any(np.isnan(column).any() for column in rows.T):
            return math.nan
        classes = range(columns) if columns > 1 else [1]
        areas = []
        for column, name in enumerate(classes):
            positive = rows[:, -1] == name
            if positive.any() and not positive.all():
                areas.append(self.area(*_positives(rows[:, column], positive)))
        return sum(areas) / len(areas) if areas else math.nan

    def stored_bytes(self, rows: int, output_shape: Shape) -> int:
        """Return the bytes of the scores of so many rows, and of computing the value."""
        columns = output_shape[-1] if output_shape[-1] > 2 else 1
        return 8 * rows * size(output_shape[:-1]) * (columns + columns // 8 + EXTRA_NUMBERS)

    @abstractmethod
    def area(self, true_positives: Any, false_positives: Any) -> float:
        """Return the area from the counts at each threshold, from the highest down."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RocAuc(RankingMetric):
    """The area under the receiver operating characteristic (Hanley & McNeil 1982; Fawcett 2006, alg. 2).

    It is the probability that a row of the class has a higher score than one of another class; equal scores count half.
    For two classes it is that of the second; for more, the unweighted mean over the classes that occur, each against
    all others.
    """

    type: Literal["roc_auc"] = "roc_auc"

    def value(self, sums: Sums) -> float:
        """Between 0 and 1, 1/2 at random; null if all rows are of one class."""
        return RankingMetric.value(self, sums)

    def area(self, true_positives: Any, false_positives: Any) -> float:
        """Return the sum of the trapezoids; doubled, they are integers."""
        doubled = np.diff(false_positives, prepend=0) @ (2 * true_positives - np.diff(true_positives, prepend=0))
        return float(doubled) / (2 * float(true_positives[-1]) * float(false_positives[-1]))


@dataclass(frozen=True, kw_only=True, slots=True)
class PrAuc(RankingMetric):
    """The average precision, `Σ (Rₖ − Rₖ₋₁) · Pₖ` over all thresholds from the highest score down (Zhu 2004).

    It is the area under the curve of precision P over recall R, without interpolation (Davis & Goadrich 2006). For two
    classes it is that of the second; for more, the unweighted mean over the classes that occur, each against all
    others.
    """

    type: Literal["pr_auc"] = "pr_auc"

    def value(self, sums: Sums) -> float:
        """Between 0 and 1, at random the fraction of the class's rows; null if all rows are of one class."""
        return RankingMetric.value(self, sums)

    def area(self, true_positives: Any, false_positives: Any) -> float:
        """Return the sum of the precisions, weighted by the differences of the recall."""
        recall_steps = np.diff(true_positives, prepend=0) / true_positives[-1]
        return float(recall_steps @ (true_positives / (true_positives + false_positives)))


RankingMetrics: TypeAlias = RocAuc | PrAuc


def _scores(outputs: Array) -> Any:
    """Return one score for each class, `log p`; for two classes only that of the second, its logit."""
    if outputs.shape[1] == 1:
        return outputs.astype(np.float64)
    if outputs.shape[1] == 2:
        return np.subtract(outputs[:, 1:], outputs[:, :1], dtype=np.float64)
    return log_probabilities(outputs)


def _positives(scores: Any, positive: Any) -> tuple[Any, Any]:
    """Return the numbers of true and of false positives at each distinct score, from the highest down."""
    order = np.argsort(scores)[::-1]
    scores = scores[order]
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
    true_positives = np.cumsum(positive[order])[last]
    return true_positives, last + 1 - true_positives
