"""Specs for the tests of jobs: builders with full defaults."""

import json
from typing import Any

import pytest

from core.data.prepare import signature
from core.jobs.errors import InvalidSpec
from core.jobs.estimate import Estimate, Limits, estimate_cost
from core.jobs.spec import JobSpec

NUMBERS = {"type": "inline", "x": [[1, 2], [3, 4], [5, 6], [7, 8]], "y": [1, 2, 3, 4]}
TWO_CLASSES = {"type": "inline", "x": [[1, 2], [3, 4], [5, 6], [7, 8]], "y": ["cat", "dog", "cat", "dog"]}
THREE_CLASSES = {"type": "inline", "x": [[1], [2], [3]], "y": ["a", "b", "c"]}
CLASS_NUMBERS = {"type": "inline", "x": [[1], [2], [3]], "y": [0, 1, 1]}
SEQUENCES = {"type": "inline", "x": [[1, 2, 3, 4], [3]], "y": [1, 2], "padding": {}}

EMBEDDING = {"type": "embedding", "input_dim": 9, "output_dim": 2}
MASKED_LSTM = [{"type": "masking", "mask_value": -1.0}, {"type": "lstm", "units": 2}, {"type": "dense", "units": 1}]
MIXUP = {"mixup": {"alpha": 0.2}}
BUCKETED = {"training": {"bucket_by_length": True}}


def dense(units: int, **more: Any) -> dict[str, Any]:
    """Return a dense layer."""
    return {"type": "dense", "units": units, **more}


def a_spec(data: dict[str, Any] = NUMBERS, layers: list[Any] | None = None, **more: Any) -> JobSpec:
    """Return a spec: one dense unit on numbers, with these changes."""
    body = {"data": data, "architecture": {"layers": layers or [dense(1)]}, **more}
    return JobSpec.model_validate_json(json.dumps(body))


def cost_of(spec: JobSpec, **limits: int) -> Estimate:
    """Return the estimated cost of a spec with inline data."""
    return estimate_cost(spec, signature(spec.data, None), Limits(**limits))


def error_of(spec: JobSpec, **limits: int) -> InvalidSpec:
    """Return the error of a spec that is invalid or exceeds the limits."""
    with pytest.raises(InvalidSpec) as caught:
        cost_of(spec, **limits)
    return caught.value
