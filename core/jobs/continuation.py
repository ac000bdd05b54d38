"""More of a training that has ended: the spec of the whole, and whether its numbers are those of one long training."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, ConfigDict

from core.jobs.resolve import InvalidSpec
from core.jobs.spec import JobSpec
from core.jobs.states import StopReason
from core.nn.schedules import Schedule
from core.nn.training.options import Training
from core.nn.training.stopping import Convergence, EarlyStopping, TargetMetric, better

MOST_EPOCHS = 10_000_000
PROBES = 1_000
"""Steps at which a schedule is asked whether it depends on the number of steps."""


class Continuation(BaseModel):
    """How far to go on, and the rules that end it from there. A rule that is left out stays, null takes it away."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        json_schema_extra={"example": {"epochs": 50}},
    )

    epochs: Annotated[int, Ge(1), Le(MOST_EPOCHS)] | None = None
    """How many epochs more, after the last whole one; left out: as many as the job was to have."""
    early_stopping: EarlyStopping | None = None
    """Stop when a metric gets no better."""
    target: TargetMetric | None = None
    """Stop when a metric is good enough."""
    convergence: Convergence | None = None
    """Stop when the loss stands still."""
    max_runtime: Annotated[float, Gt(0)] | None = None
    """Stop after so many seconds of training, those of the job so far included."""


@dataclass(frozen=True, slots=True)
class Done:
    """Where the training stands that is to go on: what its last checkpoint holds, and how it came to that."""

    epoch: int
    step: int
    steps: int
    """Those of the whole training, as it was planned."""
    seconds: float
    stop_reason: StopReason | None
    best_step: int | None


ENDED_BY: Mapping[StopReason, str] = MappingProxyType(
    {
        StopReason.EARLY_STOPPED: "early_stopping",
        StopReason.TARGET_REACHED: "target",
        StopReason.CONVERGED: "convergence",
    }
)
"""The rule behind each reason that one has."""

BY_ITSELF = frozenset({StopReason.EPOCHS_COMPLETED, *ENDED_BY})
"""Ends at which the best weights are restored, where that was asked for."""


def whole(spec: Mapping[str, Any], wish: Continuation, done: Done) -> dict[str, Any]:
    """The spec, as JSON, of the training as though all of it had been asked for at once.

    Raises `InvalidSpec` with pointers into the wish where it would end before its first step.
    """
    rules = wish.model_dump(mode="json", include=wish.model_fields_set - {"epochs"})
    training = {**spec.get("training", {}), **rules}
    if wish.epochs is not None:
        training["epochs"] = done.epoch + wish.epochs
    whole_spec = {**spec, "training": training}
    if errors := list(_ends_at_once(spec, whole_spec, done)):
        raise InvalidSpec(errors)
    return whole_spec


def _ends_at_once(before: Mapping[str, Any], after: Mapping[str, Any], done: Done) -> Iterator[tuple[str, str]]:
    epochs = after["training"].get("epochs", Training().epochs)
    if epochs > MOST_EPOCHS:
        yield "/epochs", f"makes {epochs:,} epochs in all, and {MOST_EPOCHS:,} are allowed: ask for fewer"
    if epochs <= done.epoch:
        yield "/epochs", f"all {done.epoch} epochs are done: say how many more"
    rule = ENDED_BY.get(done.stop_reason) if done.stop_reason else None
    if rule and after["training"].get(rule) and after["training"][rule] == before["training"].get(rule):
        yield f"/{rule}", "this rule ended the job and would end it again: give another, or null for none"
    most = after["training"].get("max_runtime")
    if most is not None and most <= done.seconds:
        yield "/max_runtime", f"the job has trained for {done.seconds:.3f} seconds already: give more, or null"


def inexact(before: JobSpec, after: JobSpec, done: Done, steps: int) -> list[str]:
    """Why going on may not give the numbers of one training with the whole spec of `steps` steps; empty if it does."""
    reasons = []
    if _depends_on_the_end(before.optimizer.learning_rate, done, steps):
        reasons.append(f"the learning rate depends on the number of steps, which was {done.steps} and is {steps}")
    early = before.training.early_stopping
    if early and early.restore_best_weights and done.stop_reason in BY_ITSELF and done.best_step != done.step:
        reasons.append(f"the job ended with the weights of its best epoch, those of step {done.best_step}, restored")
    if _best_by(before.training) != _best_by(after.training):
        reasons.append("the best epoch so far was chosen by another monitor or min_delta")
    reasons += [
        f"this {rule} did not watch the first {done.epoch} epochs, and might have ended them"
        for rule, no_sooner in NO_SOONER.items()
        if not _kept(getattr(before.training, rule), getattr(after.training, rule), no_sooner)
    ]
    return reasons


def _depends_on_the_end(schedule: Schedule, done: Done, steps: int) -> bool:
    """Whether any step that was taken would have had another rate."""
    every = max(1, done.step // PROBES)
    taken = {*range(0, done.step, every), max(0, done.step - 1)} if done.step else set()
    return any(schedule.at(step, done.steps) != schedule.at(step, steps) for step in taken)


def _best_by(training: Training) -> tuple[str | None, float]:
    early = training.early_stopping
    return (early.monitor, early.min_delta) if early else (None, 0.0)


def _kept(was: Any, now: Any, no_sooner: Callable[[Any, Any], bool]) -> bool:
    return now is None or was == now or (was is not None and no_sooner(was, now))


def _more_patient(was: EarlyStopping, now: EarlyStopping) -> bool:
    return _best_by(Training(early_stopping=was)) == _best_by(Training(early_stopping=now)) and (
        now.patience >= was.patience
    )


def _farther(was: TargetMetric, now: TargetMetric) -> bool:
    return was.monitor == now.monitor and better(was.monitor, now.value, was.value)


def _longer(was: Convergence, now: Convergence) -> bool:
    return was.tolerance == now.tolerance and now.epochs >= was.epochs


NO_SOONER: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {"early_stopping": _more_patient, "target": _farther, "convergence": _longer}
)
"""For each rule, whether another would have ended nothing that the one before let pass."""
