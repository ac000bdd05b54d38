"""Constraints: their effect on a weight, after each step of a training, and their memory."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from core.nn.activations import Relu
from core.nn.arrays import Array
from core.nn.constraints import Constraint, MaxNorm, NonNegative, UnitNorm
from core.nn.layers.composite import Layer, Sequential
from core.nn.layers.convolution import Conv2D
from core.nn.layers.dense import Dense
from core.nn.layers.recurrent import Lstm
from core.nn.network import Network
from core.nn.optimizers.sgd import GradientDescent
from core.nn.plan import ShapeMismatch
from core.nn.schedules import ConstantRate
from core.nn.training.options import Training
from tests.core.nn.cases import CONSTRAINTS, L2, LAYERS, OPTIMIZERS, SHORT, LayerCase, sequential
from tests.core.nn.trainings import ATraining, classes, reloaded

PARTS = (
    Dense(units=6, activation=Relu(), kernel_constraint=SHORT, bias_constraint=NonNegative()),
    Dense(units=5, kernel_constraint=UnitNorm(axis=1)),
    Dense(units=2, kernel_constraint=NonNegative()),
)
CONSTRAINED = sequential(*PARTS)
FAST = GradientDescent(learning_rate=ConstantRate(learning_rate=0.5))


def applied(constraint: Constraint, weight: Any, dtype: Any = np.float64) -> Array:
    """Return the constrained weight."""
    constrained = np.array(weight, dtype)
    constraint.apply(constrained)
    return constrained


@pytest.mark.parametrize(("constraint", "before", "after"), CONSTRAINTS, ids=lambda v: getattr(v, "type", ""))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constraint_of_a_weight_gives_the_listed_weight(
    constraint: Constraint, before: Any, after: Any, dtype: Any
) -> None:
    np.testing.assert_allclose(applied(constraint, before, dtype), after, rtol=1e-6)


@pytest.mark.parametrize("constraint", [MaxNorm(), UnitNorm(), NonNegative()], ids=lambda c: c.type)
def test_constraint_of_a_bias_applies_to_each_number(constraint: Constraint) -> None:
    found = applied(constraint, [3, -4, 0])
    expected = {"max_norm": [2, -2, 0], "unit_norm": [1, -1, 0], "non_negative": [3, 0, 0]}
    np.testing.assert_allclose(found, expected[constraint.type])


@pytest.mark.parametrize("shape", [(5, 7), (3, 2, 4, 6), (1, 8)])
@pytest.mark.parametrize("max_value", [0.5, 2.0, 100.0])
def test_max_norm_matches_torch(torch: Any, shape: tuple[int, ...], max_value: float) -> None:
    weight = np.random.default_rng(0).standard_normal(shape)
    theirs = torch.renorm(torch.from_numpy(weight), p=2, dim=len(shape) - 1, maxnorm=max_value).numpy()
    np.testing.assert_allclose(applied(MaxNorm(max_value=max_value), weight), theirs, rtol=1e-6)


def test_max_norm_of_weights_within_the_bound_changes_no_bit() -> None:
    weight = np.random.default_rng(0).uniform(-0.1, 0.1, (5, 3)).astype(np.float32)
    assert applied(MaxNorm(), weight, np.float32).tobytes() == weight.tobytes()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o.type)
def test_constraints_hold_after_every_step_of_each_optimizer(optimizer: Any) -> None:
    training = ATraining(classes(50), CONSTRAINED, optimizer=optimizer, training=Training(epochs=3, batch_size=8))
    assert training.state is not None
    first, second, third = training.network.views(training.weights, training.state.statistics).parts
    for _ in training.items():
        assert np.linalg.norm(first.weights["kernel"], axis=0).max() <= 0.5 * (1 + 1e-6)
        assert first.weights["bias"].min() >= 0
        np.testing.assert_allclose(np.linalg.norm(second.weights["kernel"], axis=1), 1, rtol=1e-6)
        assert third.weights["kernel"].min() >= 0


def test_constrained_step_is_the_step_of_the_optimizer_then_the_constraints() -> None:
    free_net = sequential(*(replace(layer, kernel_constraint=None, bias_constraint=None) for layer in PARTS))
    constrained, free = (ATraining(classes(), net, optimizer=FAST) for net in (CONSTRAINED, free_net))
    assert constrained.weights.tobytes() == free.weights.tobytes()
    constrained.run(1), free.run(1)
    assert free.state is not None
    for layer, view in zip(PARTS, free.network.views(free.weights, free.state.statistics).parts, strict=True):
        for name, weight in view.weights.items():
            constraint = getattr(layer, f"{name}_constraint")
            weight[...] = applied(constraint, weight, np.float32) if constraint else weight
    assert constrained.weights.tobytes() == free.weights.tobytes()


@pytest.mark.parametrize("cut", [1, 4, 9, 16])
def test_constrained_training_resumed_gives_the_same_bits(cut: int) -> None:
    whole, first = (ATraining(classes(50, validation=10), CONSTRAINED) for _ in range(2))
    expected = whole.run()
    before = first.run(cut)
    assert first.state is not None
    second = ATraining(first.data, CONSTRAINED, state=reloaded(first.state))
    assert before + second.run() == expected
    assert second.weights.tobytes() == whole.weights.tobytes()


def test_constraints_allocate_at_most_two_arrays_of_the_weights() -> None:
    units = 65_536
    net = sequential(Dense(units=units, kernel_constraint=SHORT, bias_constraint=UnitNorm()), Dense(units=2))
    training = ATraining(classes(8), net, optimizer=FAST, training=Training(epochs=8, batch_size=1, metrics=()))
    peak, remaining = training.step_bytes()
    assert peak < 2 * 4 * training.network.parameters
    assert remaining < 16 * 1024


def with_constraints(case: LayerCase) -> Layer:
    """Return the layer with a penalty and a constraint wherever it accepts one."""
    given = {field.name: L2 if field.name.endswith("regularizer") else SHORT for field in fields(case.layer)
             if field.name.endswith(("regularizer", "constraint"))}  # fmt: skip
    layer: Any = case.layer
    constrained: Layer = replace(layer, **given)
    return constrained


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.layer.type)
def test_every_weight_with_a_regularizer_accepts_a_constraint(case: LayerCase) -> None:
    plan = with_constraints(case).plan(case.input_shape)
    for name, weight in plan.weights.items():
        assert (weight.constraint is None) == (weight.regularizer is None), name
        assert weight.constraint in (None, SHORT)


WRONG_AXES: list[tuple[Layer, tuple[int, ...]]] = [
    (Dense(units=3, kernel_constraint=MaxNorm(axis=2)), (4,)),
    (Dense(units=3, bias_constraint=UnitNorm(axis=(0, 1))), (4,)),
    (Conv2D(filters=2, kernel_size=1, kernel_constraint=MaxNorm(axis=(0, 1, 2, 4))), (3, 3, 1)),
    (Lstm(units=2, recurrent_constraint=UnitNorm(axis=(1, 1))), (3, 2)),
]


@pytest.mark.parametrize(("layer", "shape"), WRONG_AXES, ids=lambda v: getattr(v, "type", ""))
def test_constraint_with_missing_axes_is_refused_with_its_path(layer: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeMismatch, match=rf"layer 1 \({layer.type}\) gets a constraint .* axes") as refused:
        Network(sequential(Sequential(layers=(layer,))), shape)
    assert refused.value.path == ("layers", 0, "layers", 0)
