"""A look inside a step tells what the step does, and changes nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.nn.activations import Relu
from core.nn.constraints import MaxNorm
from core.nn.initializers import Constant
from core.nn.insight.step_inspection import StepInspection, Summary, inspect_step, inspection_metrics
from core.nn.layers.composite import Sequential
from core.nn.layers.dense import Dense
from core.nn.layers.dropout import Dropout
from core.nn.layers.normalization import BatchNormalization
from core.nn.optimizers.sgd import GradientDescent
from core.nn.optimizers.wrappers import SharpnessAware
from core.nn.regularizers import L2
from core.nn.schedules import ConstantRate
from core.nn.step.state import State
from core.nn.training.options import Epoch, Step, Training
from tests.core.nn.cases import sequential
from tests.core.nn.trainings import ATraining, classes

DEEP = sequential(
    Dense(units=6, activation=Relu(), kernel_constraint=MaxNorm(max_value=0.5)),
    Sequential(layers=(Dense(units=5, kernel_regularizer=L2()), BatchNormalization())),
    Dropout(rate=0.5),
    Dense(units=4, trainable=False),
    Dense(units=2),
)
WHOLE = Training(epochs=9, batch_size=1_000, shuffle=False, metrics=())
RATE = 0.001


def a_training(architecture: Sequential = DEEP) -> ATraining:
    """On whole batches of the same rows, a few steps in."""
    made = ATraining(classes(), architecture, training=WHOLE)
    made.run(5)  # three steps, two ends of epochs
    return made


def a_look(made: ATraining, x: Any = None, *, arrays: bool = False) -> StepInspection:
    """At the next step of this training."""
    assert made.state is not None
    x = made.data.x if x is None else x
    return inspect_step(made.network, made.loss, made.optimizer, made.state, x, made.data.y, rate=RATE, arrays=arrays)


def test_a_look_tells_of_the_step_that_comes_and_leaves_the_training_as_it_was() -> None:
    looked_into, left_alone = a_training(), a_training()
    seen = a_look(looked_into, arrays=True)
    before = looked_into.weights.copy()
    one, other = (next(item for item in made.run(2) if isinstance(item, Step)) for made in (looked_into, left_alone))
    assert seen.loss == one.loss == other.loss
    assert looked_into.weights.tobytes() == left_alone.weights.tobytes()
    moved = looked_into.weights - before
    views = looked_into.network.views(before, np.empty(looked_into.network.statistics_size, np.float32))
    steps = looked_into.network.views(moved, np.empty(looked_into.network.statistics_size, np.float32))
    first = seen.layers[0]
    for name, told in first.weights.items():
        assert np.array_equal(first.arrays[f"weights.{name}"], views.parts[0].weights[name])
        if told.update_ratio is not None:
            ratio = np.linalg.norm(steps.parts[0].weights[name]) / np.linalg.norm(views.parts[0].weights[name])
            assert told.update_ratio == pytest.approx(ratio, rel=1e-3)


def test_a_look_takes_as_many_passes_as_the_step() -> None:
    aware = SharpnessAware(rho=0.5, optimizer=GradientDescent(learning_rate=ConstantRate(learning_rate=RATE)))
    made = ATraining(classes(), DEEP, optimizer=aware, training=WHOLE)
    before = made.weights.copy()
    seen = a_look(made)
    made.run(1)
    penalized, moved = (
        made.network.views(vector, np.empty(made.network.statistics_size, np.float32))
        .parts[1]
        .parts[0]
        .weights["kernel"]
        for vector in (before, made.weights - before)
    )
    expected = np.linalg.norm(moved) / np.linalg.norm(penalized)
    assert len(seen.layers) == 7
    assert seen.layers[1].weights["kernel"].update_ratio == pytest.approx(expected, rel=1e-4)


def test_every_layer_is_told_of_with_its_place() -> None:
    seen = a_look(a_training())
    assert [(layer.path, layer.type) for layer in seen.layers] == [
        (("layers", 0), "dense"),
        (("layers", 1, "layers", 0), "dense"),
        (("layers", 1, "layers", 1), "batch_normalization"),
        (("layers", 1), "sequential"),
        (("layers", 2), "dropout"),
        (("layers", 3), "dense"),
        (("layers", 4), "dense"),
    ]
    assert seen.layers[4].output.zeros == pytest.approx(0.5, abs=0.15)
    assert seen.layers[5].weights["kernel"].update_ratio == 0, "it is frozen"
    assert all(layer.gradient is not None and layer.gradient.norm > 0 for layer in seen.layers)
    assert seen.first_nonfinite is None


def test_gradients_are_those_of_the_backward_pass() -> None:
    made = a_training(sequential(Dense(units=2)))
    seen = a_look(made, arrays=True).layers[0]
    x, d_y = made.data.x, seen.arrays["gradient"]
    assert np.allclose(seen.arrays["gradients.kernel"], x.T @ d_y, atol=1e-6)
    assert np.allclose(
        seen.arrays["output"], x @ seen.arrays["weights.kernel"] + seen.arrays["weights.bias"], atol=1e-5
    )
    assert seen.arrays["output"].shape == (len(x), 2)
    assert a_look(made).layers[0].arrays == {}


def test_dead_units_are_counted() -> None:
    gone = Dense(units=3, activation=Relu(), bias_initializer=Constant(value=-1e6))
    assert a_look(a_training(sequential(gone, Dense(units=2)))).layers[0].dead == 3
    assert a_look(a_training()).layers[0].dead < 6


def test_what_is_not_finite_is_found_in_its_layer_and_rows() -> None:
    made = a_training()
    x = made.data.x.copy()
    x[[3, 7], 1] = np.nan
    found = a_look(made, x).first_nonfinite
    assert found is not None
    assert (found.path, found.nonfinite_rows) == (("layers", 0), (3, 7))
    assert found.output.nonfinite > 0


def test_a_summary_is_of_what_is_finite() -> None:
    told = Summary.of(np.array([[3.0, -4.0], [0.0, np.inf]]))
    assert (told.norm, told.min, told.max, told.nonfinite) == (5.0, -4.0, 3.0, 1)
    assert told.zeros == pytest.approx(1 / 3)
    assert told.mean == pytest.approx(-1 / 3)
    assert Summary.of(np.full(3, np.nan)) == Summary(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3)


LOOKED = Training(epochs=5, batch_size=16, seed=3, metrics=(), inspect_every=2)


def epochs_of(made: ATraining) -> list[Epoch]:
    return [item for item in made.run() if isinstance(item, Epoch)]


def test_a_training_measures_its_layers_where_that_is_wanted() -> None:
    looked, alone = (ATraining(classes(), DEEP, training=t) for t in (LOOKED, replace(LOOKED, inspect_every=None)))
    told, usual = epochs_of(looked), epochs_of(alone)
    assert looked.weights.tobytes() == alone.weights.tobytes()
    assert [len(one.metrics) > len(other.metrics) for one, other in zip(told, usual, strict=True)] == [
        False, True, False, True, False,
    ]  # fmt: skip
    found = told[1].metrics
    assert found.keys() >= {
        "layers/0/dead",
        "layers/0/output/std",
        "layers/0/gradient/norm",
        "layers/0/kernel/update_ratio",
        "layers/1/layers/0/kernel/gradient_norm",
    }
    assert all(name in usual[1].metrics for name in found if not name.startswith("layers/"))


def test_what_is_measured_is_what_a_look_tells() -> None:
    made = ATraining(classes(), DEEP, training=LOOKED)
    epochs = [item for item in made.run(10) if isinstance(item, Epoch)]
    assert made.state is not None
    x, y = made.data.x[:16], made.data.y[:16]
    rate = made.optimizer.learning_rate.at(made.state.step, 20)
    expected = inspection_metrics(inspect_step(made.network, made.loss, made.optimizer, made.state, x, y, rate=rate))
    assert {name: value for name, value in epochs[-1].metrics.items() if name in expected} == expected


@pytest.mark.parametrize("items", [3, 9, 10])
def test_a_measured_training_goes_on_bit_for_bit(items: int) -> None:
    whole, first = (ATraining(classes(), DEEP, training=LOOKED) for _ in range(2))
    expected = whole.run()
    done = first.run(items)
    assert first.state is not None
    again = ATraining(
        classes(), DEEP, training=LOOKED, state=State.restore(first.state.arrays(), first.state.counters())
    )
    assert [*done, *again.run()] == expected
