"""How far the labels of a sequence are from the true ones."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from core.nn.losses.base import Predicts
from core.nn.metrics.base import BaseMetric, Sums


@dataclass(frozen=True, kw_only=True, slots=True)
class EditDistance(BaseMetric):
    """Labels to put in, take out or change, for each true label (Levenshtein 1966).

    Of letters it is the character error rate, of words the word error rate. It may be more than 1.
    """

    type: Literal["edit_distance"] = "edit_distance"
    predicts: ClassVar[Predicts] = "labels"
    ascends: ClassVar[bool] = False
    width: ClassVar[int] = 2

    def add(self, sums: Sums, outputs: Any, targets: Any) -> None:
        """Labels `(batch, …)` as a net says them, and the true ones: those of a row first, then 0."""
        sums[0] += float(distances(outputs, targets).sum())
        sums[1] += float(np.count_nonzero(targets))

    def value(self, sums: Sums) -> float:
        """From 0 up; where there are no true labels at all, how many were said."""
        return sums[0] / max(sums[1], 1.0)


def distances(said: Any, true: Any) -> Any:
    """The edit distance of each row `(batch,)` of labels `(batch, …)`, those of a row first, then 0.

    All rows at once, one label that was said after the other (Wagner & Fischer 1974).
    """
    rows, ends = np.arange(len(said)), np.count_nonzero(said, axis=1)
    places = np.arange(true.shape[1] + 1)
    now = np.tile(places, (len(said), 1))
    for turn, label in enumerate(said.T):
        changed = now[:, :-1] + (true != label[:, None])
        following = now + 1
        np.minimum(following[:, 1:], changed, out=following[:, 1:])
        following = np.minimum.accumulate(following - places, axis=1) + places  # labels that are left out
        now = np.where((turn < ends)[:, None], following, now)
    return now[rows, np.count_nonzero(true, axis=1)]
