"""The edit distance between predicted and true label sequences."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from core.nn.losses.base import Predicts
from core.nn.metrics.base import BaseMetric, Sums


@dataclass(frozen=True, kw_only=True, slots=True)
class EditDistance(BaseMetric):
    """Insertions, deletions and substitutions of labels, divided by the number of true labels (Levenshtein 1966).

    For letters it is the character error rate, for words the word error rate. It may be more than 1.
    """

    type: Literal["edit_distance"] = "edit_distance"
    predicts: ClassVar[Predicts] = "labels"

    def add(self, sums: Sums, outputs: Any, targets: Any) -> None:
        """Predicted and true labels `(batch, …)`: those of a row first, then 0."""
        sums[0] += float(distances(outputs, targets).sum())
        sums[1] += float(np.count_nonzero(targets))

    def value(self, sums: Sums) -> float:
        """At least 0; without any true label, the number of predicted ones."""
        return sums[0] / max(sums[1], 1.0)


def distances(predicted: Any, true: Any) -> Any:
    """Return the edit distance of each row `(batch,)` of labels `(batch, …)`: those of a row first, then 0.

    It is computed for all rows at once, one predicted label after the other (Wagner & Fischer 1974).
    """
    rows, lengths = np.arange(len(predicted)), np.count_nonzero(predicted, axis=1)
    columns = np.arange(true.shape[1] + 1)
    costs = np.tile(columns, (len(predicted), 1))
    for position, label in enumerate(predicted.T):
        substituted = costs[:, :-1] + (true != label[:, None])
        following = costs + 1
        np.minimum(following[:, 1:], substituted, out=following[:, 1:])
        following = np.minimum.accumulate(following - columns, axis=1) + columns  # labels that are missing
        costs = np.where((position < lengths)[:, None], following, costs)
    return costs[rows, np.count_nonzero(true, axis=1)]
