"""Continuing an ended training."""

import json
from typing import Any

import pytest

from core.jobs.continuation import Continuation, TrainingProgress, merge_training, why_inexact
from core.jobs.spec import JobSpec
from core.jobs.states import StopReason

SPEC: dict[str, Any] = {
    "data": {"type": "inline", "x": [[1], [2]], "y": [1, 2]},
    "architecture": {"layers": [{"type": "dense", "units": 1}]},
}
PROGRESS = TrainingProgress(
    epoch=10, step=100, total_steps=100, seconds=1.0, stop_reason=StopReason.EPOCHS_COMPLETED, best_step=90
)

RULES: list[tuple[dict[str, Any], dict[str, Any], bool]] = [  # training before, continuation, whether exact
    ({}, {}, True),
    ({}, {"max_runtime": 9.0}, True),
    ({"early_stopping": {"patience": 3}}, {}, True),
    ({"early_stopping": {"patience": 3}}, {"early_stopping": None}, True),
    ({"early_stopping": {"patience": 3}}, {"early_stopping": {"patience": 5}}, True),
    ({"early_stopping": {"patience": 3}}, {"early_stopping": {"patience": 2}}, False),
    ({"early_stopping": {"patience": 3}}, {"early_stopping": {"patience": 5, "min_delta": 0.1}}, False),
    ({"early_stopping": {"patience": 3, "min_delta": 0.1}}, {"early_stopping": None}, False),
    ({"early_stopping": {"patience": 3, "restore_best_weights": True}}, {}, False),
    ({}, {"early_stopping": {"patience": 3}}, False),
    ({"target": {"monitor": "loss", "value": 0.1}}, {"target": {"monitor": "loss", "value": 0.01}}, True),
    ({"target": {"monitor": "loss", "value": 0.1}}, {"target": {"monitor": "loss", "value": 0.2}}, False),
    ({"target": {"monitor": "r2", "value": 0.8}}, {"target": {"monitor": "loss", "value": 0.2}}, False),
    ({}, {"target": {"monitor": "loss", "value": 0.1}}, False),
    ({"convergence": {"epochs": 5}}, {"convergence": {"epochs": 6}}, True),
    ({"convergence": {"epochs": 5}}, {"convergence": {"epochs": 4}}, False),
    ({"convergence": {"epochs": 5}}, {"convergence": {"epochs": 5, "tolerance": 1e-9}}, False),
]


@pytest.mark.parametrize(("before", "changes", "exact"), RULES)
def test_rule_that_might_have_stopped_past_epochs_is_inexact(
    before: dict[str, Any], changes: dict[str, Any], exact: bool
) -> None:
    spec = SPEC | {"training": {"epochs": 10, **before}}
    continuation = Continuation.model_validate_json(json.dumps({"epochs": 5, **changes}))
    after = merge_training(spec, continuation, PROGRESS)
    assert after["training"]["epochs"] == 15
    old, new = (JobSpec.model_validate_json(json.dumps(one)) for one in (spec, after))
    assert bool(why_inexact(old, new, PROGRESS, 150)) is not exact


SCHEDULES: list[tuple[Any, bool]] = [
    (0.1, True),
    ({"type": "step", "initial_learning_rate": 0.1, "decay_steps": 7}, True),
    ({"type": "cosine", "initial_learning_rate": 0.1, "decay_steps": 60}, True),
    ({"type": "cosine", "initial_learning_rate": 0.1}, False),
    ({"type": "warmup", "warmup_steps": 50, "schedule": {"type": "cosine", "initial_learning_rate": 0.1}}, False),
    ({"type": "warmup", "warmup_steps": 100, "schedule": {"type": "cosine", "initial_learning_rate": 0.1}}, True),
]


@pytest.mark.parametrize(("rate", "exact"), SCHEDULES)
def test_schedule_that_depends_on_total_steps_is_inexact(rate: Any, exact: bool) -> None:
    spec = JobSpec.model_validate_json(json.dumps(SPEC | {"optimizer": {"type": "adam", "learning_rate": rate}}))
    assert bool(why_inexact(spec, spec, PROGRESS, 150)) is not exact
