"""Inspection of a checkpoint. The values that it returns are tested with core.nn.insight and the API."""

from typing import Any

import numpy as np
import pytest

from core.data.errors import InvalidInstance
from core.models.checkpoint import CheckpointData, decode
from core.models.inspection import InspectionLimits, check_gradient, inspect_next_step
from core.nn.insight.step_inspection import StepInspection
from core.nn.optimizers.adam import Adam
from tests.core.models.checkpoints import a_checkpoint

BATCH: tuple[list[Any], list[Any]] = ([[0.05], [1.05]], ["low", "high"])
UNLIMITED = InspectionLimits(2**30)


@pytest.fixture
def checkpoint() -> CheckpointData:
    return decode(a_checkpoint(items=5))


def inspect(
    checkpoint: CheckpointData, limits: InspectionLimits = UNLIMITED, *, arrays: bool = False
) -> StepInspection:
    """Return the inspection of the next of 100 steps on the batch."""
    return inspect_next_step(checkpoint, Adam(), 100, *BATCH, arrays=arrays, limits=limits)


def test_inspection_takes_the_step_on_the_arrays_of_the_file(checkpoint: CheckpointData) -> None:
    """Copies would double the memory of a request."""
    before = checkpoint.arrays["weights"].copy()
    found = inspect(checkpoint, arrays=True)
    assert np.array_equal(found.layers[0].arrays["weights.bias"], before[-2:])
    assert not np.array_equal(checkpoint.arrays["weights"], before)
    assert inspect(decode(a_checkpoint(items=5))).loss == found.loss


def test_gradient_check_of_a_correct_layer_has_small_errors(checkpoint: CheckpointData) -> None:
    (layer,) = check_gradient(checkpoint, *BATCH, UNLIMITED)
    assert layer.weights.keys() == {"kernel", "bias"}
    assert all(comparison.error < 1e-6 for comparison in layer.weights.values())


def test_targets_of_another_length_are_an_error(checkpoint: CheckpointData) -> None:
    with pytest.raises(InvalidInstance, match="has 1 rows where instances has 2") as caught:
        check_gradient(checkpoint, BATCH[0], ["low"], UNLIMITED)
    assert caught.value.pointer == "/targets"


@pytest.mark.parametrize(
    ("limits", "pointer", "message"),
    [
        (InspectionLimits(10), "/instances", "bytes for 2 rows, and 10 are allowed"),
        (InspectionLimits(2**30, array_numbers=10), "/arrays", "more than 10 numbers"),
    ],
)
def test_inspection_beyond_a_limit_is_an_error(
    checkpoint: CheckpointData, limits: InspectionLimits, pointer: str, message: str
) -> None:
    with pytest.raises(InvalidInstance, match=message) as caught:
        inspect(checkpoint, limits, arrays=True)
    assert caught.value.pointer == pointer


def test_gradient_check_beyond_its_operations_is_an_error(checkpoint: CheckpointData) -> None:
    with pytest.raises(InvalidInstance, match="operations, and 10 are allowed"):
        check_gradient(checkpoint, *BATCH, InspectionLimits(2**30, flops=10))
