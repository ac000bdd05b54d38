"""What a metric gathers, and what it is told of the targets."""

from array import array
from typing import Any, TypeAlias

import numpy as np

from core.nn.arrays import Array

Sums: TypeAlias = "array[float]"
"""What a metric has gathered: `width` numbers that begin at zero, or, where that is 0, as many as it finds it needs."""

Table: TypeAlias = list[list[int]]
"""Counts by row and column."""


def nothing(width: int) -> Sums:
    """So many zeros, in float64."""
    return array("d", bytes(8 * width))


def true_classes(targets: Array) -> Any:
    """The class numbers `(batch,)` of targets as any loss takes them."""
    if targets.ndim == 1:
        return targets
    return (targets[:, 0] > 0.5).astype(np.intp) if targets.shape[-1] == 1 else targets.argmax(axis=-1)
