"""The update of the weights: penalties, frozen weights, constraints, non-finite passes, and the learning rate."""

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import pytest

from core.nn.constraints import MaxNorm
from core.nn.layers.dense import Dense
from core.nn.network import Network
from core.nn.optimizers.sgd import StochasticGradientDescent
from core.nn.optimizers.wrappers import Optimizer, WeightDecay
from core.nn.regularizers import L2
from core.nn.schedules import ConstantRate, CosineDecay
from core.nn.step.context import PassContext
from core.nn.step.state import start
from core.nn.step.update import WeightUpdate, apply_update, learning_rate, scheduled_rate
from tests.core.nn.cases import sequential

SGD = StochasticGradientDescent()


def an_update(*layers: Dense, optimizer: Optimizer = SGD) -> WeightUpdate:
    """Return the update of a network for rows of two numbers, with weights 2 and gradient 1."""
    network = Network(sequential(*layers), (2,))
    state = start(network, optimizer, seed=0)
    state.weights[:] = 2
    return WeightUpdate(network, optimizer, state, np.ones_like(state.weights))


def apply(update: WeightUpdate, loss: float = 1.0, on_nonfinite: Callable[[float], NoReturn] | None = None) -> float:
    """Update the weights at the rate 0.5; return the loss with penalties."""
    return apply_update(update, 0.5, None, on_nonfinite, loss, PassContext(training=True))


def test_weights_move_against_the_gradient() -> None:
    update = an_update(Dense(units=1))
    assert apply(update) == 1.0
    assert update.state.weights.tolist() == [1.5, 1.5, 1.5]


def test_penalty_is_part_of_loss_and_gradient() -> None:
    update = an_update(Dense(units=1, use_bias=False, kernel_regularizer=L2(l2=0.25)))
    assert apply(update) == pytest.approx(1 + 0.25 * (2**2 + 2**2))
    assert update.gradient.tolist() == [1 + 2 * 0.25 * 2] * 2
    assert update.state.weights.tolist() == [1.0, 1.0]


def test_frozen_weights_keep_their_values_under_weight_decay() -> None:
    decay = WeightDecay(weight_decay=0.1, optimizer=SGD)
    update = an_update(Dense(units=1, use_bias=False, trainable=False), Dense(units=1, use_bias=False), optimizer=decay)
    apply(update)
    assert update.state.weights[:2].tolist() == [2.0, 2.0]
    assert update.state.weights[2] < 1.5


def test_constraint_applies_after_the_step() -> None:
    update = an_update(Dense(units=1, use_bias=False, kernel_constraint=MaxNorm(max_value=1)))
    apply(update)
    assert np.linalg.norm(update.state.weights) == pytest.approx(1, rel=1e-5)


class NonFiniteError(Exception):
    """The loss or the gradient is not finite."""


def refuse(loss: float) -> NoReturn:
    raise NonFiniteError(loss)


@pytest.mark.parametrize(("loss", "gradient"), [(np.inf, 1), (np.nan, 1), (1, np.inf), (1, np.nan)])
def test_nonfinite_pass_leaves_the_weights_unchanged(loss: float, gradient: float) -> None:
    update = an_update(Dense(units=1))
    update.gradient[0] = gradient
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError):
        apply(update, loss, refuse)
    assert update.state.weights.tolist() == [2.0, 2.0, 2.0]


def test_large_finite_gradient_is_applied() -> None:
    update = an_update(Dense(units=1))
    update.gradient[:] = 1e30  # its squared norm overflows
    with np.errstate(all="ignore"):
        apply(update, 1.0, refuse)
    np.testing.assert_allclose(update.state.weights, -5e29, rtol=1e-6)


@pytest.mark.parametrize("schedule", [ConstantRate(learning_rate=0.2), CosineDecay(initial_learning_rate=0.2)])
def test_learning_rate_is_that_of_the_schedule_times_the_rate_factor(schedule: Any) -> None:
    optimizer = StochasticGradientDescent(learning_rate=schedule)
    state = an_update(Dense(units=1), optimizer=optimizer).state
    state.rate_factor = 0.5
    assert scheduled_rate(optimizer, 3, 10) == schedule.at(3, 10)
    assert learning_rate(optimizer, state, 3, 10) == schedule.at(3, 10) / 2
