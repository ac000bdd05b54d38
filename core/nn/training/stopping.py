"""When a training is over before its last epoch: it got worse, it got there, or it stands still.

A rule looks at the metrics of each epoch; what it has to remember stands in the training's state.
"""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Lt

from core.nn.metrics import Metric
from core.nn.tagged_union import members

StopReason = Literal["epochs_completed", "converged", "early_stopped", "target_reached"]


def ascends(name: str) -> bool:
    """Whether more is better of the metric called `name`, on whatever split."""
    metric = members(Metric).get(name.removeprefix("val_"))
    return bool(metric and metric.higher_is_better)


def better(name: str, value: float, than: float, by: float = 0.0) -> bool:
    """Whether `value` of the metric `name` is better than another, by more than `by`; any is better than none, NaN."""
    if math.isnan(than):
        return not math.isnan(value)
    return value > than + by if ascends(name) else value < than - by


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlyStopping:
    """Stop when a metric has not become better for some epochs (Prechelt 1998): a remedy against overfitting."""

    stop_reason: ClassVar[StopReason] = "early_stopped"
    monitor: str | None = None
    """The metric; left out: `val_loss` where there is a validation split, else `loss`."""
    patience: Annotated[int, Ge(0)] = 0
    """How many epochs without a better value are borne."""
    min_delta: Annotated[float, Ge(0)] = 0.0
    """By how much a value has to be better to count."""
    restore_best_weights: bool = False
    """End with the weights of the best epoch instead of the last."""

    def stops_no_earlier_than(self, other: "EarlyStopping") -> bool:
        """Return whether this rule stops no training that `other` lets continue."""
        same_criterion = (self.monitor, self.min_delta) == (other.monitor, other.min_delta)
        return same_criterion and self.patience >= other.patience


@dataclass(frozen=True, kw_only=True, slots=True)
class ReduceLrOnPlateau:
    """Lower the learning rate when a metric has not become better for some epochs, whatever the schedule says.

    As Keras's callback of this name; what it has come to is a factor of the schedule's rate.
    """

    monitor: str | None = None
    """The metric; left out: `val_loss` where there is a validation split, else `loss`."""
    factor: Annotated[float, Gt(0), Lt(1)] = 0.1
    """By which the rate is multiplied."""
    patience: Annotated[int, Ge(0)] = 10
    """How many epochs without a better value are borne."""
    min_delta: Annotated[float, Ge(0)] = 1e-4
    """By how much a value has to be better to count."""
    cooldown: Annotated[int, Ge(0)] = 0
    """For how many epochs after that nothing is counted."""
    min_lr: Annotated[float, Ge(0)] = 0.0
    """Below this the rate is not lowered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetMetric:
    """Stop when a metric is as good as it needs to be."""

    stop_reason: ClassVar[StopReason] = "target_reached"
    monitor: str
    """The metric."""
    value: float
    """What it has to reach."""

    def stops_no_earlier_than(self, other: "TargetMetric") -> bool:
        """Return whether this rule stops no training that `other` lets continue."""
        return self.monitor == other.monitor and better(self.monitor, self.value, other.value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Convergence:
    """Stop when the training loss stands still."""

    stop_reason: ClassVar[StopReason] = "converged"
    tolerance: Annotated[float, Gt(0)] = 1e-4
    """The largest relative change from one epoch to the next that counts as standing still."""
    epochs: Annotated[int, Ge(1)] = 5
    """For how many epochs in a row."""

    def stops_no_earlier_than(self, other: "Convergence") -> bool:
        """Return whether this rule stops no training that `other` lets continue."""
        return self.tolerance == other.tolerance and self.epochs >= other.epochs
