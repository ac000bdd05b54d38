"""Frozen weights keep every bit, and need no backward pass if no layer below them learns."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.nn.activations import Relu
from core.nn.constraints import NonNegative
from core.nn.layers.composite import Sequential
from core.nn.layers.dense import Dense
from core.nn.layers.dropout import Dropout
from core.nn.layers.normalization import BatchNormalization
from core.nn.network import Network
from core.nn.optimizers.sgd import GradientDescent
from core.nn.plan import Views
from core.nn.regularizers import L2
from tests.core.nn.cases import LAYERS, OPTIMIZERS, sequential
from tests.core.nn.trainings import ATraining, classes, reloaded

BASE = Sequential(
    layers=(Dense(units=6, activation=Relu()), BatchNormalization(momentum=0.9), Dropout(rate=0.3)), trainable=False
)
TUNED = sequential(
    BASE,
    Dense(units=5, activation=Relu()),
    Dense(units=4, kernel_regularizer=L2(), kernel_constraint=NonNegative(), trainable=False),
    BatchNormalization(trainable=False),
    Dense(units=2),
)
"""A frozen base, and frozen layers between others that learn."""


def stays(network: Network, vector: Any) -> list[bytes]:
    """Return the bits of the frozen weights and statistics."""
    return [view.tobytes() for view in network.frozen(vector)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o.type)
def test_what_is_frozen_stays_to_the_last_bit_and_the_rest_learns(optimizer: Any) -> None:
    training = ATraining(classes(50, validation=10), architecture=TUNED, optimizer=optimizer)
    assert training.state is not None
    weights, statistics = training.weights.copy(), training.state.statistics.copy()
    training.run()
    assert stays(training.network, training.weights) == stays(training.network, weights)
    assert training.state.statistics.tobytes() == statistics.tobytes()
    frozen = sum(view.size for view in training.network.frozen(weights))
    assert frozen == (4 * 6 + 6) + 2 * 6 + (5 * 4 + 4) + 2 * 4
    assert (training.weights != weights).sum() > (training.network.parameters - frozen) // 2


def test_not_even_decay_changes_what_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    update = GradientDescent.update

    def decaying(self: GradientDescent, weights: Any, *others: Any) -> None:
        weights *= 0.9
        update(self, weights, *others)

    monkeypatch.setattr(GradientDescent, "update", decaying)
    training = ATraining(classes(), architecture=TUNED, optimizer=GradientDescent())
    before = training.weights.copy()
    training.run()
    assert stays(training.network, training.weights) == stays(training.network, before)


@settings(deadline=None, max_examples=10)
@given(cut=st.integers(1, 30))
def test_training_with_frozen_layers_resumes_bit_for_bit(cut: int) -> None:
    whole, first = (ATraining(classes(50, validation=10), architecture=TUNED) for _ in range(2))
    expected = whole.run()
    before = first.run(cut)
    assert first.state is not None
    second = ATraining(first.data, architecture=TUNED, state=reloaded(first.state))
    assert before + second.run() == expected
    assert second.weights.tobytes() == whole.weights.tobytes()


def parts(network: Network) -> tuple[Views, ...]:
    """Return the layers' views of the vectors of a training."""
    weights, statistics = network.initialize(np.random.default_rng(0))
    return network.views(weights, statistics, np.zeros_like(weights)).parts


def test_no_backward_pass_goes_below_the_first_layer_that_learns() -> None:
    base, head, *above = parts(Network(TUNED, (4,)))
    assert not base.learns
    assert not base.input_gradient
    assert (head.learns, head.input_gradient) == (True, False)
    assert all(view.input_gradient for view in above)


def test_frozen_layer_adds_no_penalty() -> None:
    training = ATraining(classes(), architecture=TUNED)
    assert training.network.penalty(training.weights) == 0
    layers = TUNED.layers
    free = sequential(*layers[:2], Dense(units=4, kernel_regularizer=L2()), *layers[3:])
    assert Network(free, (4,)).penalty(training.weights) > 0


def test_every_layer_with_weights_can_be_frozen() -> None:
    """A layer that cannot be would learn in silence where a client asks for it inside of a frozen one."""
    for case in LAYERS:
        plan = case.layer.plan(case.input_shape)
        if plan.parameters or plan.statistics_size:
            assert "trainable" in {field.name for field in fields(case.layer)}, case.layer.type
            layer: Any = case.layer
            frozen = replace(layer, trainable=False).plan(case.input_shape)
            assert not frozen.learns, case.layer.type
            assert not any(one.trainable for one in frozen.walk()), case.layer.type
