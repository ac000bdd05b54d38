"""Metrics of the predicted class probabilities."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le

from core.nn.arrays import Array
from core.nn.losses.base import Predicts
from core.nn.metrics.base import BaseMetric, Sums, true_classes, zero_sums

MAX_EXPONENT = 700.0
"""The largest exponent for which `exp` is surely finite in float64."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLikelihoodMetric(BaseMetric):
    """A function of the mean of `−log p`, with p the true class's probability."""

    predicts: ClassVar[Predicts] = "classes"

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy; for target probabilities, the mean of `−log p` over the classes."""
        sums[0] -= _log_likelihood(outputs, targets)
        sums[1] += len(outputs)


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLoss(LogLikelihoodMetric):
    """The mean of `−log p`, p the true class's probability, without weights or penalties of the loss (Good 1952)."""

    type: Literal["log_loss"] = "log_loss"

    def value(self, sums: Sums) -> float:
        """In nats, at least 0."""
        return sums[0] / sums[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Perplexity(LogLikelihoodMetric):
    """The exponential of the mean of `−log p`: the equivalent number of equally probable classes (Jelinek 1977)."""

    type: Literal["perplexity"] = "perplexity"

    def value(self, sums: Sums) -> float:
        """At least 1; infinite if float64 cannot represent it."""
        mean = sums[0] / sums[1]
        return math.exp(mean) if mean < MAX_EXPONENT else math.inf


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedCalibrationError(BaseMetric):
    """The mean difference between the probability of the predicted class and the accuracy (Guo et al. 2017, eq. 3)."""

    type: Literal["expected_calibration_error"] = "expected_calibration_error"
    bins: Annotated[int, Ge(1), Le(1000)] = 15
    """The number of equal probability intervals into which rows are sorted."""
    predicts: ClassVar[Predicts] = "classes"
    num_sums: ClassVar[int] = 0

    def add(self, sums: Sums, outputs: Array, targets: Array) -> None:
        """Logits and targets as for accuracy; for each bin it adds rows, their probabilities, and correct rows."""
        if not sums:
            sums.extend(zero_sums(3 * self.bins))
        p = np.exp(log_probabilities(outputs))
        confidence = p.max(axis=1)
        correct = p.argmax(axis=1) == true_classes(targets)
        bin_index = np.clip(np.ceil(confidence * self.bins).astype(np.intp) - 1, 0, self.bins - 1)
        for position, weights in enumerate((None, confidence, correct.astype(float))):
            np.frombuffer(sums)[position::3] += np.bincount(bin_index, weights, minlength=self.bins)

    def value(self, sums: Sums) -> float:
        """Between 0 and 1."""
        gaps = (abs(confidence - correct) for confidence, correct in zip(sums[1::3], sums[2::3], strict=True))
        return sum(gaps) / sum(sums[::3])


def log_probabilities(outputs: Array) -> Any:
    """Return `log p` of each class `(batch, classes)` in float64; of two classes also from one logit."""
    logits = outputs.astype(np.float64)
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _log_likelihood(outputs: Array, targets: Array) -> float:
    """Return the sum over the rows of `log p` of the true class, or of its mean by target probabilities."""
    log_p = log_probabilities(outputs)
    if targets.ndim == 2 and targets.shape[1] > 1:
        return float(np.vdot(targets, log_p))
    return float(log_p[np.arange(len(log_p)), true_classes(targets)].sum())


ProbabilisticMetrics: TypeAlias = LogLoss | Perplexity | ExpectedCalibrationError
