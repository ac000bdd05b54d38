"""How much the probabilities of classes are worth."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le

from core.nn.arrays import Array
from core.nn.losses.base import Predicts
from core.nn.metrics.base import BaseMetric, Sums, true_classes, zero_sums


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLoss(BaseMetric):
    """The mean of `−log p`, p the true class's probability, whatever else the loss weighs or adds (Good 1952)."""

    type: Literal["log_loss"] = "log_loss"
    predicts: ClassVar[Predicts] = "classes"
    ascends: ClassVar[bool] = False
    width: ClassVar[int] = 2

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy; of shares the mean over the classes' shares counts."""
        sums[0] -= _log_likelihood(outputs, targets)
        sums[1] += len(outputs)

    def value(self, sums: Sums) -> float:
        """In nats, at least 0."""
        return sums[0] / sums[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Perplexity(BaseMetric):
    """`e` to the mean of `−log p`: among how many equally likely classes it is as hard to choose (Jelinek 1977)."""

    type: Literal["perplexity"] = "perplexity"
    predicts: ClassVar[Predicts] = "classes"
    ascends: ClassVar[bool] = False
    width: ClassVar[int] = 2

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy."""
        sums[0] -= _log_likelihood(outputs, targets)
        sums[1] += len(outputs)

    def value(self, sums: Sums) -> float:
        """At least 1; infinite beyond what a float holds."""
        mean = sums[0] / sums[1]
        return math.exp(mean) if mean < MAX_EXPONENT else math.inf


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedCalibrationError(BaseMetric):
    """By how much the likeliest class's probability is off from how often it is right (Guo et al. 2017, eq. 3)."""

    type: Literal["expected_calibration_error"] = "expected_calibration_error"
    bins: Annotated[int, Ge(1), Le(1000)] = 15
    """Into how many equal intervals of probability the rows are sorted."""
    predicts: ClassVar[Predicts] = "classes"
    ascends: ClassVar[bool] = False
    width: ClassVar[int] = 0

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy; gathered for each bin: rows, their probabilities, how many are right."""
        if not sums:
            sums.extend(zero_sums(3 * self.bins))
        shares = np.exp(log_shares(outputs))
        likeliest = shares.max(axis=1)
        right = shares.argmax(axis=1) == true_classes(targets)
        place = np.clip(np.ceil(likeliest * self.bins).astype(np.intp) - 1, 0, self.bins - 1)
        for turn, weights in enumerate((None, likeliest, right.astype(float))):
            np.frombuffer(sums)[turn::3] += np.bincount(place, weights, minlength=self.bins)

    def value(self, sums: Sums) -> float:
        """Between 0 and 1."""
        off = (abs(likeliest - right) for likeliest, right in zip(sums[1::3], sums[2::3], strict=True))
        return sum(off) / sum(sums[::3])


MAX_EXPONENT = 700.0
"""Beyond this `e` to it is more than a float holds."""


def log_shares(outputs: Array) -> Any:
    """`log p` of each class `(batch, classes)` in float64, of two classes from the second's logit alone."""
    logits = outputs.astype(np.float64)
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _log_likelihood(outputs: Array, targets: Array) -> float:
    logs = log_shares(outputs)
    if targets.ndim == 2 and targets.shape[1] > 1:
        return float(np.vdot(targets, logs))
    return float(logs[np.arange(len(logs)), true_classes(targets)].sum())


ProbabilisticMetrics: TypeAlias = LogLoss | Perplexity | ExpectedCalibrationError
