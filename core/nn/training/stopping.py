"""Rules at the end of an epoch: they stop a training, or lower its learning rate.

Each rule is a frozen dataclass with an `update` that keeps what it needs from epoch to epoch in a dictionary of its own
in the training's state. A new rule is a class here and a field of `Training`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Lt

from core.nn.metrics import Metric, value_name
from core.nn.step.state import Best, State
from core.nn.tagged_union import members

StopReason = Literal["epochs_completed", "converged", "early_stopped", "target_reached"]

Memory: TypeAlias = MutableMapping[str, Any]
"""What one rule keeps from epoch to epoch: JSON values by name, empty at first."""


class EpochEnd(Protocol):
    """Input of a rule at the end of an epoch."""

    @property
    def state(self) -> State:
        """The state, whose `epoch` counts this epoch and whose `best` may be this one."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """The loss and the metrics of the epoch."""

    @property
    def scheduled_rate(self) -> float:
        """The learning rate of the schedule at the next step."""


class Rule(Protocol):
    """A rule that runs at the end of each epoch."""

    def update(self, epoch: EpochEnd, memory: Memory) -> StopReason | None:
        """Take an epoch into account; return why the training stops, or None."""


def higher_is_better(name: str) -> bool:
    """Return whether a higher value of the metric `name` is better, on either split."""
    metric = members(Metric).get(name.removeprefix("val_"))
    return bool(metric and metric.higher_is_better)


def better(name: str, value: float, than: float, by: float = 0.0) -> bool:
    """Return whether a value of the metric `name` beats another by more than `by`; any number beats NaN."""
    if math.isnan(than):
        return not math.isnan(value)
    return value > than + by if higher_is_better(name) else value < than - by


def is_undefined(name: str, value: float) -> bool:
    """Return whether a metric has no value, such as an area under a curve where all rows are of one class.

    A loss that is not a number is none of these: its numbers became too large.
    """
    return math.isnan(value) and name not in {"loss", "val_loss"}


def monitored(monitor: str | None, metrics: Mapping[str, float]) -> str:
    """Return the name of the value that a rule monitors; without a name, of the loss."""
    return ("val_loss" if "val_loss" in metrics else "loss") if monitor is None else value_name(monitor)


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlyStopping:
    """Stop when a metric no longer improves (Prechelt 1998), which limits overfitting."""

    stop_reason: ClassVar[StopReason] = "early_stopped"
    monitor: str | None = None
    """The metric; default: `val_loss` with a validation split, else `loss`."""
    patience: Annotated[int, Ge(0)] = 0
    """Epochs without improvement before the training stops."""
    min_delta: Annotated[float, Ge(0)] = 0.0
    """The smallest change that counts as an improvement."""
    restore_best_weights: bool = False
    """End with the weights of the best epoch instead of the last."""

    def update(self, epoch: EpochEnd, memory: Memory) -> StopReason | None:
        """Stop after `patience` epochs since the best one; epochs where the metric is undefined do not count."""
        state = epoch.state
        if state.best is None:
            return None
        name = monitored(self.monitor, epoch.metrics)
        skipped = 0 if state.best.epoch == state.epoch else memory.get("undefined", 0)
        skipped += is_undefined(name, epoch.metrics[name])
        if skipped or memory:
            memory["undefined"] = skipped
        waited = state.epoch - state.best.epoch - skipped
        return self.stop_reason if waited >= max(self.patience, 1) else None

    def stops_no_earlier_than(self, other: EarlyStopping) -> bool:
        """Return whether this rule stops no training that `other` lets continue."""
        same_criterion = (self.monitor, self.min_delta) == (other.monitor, other.min_delta)
        return same_criterion and self.patience >= other.patience


@dataclass(frozen=True, kw_only=True, slots=True)
class ReduceLrOnPlateau:
    """Lower the learning rate when a metric no longer improves, whatever the schedule.

    As Keras's callback of this name. The result is a factor of the scheduled rate.
    """

    monitor: str | None = None
    """The metric; default: `val_loss` with a validation split, else `loss`."""
    factor: Annotated[float, Gt(0), Lt(1)] = 0.1
    """The factor of the learning rate."""
    patience: Annotated[int, Ge(0)] = 10
    """Epochs without improvement before the rate is lowered."""
    min_delta: Annotated[float, Ge(0)] = 1e-4
    """The smallest change that counts as an improvement."""
    cooldown: Annotated[int, Ge(0)] = 0
    """Epochs after a reduction that do not count."""
    min_lr: Annotated[float, Ge(0)] = 0.0
    """The rate is not lowered below this."""

    def update(self, epoch: EpochEnd, memory: Memory) -> StopReason | None:
        """Lower the rate factor after `patience` epochs without improvement; never stop."""
        monitor = monitored(self.monitor, epoch.metrics)
        value = epoch.metrics[monitor]
        if is_undefined(monitor, value):
            return None
        best, waited, cooldown = memory.get("best"), memory.get("waited", 0), max(memory.get("cooldown", 0) - 1, 0)
        if best is None or better(monitor, value, best, self.min_delta):
            best, waited = value, 0
        elif not cooldown:
            waited += 1
        if waited >= max(self.patience, 1):
            self._reduce(epoch.state, epoch.scheduled_rate)
            waited, cooldown = 0, self.cooldown
        memory.update(best=best, waited=waited, cooldown=cooldown)
        return None

    def _reduce(self, state: State, scheduled_rate: float) -> None:
        least = self.min_lr / scheduled_rate if scheduled_rate else 0.0  # a schedule may end at 0
        state.rate_factor = min(state.rate_factor, max(state.rate_factor * self.factor, least))


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetMetric:
    """Stop when a metric reaches a value."""

    stop_reason: ClassVar[StopReason] = "target_reached"
    monitor: str
    """The metric."""
    value: float
    """The value to reach."""

    def update(self, epoch: EpochEnd, memory: Memory) -> StopReason | None:
        """Stop at the value or a better one."""
        found = epoch.metrics[value_name(self.monitor)]
        return self.stop_reason if found == self.value or better(self.monitor, found, self.value) else None

    def stops_no_earlier_than(self, other: TargetMetric) -> bool:
        """Return whether this rule stops no training that `other` lets continue."""
        return self.monitor == other.monitor and better(self.monitor, self.value, other.value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Convergence:
    """Stop when the training loss no longer changes."""

    stop_reason: ClassVar[StopReason] = "converged"
    tolerance: Annotated[float, Gt(0)] = 1e-4
    """The largest relative change from one epoch to the next that counts as none."""
    epochs: Annotated[int, Ge(1)] = 5
    """Consecutive epochs without a change before the training stops."""

    def update(self, epoch: EpochEnd, memory: Memory) -> StopReason | None:
        """Stop after `epochs` epochs in which the loss changed by no more than the tolerance."""
        previous = epoch.state.last_loss
        if previous is None:
            return None
        unchanged = abs(epoch.metrics["loss"] - previous) <= self.tolerance * abs(previous)
        memory["epochs"] = memory.get("epochs", 0) + 1 if unchanged else 0
        return self.stop_reason if memory["epochs"] >= self.epochs else None

    def stops_no_earlier_than(self, other: Convergence) -> bool:
        """Return whether this rule stops no training that `other` lets continue."""
        return self.tolerance == other.tolerance and self.epochs >= other.epochs


def keep_best(state: State, metrics: Mapping[str, float], rule: EarlyStopping | None) -> None:
    """Copy the weights if this epoch is the best so far, by the metric and the `min_delta` of early stopping.

    An epoch where the metric is not a number is never the best.
    """
    monitor = monitored(rule.monitor if rule else None, metrics)
    value, best = metrics[monitor], state.best
    if math.isnan(value):
        return
    if (
        best is None
        or value_name(best.metric) != monitor
        or better(monitor, value, best.value, rule.min_delta if rule else 0.0)
    ):
        state.best = Best(monitor, value, state.epoch, state.step)
        np.copyto(state.best_weights, state.weights)
        np.copyto(state.best_statistics, state.statistics)


def restore_best(state: State) -> None:
    """Set the weights and the statistics to those of the best epoch, if there is one."""
    if state.best is None:
        return
    np.copyto(state.weights, state.best_weights)
    np.copyto(state.statistics, state.best_statistics)
