"""Sample weights and masks in losses: a row of weight n equals n rows, and masked steps are ignored."""

from typing import Any

import numpy as np
import pytest

from core.nn.arrays import Array
from core.nn.losses.regression import MeanSquaredError
from core.nn.step.context import PassContext
from tests.core.nn.cases import LOSSES, LossCase, random_targets

REPETITIONS = np.array([2, 0, 1, 3])
"""The number of repetitions of each of four rows."""


def context(mask: Any = None, sample_weight: Any = None) -> PassContext:
    """Return a float64 context with a mask and sample weights."""
    ctx = PassContext(np.float64, training=True)
    ctx.mask, ctx.sample_weight = mask, sample_weight
    ctx.combine_weights()
    return ctx


def loss_and_gradient(case: LossCase, outputs: Array, targets: Any, ctx: PassContext) -> tuple[float, Array]:
    """Return the loss and its gradient."""
    value, backward = case.loss.forward(outputs, targets, ctx)
    return value, backward().copy()


def random_rows(case: LossCase, shape: tuple[int, ...], rows: int = 4) -> tuple[Array, Any]:
    """Return outputs and targets of rows of this shape."""
    rng = np.random.default_rng(8)
    outputs = rng.standard_normal((rows, *shape))
    return outputs, case.loss.encode(random_targets(case.targets, rows, shape, rng), shape)


@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.loss.type)
def test_row_of_weight_n_equals_n_rows(case: LossCase) -> None:
    outputs, targets = random_rows(case, case.output_shape)
    value, gradient = loss_and_gradient(case, outputs, targets, context(sample_weight=REPETITIONS.astype(float)))
    repeated, gradients = loss_and_gradient(
        case, np.repeat(outputs, REPETITIONS, axis=0), np.repeat(targets, REPETITIONS, axis=0), context()
    )
    assert value == pytest.approx(repeated, rel=1e-12)
    row_gradients = np.add.reduceat(gradients, [0, 2, 3], axis=0)
    np.testing.assert_allclose(gradient[REPETITIONS > 0], row_gradients, rtol=1e-12, atol=1e-15)
    assert not gradient[REPETITIONS == 0].any()


@pytest.mark.parametrize(
    "case",
    [c for c in LOSSES if c.loss.type not in {"dice", "ctc", "contrastive", "triplet"}],
    ids=lambda case: case.loss.type,
)
def test_masked_steps_are_ignored(case: LossCase) -> None:
    outputs, targets = random_rows(case, (5, *case.output_shape[-1:]))
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]], bool)
    value, gradient = loss_and_gradient(case, outputs, targets, context(mask))
    expected, gradients = loss_and_gradient(case, outputs[mask], targets[mask], context())
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(gradient[mask], gradients, rtol=1e-12, atol=1e-15)
    assert not gradient[~mask].any()


def test_dice_puts_masked_steps_into_neither_set() -> None:
    case = next(case for case in LOSSES if case.loss.type == "dice")
    outputs, targets = random_rows(case, (5, 4), rows=1)
    mask = np.array([[True, True, True, False, False]])
    value, gradient = loss_and_gradient(case, outputs, targets, context(mask))
    expected, gradients = loss_and_gradient(case, outputs[:, :3], targets[:, :3], context())
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(gradient[:, :3], gradients, rtol=1e-12)
    assert not gradient[:, 3:].any()


def test_mask_and_sample_weights_are_multiplied() -> None:
    outputs, targets = np.array([[[1.0], [2.0]], [[3.0], [9.0]]]), np.zeros((2, 2, 1))
    ctx = context(np.array([[True, True], [True, False]]), np.array([1.0, 2.0]))
    value, backward = MeanSquaredError().forward(outputs, targets, ctx)
    assert value == (1 + 4 + 2 * 9) / 4
    assert backward().ravel().tolist() == [2 / 4, 4 / 4, 2 * 6 / 4, 0]


@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.loss.type)
def test_loss_with_all_weights_zero_is_zero(case: LossCase) -> None:
    outputs, targets = random_rows(case, case.output_shape)
    value, gradient = loss_and_gradient(case, outputs, targets, context(sample_weight=np.zeros(4)))
    assert value == 0
    assert not gradient.any()
