"""Optimizers that PyTorch does not have, against the algorithms of their papers."""

from typing import Any

import numpy as np
import pytest

from core.nn.arrays import Array
from core.nn.optimizers import adam, sgd
from core.nn.optimizers.wrappers import Optimizer
from tests.core.nn.optimizers.minimization import STEPS, minimize, random_hessian, rate


def lion_step_of_the_paper(g: Array, w: Array, m: Array, step: int) -> tuple[Array, Array]:
    """Return weights and momentum after one step of Lion's algorithm 2."""
    return w - 0.01 * np.sign(0.9 * m + 0.1 * g), 0.99 * m + 0.01 * g


def lamb_step_of_the_paper(g: Array, w: Array, m: Any, step: int) -> tuple[Array, Any]:
    """Return weights and moments after one step of LAMB's algorithm 2, for weights of 24 and 16 numbers."""
    mean, square = (0.0, 0.0) if step == 0 else m
    mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
    r = (mean / (1 - 0.9 ** (step + 1))) / (np.sqrt(square / (1 - 0.999 ** (step + 1))) + 1e-7) + 0.1 * w
    parts = [
        part - 0.01 * np.linalg.norm(part) / np.linalg.norm(direction) * direction
        for part, direction in ((w[:24], r[:24]), (w[24:], r[24:]))
    ]
    return np.concatenate(parts), (mean, square)


@pytest.mark.parametrize(
    ("optimizer", "step_of_the_paper"),
    [
        (sgd.Lion(learning_rate=rate(0.01)), lion_step_of_the_paper),
        (adam.Lamb(learning_rate=rate(0.01), weight_decay=0.1), lamb_step_of_the_paper),
    ],
    ids=["lion", "lamb"],
)
def test_optimizer_without_torch_equivalent_matches_its_paper(optimizer: Optimizer, step_of_the_paper: Any) -> None:
    rng = np.random.default_rng(0)
    hessian = random_hessian(rng)
    start = rng.standard_normal(40)
    ours = minimize(optimizer, lambda w: hessian @ w - 1, start, shapes=((4, 6), (16,)))
    weights, state = start, np.zeros(40)
    for step in range(STEPS):
        weights, state = step_of_the_paper(hessian @ weights - 1, weights, state, step)
    np.testing.assert_allclose(ours, weights, rtol=1e-10, atol=1e-10)
