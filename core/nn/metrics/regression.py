"""Metrics of the distance between outputs and numeric targets."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from core.nn.arrays import Array
from core.nn.losses.base import Predicts
from core.nn.metrics.base import BaseMetric, Sums

MIN_NUMBERS_OF_R2 = 2
"""Numbers below which a variance says nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanAbsoluteErrorMetric(BaseMetric):
    """The mean of `|output − target|`."""

    type: Literal["mean_absolute_error"] = "mean_absolute_error"
    predicts: ClassVar[Predicts] = "numbers"

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Add outputs and targets `(batch, …)`."""
        sums[0] += float(np.add.reduce(np.abs(outputs - targets), axis=None, dtype=np.float64))
        sums[1] += outputs.size

    def value(self, sums: Sums) -> float:
        """In the unit of the target."""
        return sums[0] / sums[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanSquaredErrorMetric(BaseMetric):
    """The mean of `(output − target)²`."""

    type: Literal["mean_squared_error"] = "mean_squared_error"
    predicts: ClassVar[Predicts] = "numbers"

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Add outputs and targets `(batch, …)`."""
        sums[0] += float(np.square(np.subtract(outputs, targets, dtype=np.float64)).sum())
        sums[1] += outputs.size

    def value(self, sums: Sums) -> float:
        """In the squared unit of the target."""
        return sums[0] / sums[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class RootMeanSquaredError(BaseMetric):
    """The root of the mean of `(output − target)²`."""

    type: Literal["root_mean_squared_error"] = "root_mean_squared_error"
    predicts: ClassVar[Predicts] = "numbers"

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Add outputs and targets `(batch, …)`."""
        MeanSquaredErrorMetric().add(sums, outputs, targets)

    def value(self, sums: Sums) -> float:
        """In the unit of the target."""
        return math.sqrt(sums[0] / sums[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanAbsolutePercentageErrorMetric(BaseMetric):
    """The mean of `100 · |output − target| / |target|`; a target of 0 counts as 1e-7."""

    type: Literal["mean_absolute_percentage_error"] = "mean_absolute_percentage_error"
    predicts: ClassVar[Predicts] = "numbers"

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Add outputs and targets `(batch, …)`."""
        scale = np.maximum(np.abs(targets), 1e-7)
        sums[0] += 100 * float(np.sum(np.abs(outputs - targets) / scale, dtype=np.float64))
        sums[1] += outputs.size

    def value(self, sums: Sums) -> float:
        """In per cent."""
        return sums[0] / sums[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class RSquared(BaseMetric):
    """The fraction of the targets' variance that the network explains: 1 is perfect, 0 is as good as their mean."""

    type: Literal["r2"] = "r2"
    predicts: ClassVar[Predicts] = "numbers"
    higher_is_better: ClassVar[bool] = True
    num_sums: ClassVar[int] = 5

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Add outputs and targets `(batch, …)`; all numbers of a row have the same weight."""
        if not sums[3]:
            sums[4] = float(targets.flat[0])  # the variance is computed around the first target, so no digits are lost
        sums[0] += float(np.square(np.subtract(outputs, targets, dtype=np.float64)).sum())
        true = targets.astype(np.float64) - sums[4]
        sums[1] += float(true.sum())
        sums[2] += float(np.square(true).sum())
        sums[3] += true.size

    def value(self, sums: Sums) -> float:
        """At most 1; null for a single number. Of equal targets it is 1 if all are predicted exactly, else 0."""
        if sums[3] < MIN_NUMBERS_OF_R2:
            return math.nan
        spread = sums[2] - sums[1] * sums[1] / sums[3]
        if spread > 0:
            return 1 - sums[0] / spread
        return 0.0 if sums[0] else 1.0


RegressionMetrics: TypeAlias = (
    MeanAbsoluteErrorMetric
    | MeanSquaredErrorMetric
    | RootMeanSquaredError
    | MeanAbsolutePercentageErrorMetric
    | RSquared
)
