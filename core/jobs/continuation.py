"""Continuing an ended training: the merged spec, and whether the result equals that of one long training."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, ConfigDict

from core.jobs.errors import InvalidSpec
from core.jobs.spec import JobSpec
from core.jobs.states import StopReason
from core.nn.schedules import Schedule
from core.nn.training.options import Training
from core.nn.training.stopping import Convergence, EarlyStopping, TargetMetric

MAX_EPOCHS = 10_000_000
MAX_SCHEDULE_PROBES = 1_000
"""Steps at which two schedules are compared, about."""


class Continuation(BaseModel):
    """How far to continue, and the stop rules from there on. A rule that is left out stays; null removes it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        json_schema_extra={"example": {"epochs": 50}},
    )

    epochs: Annotated[int, Ge(1), Le(MAX_EPOCHS)] | None = None
    """Epochs to add to the complete ones; default: those that the spec of the job has left."""
    early_stopping: EarlyStopping | None = None
    """Stop when a metric no longer improves."""
    target: TargetMetric | None = None
    """Stop when a metric reaches a value."""
    convergence: Convergence | None = None
    """Stop when the loss no longer changes."""
    max_runtime: Annotated[float, Gt(0)] | None = None
    """Stop after this many seconds of training, counted from the start of the first job."""


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Progress of the training to continue: its last checkpoint, and why it stopped."""

    epoch: int
    step: int
    total_steps: int
    """Steps of the whole training, as planned."""
    seconds: float
    stop_reason: StopReason | None
    best_step: int | None


STOP_RULES: Mapping[str, type[EarlyStopping | TargetMetric | Convergence]] = MappingProxyType(
    {"early_stopping": EarlyStopping, "target": TargetMetric, "convergence": Convergence}
)
"""The stop rules that a continuation can change, by field. Each has `stop_reason` and `stops_no_earlier_than`."""

FIELD_OF_REASON: Mapping[StopReason, str] = MappingProxyType(
    {StopReason(rule.stop_reason): field for field, rule in STOP_RULES.items()}
)
"""The field of the stop rule behind each reason."""

RESTORES_BEST = frozenset({StopReason.EPOCHS_COMPLETED, *FIELD_OF_REASON})
"""Stop reasons after which `restore_best_weights` restores the weights of the best epoch."""


def merge_training(spec: Mapping[str, Any], continuation: Continuation, progress: TrainingProgress) -> dict[str, Any]:
    """Return the spec, as JSON, of the whole training: the ended job's with the changes of the continuation.

    Raises
    ------
    InvalidSpec
        Where the continued training would stop before its first step, with pointers into the continuation.
    """
    rules = continuation.model_dump(mode="json", include=continuation.model_fields_set - {"epochs"})
    training = {**spec.get("training", {}), **rules}
    if continuation.epochs is not None:
        training["epochs"] = progress.epoch + continuation.epochs
    if errors := list(_immediate_stops(spec.get("training", {}), training, progress)):
        raise InvalidSpec(errors)
    return {**spec, "training": training}


def _immediate_stops(
    before: Mapping[str, Any], after: Mapping[str, Any], progress: TrainingProgress
) -> Iterator[tuple[str, str]]:
    epochs = after.get("epochs", Training().epochs)
    if epochs > MAX_EPOCHS:
        yield "/epochs", f"makes {epochs:,} epochs in total, more than the {MAX_EPOCHS:,} allowed: use a smaller number"
    if epochs <= progress.epoch:
        yield "/epochs", f"all {progress.epoch} epochs are complete: give the number of epochs to add"
    field = FIELD_OF_REASON.get(progress.stop_reason) if progress.stop_reason else None
    if field and after.get(field) and after[field] == before.get(field):
        yield f"/{field}", "this rule stopped the job and would stop it again: change it, or remove it with null"
    max_runtime = after.get("max_runtime")
    if max_runtime is not None and max_runtime <= progress.seconds:
        message = f"the job has already trained for {progress.seconds:.3f} seconds: give more, or null for no limit"
        yield "/max_runtime", message


def why_inexact(before: JobSpec, after: JobSpec, progress: TrainingProgress, total_steps: int) -> list[str]:
    """Return why the continued training may differ from one training with the spec `after` of `total_steps` steps.

    An empty list means that both are equal bit for bit.
    """
    reasons = []
    if _past_rates_differ(before.optimizer.learning_rate, progress, total_steps):
        totals = f"which was {progress.total_steps} and is now {total_steps}"
        reasons.append(f"the learning rate depends on the number of steps, {totals}")
    if _best_weights_restored(before.training, progress):
        reasons.append(f"the job ended with the weights of its best epoch, restored from step {progress.best_step}")
    if _best_criterion(before.training) != _best_criterion(after.training):
        reasons.append("the best epoch so far was chosen by another monitor or min_delta")
    reasons += [
        f"this {field} did not apply to the first {progress.epoch} epochs, and might have stopped them"
        for field in STOP_RULES
        if _might_have_stopped(getattr(before.training, field), getattr(after.training, field))
    ]
    return reasons


def _past_rates_differ(schedule: Schedule, progress: TrainingProgress, total_steps: int) -> bool:
    """Return whether a step already taken would have had another learning rate with the new number of steps."""
    stride = max(1, progress.step // MAX_SCHEDULE_PROBES)
    steps = {*range(0, progress.step, stride), max(0, progress.step - 1)} if progress.step else set()
    return any(schedule.at(step, progress.total_steps) != schedule.at(step, total_steps) for step in steps)


def _best_weights_restored(training: Training, progress: TrainingProgress) -> bool:
    early = training.early_stopping
    restores = early is not None and early.restore_best_weights and progress.stop_reason in RESTORES_BEST
    return restores and progress.best_step != progress.step


def _best_criterion(training: Training) -> tuple[str | None, float]:
    early = training.early_stopping
    return (early.monitor, early.min_delta) if early else (None, 0.0)


def _might_have_stopped(before: Any, after: Any) -> bool:
    """Return whether the rule `after` might have stopped epochs that `before`, or no rule, let pass."""
    if after is None or after == before:
        return False
    return before is None or not after.stops_no_earlier_than(before)
