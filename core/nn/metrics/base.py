"""The base class of all metrics, the sums that they add to, and the classes of targets."""

from abc import abstractmethod
from array import array
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from core.nn.arrays import Array, Shape
from core.nn.losses.base import Predicts

Sums: TypeAlias = "array[float]"
"""The state of a metric: `num_sums` numbers that start at zero; if that is 0, the first batch decides how many."""

Table: TypeAlias = list[list[int]]
"""Counts by row and column."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseMetric:
    """A metric: its facts, how it adds a batch to its sums, and its value."""

    type: str
    predicts: ClassVar[Predicts]
    higher_is_better: ClassVar[bool] = False
    num_sums: ClassVar[int] = 2
    """The number of sums at the start; 0 if the first batch decides it."""
    value_name: ClassVar[str | None] = None
    """The name of the value; None: the type."""
    tabulates: ClassVar[bool] = False
    """Whether the metric has a table of counts besides its value."""

    @abstractmethod
    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Add a batch to the sums."""

    @abstractmethod
    def value(self, sums: Sums) -> float:
        """Return the value for all rows that were added."""

    def table(self, sums: Sums) -> Table:
        """Return the table of counts, which is empty unless `tabulates`."""
        return []

    def stored_bytes(self, rows: int, output_shape: Shape) -> int:
        """Return the bytes that the metric stores for so many rows: 0 unless it stores the rows themselves."""
        return 0


def zero_sums(count: int) -> Sums:
    """Return `count` zeros in float64."""
    return array("d", bytes(8 * count))


def true_classes(targets: Array) -> Any:
    """Return the class numbers `(batch,)` of targets as any loss takes them."""
    if targets.ndim == 1:
        return targets
    return (targets[:, 0] > 0.5).astype(np.intp) if targets.shape[-1] == 1 else targets.argmax(axis=-1)


def predicted_classes(outputs: Array) -> Any:
    """Return the most probable class `(rows,)` by logits `(rows, classes)`, or `(rows, 1)` for two classes."""
    return (outputs[:, 0] > 0).astype(np.intp) if outputs.shape[-1] == 1 else outputs.argmax(axis=-1)
