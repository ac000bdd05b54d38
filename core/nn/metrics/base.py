"""What a metric gathers, and what it is told of the targets."""

from abc import abstractmethod
from array import array
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from core.nn.arrays import Array, Shape
from core.nn.losses.base import Predicts

Sums: TypeAlias = "array[float]"
"""What a metric has gathered: `width` numbers that begin at zero, or, where that is 0, as many as it finds it needs."""

Table: TypeAlias = list[list[int]]
"""Counts by row and column."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseMetric:
    """What every metric has: its facts, and the sums that it adds to batch by batch."""

    type: str
    predicts: ClassVar[Predicts]
    ascends: ClassVar[bool]
    """Whether a higher value is better."""
    width: ClassVar[int]
    """The number of sums at the start; 0 if the first batch decides it."""
    tabulates: ClassVar[bool] = False
    """Whether it has a table of counts beside its value."""

    @abstractmethod
    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Add a batch to the sums."""

    @abstractmethod
    def value(self, sums: Sums) -> float:
        """Return the value of all rows that were added."""

    def table(self, sums: Sums) -> Table:
        """Return the table of counts, which is empty unless `tabulates`."""
        return []

    def stored_bytes(self, rows: int, output_shape: Shape) -> int:
        """Return the bytes that the metric stores for so many rows: 0 unless it keeps the rows themselves."""
        return 0


def zero_sums(width: int) -> Sums:
    """So many zeros, in float64."""
    return array("d", bytes(8 * width))


def true_classes(targets: Array) -> Any:
    """The class numbers `(batch,)` of targets as any loss takes them."""
    if targets.ndim == 1:
        return targets
    return (targets[:, 0] > 0.5).astype(np.intp) if targets.shape[-1] == 1 else targets.argmax(axis=-1)
