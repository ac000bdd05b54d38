"""Muon and Adafactor: against PyTorch, and their state."""

import math
from typing import Any

import numpy as np
import pytest

from core.nn.optimizers import adam, matrix, wrappers
from core.nn.optimizers.slots import initial_slots, slot_lengths
from core.nn.step.context import PassContext
from tests.core.nn.optimizers.minimization import STEPS, minimize, rate


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("shape", [(4, 10), (10, 4), (5, 5)])
def test_muon_matches_torch(torch: Any, shape: tuple[int, int], nesterov: bool) -> None:
    rng = np.random.default_rng(0)
    hessian = rng.standard_normal((40, 40))[: math.prod(shape), : math.prod(shape)]
    hessian = hessian @ hessian.T / 40
    start = rng.standard_normal(len(hessian))
    optimizer = matrix.Muon(learning_rate=rate(0.02), nesterov=nesterov)
    ours = minimize(optimizer, lambda w: hessian @ w - 1, start, steps=5, shapes=(shape,))
    theirs = torch.nn.Parameter(torch.from_numpy(start.reshape(shape).T.copy()))
    torch_optimizer = torch.optim.Muon([theirs], lr=0.02, weight_decay=0, nesterov=nesterov)
    for _ in range(5):
        gradient = torch.from_numpy(hessian) @ theirs.detach().T.reshape(-1) - 1
        theirs.grad = gradient.reshape(shape).T.contiguous()
        torch_optimizer.step()
    expected, change = theirs.detach().numpy().T.reshape(-1) - start, ours - start
    assert np.linalg.norm(expected - change) <= 0.02 * np.linalg.norm(expected)  # PyTorch computes in bfloat16


def test_muon_updates_vectors_with_adam() -> None:
    start, gradient = np.ones(12), np.random.default_rng(0).standard_normal(12)
    ours = minimize(matrix.Muon(), lambda w: gradient + w, start, shapes=((2, 3), (6,)))
    expected = minimize(adam.Adam(), lambda w: gradient[6:] + w, start[6:])
    np.testing.assert_allclose(ours[6:], expected)
    assert not np.allclose(ours[:6], minimize(adam.Adam(), lambda w: gradient[:6] + w, start[:6]))


@pytest.mark.parametrize("shape", [(40,), (4, 10), (10, 4), (2, 5, 4)])
@pytest.mark.parametrize("scale", [1.0, 1e-6], ids=["usual", "tiny"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)], ids=["64", "32"])
def test_adafactor_matches_torch(
    torch: Any, shape: tuple[int, ...], scale: float, dtype: Any, tolerance: float
) -> None:
    rng = np.random.default_rng(0)
    start = (scale * rng.standard_normal(40)).astype(dtype)
    gradients = (scale * rng.standard_normal((STEPS, 40))).astype(
        dtype
    )  # gradients of a function would make the steps chaotic
    remaining = iter(gradients)
    optimizer = matrix.Adafactor(learning_rate=rate(0.1), clip_threshold=1.2)
    ours = minimize(optimizer, lambda _: next(remaining), start, shapes=(shape,))
    theirs = torch.nn.Parameter(torch.from_numpy(start.reshape(shape).copy()))
    torch_optimizer = torch.optim.Adafactor([theirs], lr=0.1, eps=(1e-7, 1e-3), d=1.2)
    for gradient in gradients:
        theirs.grad = torch.from_numpy(gradient).reshape(shape)
        torch_optimizer.step()
    np.testing.assert_allclose(ours, theirs.detach().numpy().reshape(-1), rtol=tolerance, atol=tolerance)


def test_adafactor_slots_are_rows_and_columns_of_matrices() -> None:
    shapes = ((3, 5), (5,), (2, 3, 7, 4))
    assert slot_lengths(matrix.Adafactor().slots(), shapes) == {"rows": 3 + 42, "columns": 5 + 24, "square": 5}
    wrapped = wrappers.Lookahead(optimizer=matrix.Adafactor()).slots()
    assert slot_lengths(wrapped, shapes) == {"slow": 188, "inner.rows": 45, "inner.columns": 29, "inner.square": 5}


def test_adafactor_without_relative_step_uses_the_given_rate() -> None:
    start = np.full(4, 2.0)
    for optimizer, length in [(matrix.Adafactor(learning_rate=rate(0.5), relative_step=False), 0.5),
                              (matrix.Adafactor(learning_rate=rate(0.5)), 1 / math.sqrt(STEPS))]:  # fmt: skip
        ctx = PassContext(np.float64, training=True)
        weights, slots = start.copy(), initial_slots(optimizer.slots(), ((4,),), np.float64)
        optimizer.update(weights, np.ones(4), slots, STEPS - 1, 0.5, ctx)
        mean_square = STEPS**-0.8
        np.testing.assert_allclose(weights, start - 2 * length * min(1, 1 / math.sqrt(mean_square)))
