"""Rows and steps count in a loss by their weights: as though each had come so often, and not at all with none."""

from typing import Any

import numpy as np
import pytest

from core.nn.arrays import Array
from core.nn.losses.regression import MeanSquaredError
from core.nn.step.context import PassContext
from tests.core.nn.cases import LOSSES, LossCase, random_targets

TIMES = np.array([2, 0, 1, 3])
"""How often each of four rows comes."""


def a_run(mask: Any = None, sample_weight: Any = None) -> PassContext:
    """A run in float64 that knows this of its rows."""
    run = PassContext(np.float64, training=True)
    run.mask, run.sample_weight = mask, sample_weight
    run.combine_weights()
    return run


def lost(case: LossCase, outputs: Array, targets: Any, run: PassContext) -> tuple[float, Array]:
    """The loss and its gradient."""
    value, backward = case.loss.forward(outputs, targets, run)
    return value, backward().copy()


def drawn(case: LossCase, shape: tuple[int, ...], rows: int = 4) -> tuple[Array, Any]:
    """Outputs and targets of rows of this shape."""
    rng = np.random.default_rng(8)
    outputs = rng.standard_normal((rows, *shape))
    return outputs, case.loss.encode(random_targets(case.targets, rows, shape, rng), shape)


@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.loss.type)
def test_a_row_counts_as_often_as_it_weighs(case: LossCase) -> None:
    outputs, targets = drawn(case, case.output_shape)
    value, gradient = lost(case, outputs, targets, a_run(sample_weight=TIMES.astype(float)))
    repeated, slopes = lost(case, np.repeat(outputs, TIMES, axis=0), np.repeat(targets, TIMES, axis=0), a_run())
    assert value == pytest.approx(repeated, rel=1e-12)
    of_rows = np.add.reduceat(slopes, [0, 2, 3], axis=0)
    np.testing.assert_allclose(gradient[TIMES > 0], of_rows, rtol=1e-12, atol=1e-15)
    assert not gradient[TIMES == 0].any()


@pytest.mark.parametrize(
    "case",
    [c for c in LOSSES if c.loss.type not in {"dice", "ctc", "contrastive", "triplet"}],
    ids=lambda case: case.loss.type,
)
def test_a_step_that_is_not_there_does_not_count(case: LossCase) -> None:
    outputs, targets = drawn(case, (5, *case.output_shape[-1:]))
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]], bool)
    value, gradient = lost(case, outputs, targets, a_run(mask))
    there, slopes = lost(case, outputs[mask], targets[mask], a_run())
    assert value == pytest.approx(there, rel=1e-12)
    np.testing.assert_allclose(gradient[mask], slopes, rtol=1e-12, atol=1e-15)
    assert not gradient[~mask].any()


def test_dice_puts_a_step_that_is_not_there_into_neither_set() -> None:
    case = next(case for case in LOSSES if case.loss.type == "dice")
    outputs, targets = drawn(case, (5, 4), rows=1)
    mask = np.array([[True, True, True, False, False]])
    value, gradient = lost(case, outputs, targets, a_run(mask))
    there, slopes = lost(case, outputs[:, :3], targets[:, :3], a_run())
    assert value == pytest.approx(there, rel=1e-12)
    np.testing.assert_allclose(gradient[:, :3], slopes, rtol=1e-12)
    assert not gradient[:, 3:].any()


def test_masks_and_weights_go_together() -> None:
    outputs, targets = np.array([[[1.0], [2.0]], [[3.0], [9.0]]]), np.zeros((2, 2, 1))
    run = a_run(np.array([[True, True], [True, False]]), np.array([1.0, 2.0]))
    value, backward = MeanSquaredError().forward(outputs, targets, run)
    assert value == (1 + 4 + 2 * 9) / 4
    assert backward().ravel().tolist() == [2 / 4, 4 / 4, 2 * 6 / 4, 0]


@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.loss.type)
def test_where_nothing_counts_nothing_is_lost(case: LossCase) -> None:
    outputs, targets = drawn(case, case.output_shape)
    value, gradient = lost(case, outputs, targets, a_run(sample_weight=np.zeros(4)))
    assert value == 0
    assert not gradient.any()
