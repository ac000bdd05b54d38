"""Steps are plain without accelerators, and have the same results as with them."""

from typing import Any

import numpy as np
import pytest

from core.nn.arrays import Array
from core.nn.losses.categorical import CrossEntropy
from core.nn.network import Network
from core.nn.optimizers.adam import Adam
from core.nn.step import acceleration
from core.nn.step.acceleration import PlainStepper, Stepper, extra_step_bytes, new_row_predictor, new_stepper
from core.nn.step.context import PassContext
from core.nn.step.state import start
from core.nn.step.step import no_update
from tests.core.nn.trainings import STATEFUL, classes

NETWORK = Network(STATEFUL, (4,))


def a_stepper() -> tuple[Stepper, Array]:
    """Return a stepper for batches of 8 rows, and the gradient that it writes."""
    state = start(NETWORK, Adam(), seed=0)
    gradient = np.zeros_like(state.weights)
    return new_stepper(NETWORK, CrossEntropy(), state, gradient, rows=8, threads=1), gradient


def take_steps(stepper: Stepper) -> list[tuple[bytes, float]]:
    """Take three steps with the same random numbers; return the outputs and losses."""
    data, results = classes(8), []
    for seed in range(3):
        ctx = PassContext(training=True, rng=np.random.default_rng(seed), shapes=NETWORK.shapes)
        outputs, loss = stepper.step(data.x, data.y, ctx, no_update)
        results.append((outputs.tobytes(), float(loss)))
    return results


@pytest.fixture
def without_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the accelerators for one test."""
    monkeypatch.setattr(acceleration, "accelerators", None)


def test_stepper_without_accelerators_is_plain(without_accelerators: Any) -> None:
    stepper, _ = a_stepper()
    assert isinstance(stepper, PlainStepper)
    assert extra_step_bytes(NETWORK, 8, 2) == 0
    state = start(NETWORK, Adam(), seed=0)
    assert new_row_predictor(NETWORK, NETWORK.views(state.weights, state.statistics), np.float32) is None


def test_accelerated_steps_equal_plain_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    fast, fast_gradient = a_stepper()
    monkeypatch.setattr(acceleration, "accelerators", None)
    plain, plain_gradient = a_stepper()
    assert not isinstance(fast, PlainStepper)
    assert isinstance(plain, PlainStepper)
    assert take_steps(fast) == take_steps(plain)
    assert fast_gradient.tobytes() == plain_gradient.tobytes() != np.zeros_like(plain_gradient).tobytes()
    fast.close()
