"""How well the scores of a class rank its rows above all others, whatever threshold is drawn between them.

A rank is known only when all rows are: each row's scores are kept until then, and the value is exact.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from core.nn.arrays import Array, Shape, size
from core.nn.losses.base import Predicts
from core.nn.metrics.base import BaseMetric, Sums, true_classes
from core.nn.metrics.probabilistic import log_shares


@dataclass(frozen=True, kw_only=True, slots=True)
class RocAuc(BaseMetric):
    """The area under the receiver operating characteristic (Hanley & McNeil 1982; Fawcett 2006, alg. 2).

    It is how often a row of the class has a higher score than one of another; equal scores count half. Of two classes
    it is about the second; of more it is the plain mean over those that occur, each against all others.
    """

    type: Literal["roc_auc"] = "roc_auc"
    predicts: ClassVar[Predicts] = "classes"
    ascends: ClassVar[bool] = True
    width: ClassVar[int] = 0

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy; the scores of all rows are kept."""
        _keep(sums, outputs, targets)

    def stored_bytes(self, rows: int, output_shape: Shape) -> int:
        """Return the bytes of the scores of all rows."""
        return kept_bytes(rows, output_shape)

    def value(self, sums: Sums) -> float:
        """Between 0 and 1, by chance 1/2; null where all rows are of one class."""
        return _mean_over_classes(sums, _area)


@dataclass(frozen=True, kw_only=True, slots=True)
class PrAuc(BaseMetric):
    """The average precision, `Σ (Rₖ − Rₖ₋₁) · Pₖ` over all thresholds from the highest score down (Zhu 2004).

    It is the area under the curve of precision P over recall R, its points not joined by lines (Davis & Goadrich 2006).
    Of two classes it is about the second; of more it is the plain mean over those that occur, each against all others.
    """

    type: Literal["pr_auc"] = "pr_auc"
    predicts: ClassVar[Predicts] = "classes"
    ascends: ClassVar[bool] = True
    width: ClassVar[int] = 0

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy; the scores of all rows are kept."""
        _keep(sums, outputs, targets)

    def stored_bytes(self, rows: int, output_shape: Shape) -> int:
        """Return the bytes of the scores of all rows."""
        return kept_bytes(rows, output_shape)

    def value(self, sums: Sums) -> float:
        """Between 0 and 1, by chance the class's share of the rows; null where all rows are of one class."""
        return _mean_over_classes(sums, _average_precision)


RankingMetrics: TypeAlias = RocAuc | PrAuc

RANKED = 8
"""Numbers a row that ranking takes beside its scores: the order, the counts, and the room that a vector grows into."""


def kept_bytes(rows: int, output_shape: Shape) -> int:
    """What one of these metrics takes at most for so many rows of outputs."""
    columns = output_shape[-1] if output_shape[-1] > 2 else 1
    return 8 * rows * size(output_shape[:-1]) * (columns + columns // 8 + RANKED)


def _keep(sums: Sums, outputs: Array, targets: Array) -> None:
    """In front how many scores a row has; then, row by row, these and its class."""
    scores = _scores(outputs)
    if not sums:
        sums.append(scores.shape[1])
    sums.frombytes(np.column_stack([scores, true_classes(targets)]).tobytes())


def _scores(outputs: Array) -> Any:
    """One for each class, `log p`; of two classes only the second's, its logit."""
    if outputs.shape[1] == 1:
        return outputs.astype(np.float64)
    if outputs.shape[1] == 2:
        return np.subtract(outputs[:, 1:], outputs[:, :1], dtype=np.float64)
    return log_shares(outputs)


def _mean_over_classes(sums: Sums, score: Callable[[Any, Any], float]) -> float:
    """The mean of what `score` makes of the hits and the false alarms of each class that occurs beside others."""
    columns = int(sums[0])
    rows = np.frombuffer(sums)[1:].reshape(-1, columns + 1)
    if any(np.isnan(column).any() for column in rows.T):
        return math.nan
    wanted = range(columns) if columns > 1 else [1]
    found = [score(*_counted(rows[:, turn], of)) for turn, of in enumerate(rows[:, -1] == name for name in wanted)
             if of.any() and not of.all()]  # fmt: skip
    return sum(found) / len(found) if found else math.nan


def _counted(scores: Any, of: Any) -> tuple[Any, Any]:
    """From the highest score down, how many rows so far are of the class, and how many are not, at each other score."""
    order = np.argsort(scores)[::-1]
    scores = scores[order]
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
    hits = np.cumsum(of[order])[last]
    return hits, last + 1 - hits


def _area(hits: Any, alarms: Any) -> float:
    """Trapezia below the lines that join the points; doubled, they are whole numbers."""
    doubled = np.diff(alarms, prepend=0) @ (2 * hits - np.diff(hits, prepend=0))
    return float(doubled) / (2 * float(hits[-1]) * float(alarms[-1]))


def _average_precision(hits: Any, alarms: Any) -> float:
    return float((np.diff(hits, prepend=0) / hits[-1]) @ (hits / (hits + alarms)))
