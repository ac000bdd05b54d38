"""The job spec."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from core.jobs.examples import DOUBLING
from core.jobs.spec import JobSpec
from core.nn.optimizers.adam import Adam
from core.nn.training.options import Training


def parsed(**changes: Any) -> JobSpec:
    """Return the example spec with these changes."""
    return JobSpec.model_validate_json(json.dumps(DOUBLING | changes))


def test_spec_of_data_and_architecture_has_defaults_for_the_rest() -> None:
    required = {key: DOUBLING[key] for key in ("data", "architecture")}
    spec = JobSpec.model_validate_json(json.dumps(required))
    assert (spec.loss, spec.optimizer, spec.training) == (None, Adam(), Training())
    assert (spec.priority, spec.start_from, spec.metadata) == (0, None, {})


@pytest.mark.parametrize(
    "changes",
    [
        {"unknown": 1},
        {"name": ""},
        {"priority": 11},
        {"metadata": {"key": "v" * 513}},
        {"metadata": {str(key): "" for key in range(17)}},
        {"limits": {"memory": 0}},
        {"start_from": {"checkpoint": "best"}},
    ],
)
def test_spec_out_of_bounds_is_an_error(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parsed(**changes)


def test_checkpoint_to_start_from_is_a_name_or_a_step() -> None:
    for checkpoint in ("best", "last", 40):
        spec = parsed(start_from={"job": "latest", "checkpoint": checkpoint})
        assert spec.start_from is not None
        assert spec.start_from.checkpoint == checkpoint
