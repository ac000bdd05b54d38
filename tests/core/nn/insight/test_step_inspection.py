"""The inspection of a step matches the step, and changes nothing."""

from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest

from core.nn.activations import Relu
from core.nn.constraints import MaxNorm
from core.nn.initializers import Constant
from core.nn.insight.step_inspection import BLOCK, StepInspection, Summary, inspect_step, inspection_metrics
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
FULL_BATCH = Training(epochs=9, batch_size=1_000, shuffle=False, metrics=())
RATE = 0.001


def a_training(architecture: Sequential = DEEP) -> ATraining:
    """Return a training on full batches of the same rows, after three steps."""
    made = ATraining(classes(), architecture, training=FULL_BATCH)
    made.run(5)  # three steps, two ends of epochs
    return made


def inspected(made: ATraining, x: Any = None, *, arrays: bool = False) -> StepInspection:
    """Return the inspection of the next step of this training."""
    assert made.state is not None
    x = made.data.x if x is None else x
    return inspect_step(
        made.network, made.loss, made.optimizer, made.state.copy(), x, made.data.y, rate=RATE, arrays=arrays
    )


def test_inspection_matches_the_next_step_and_changes_nothing() -> None:
    inspected_training, plain_training = a_training(), a_training()
    inspection = inspected(inspected_training, arrays=True)
    before = inspected_training.weights.copy()
    one, other = (
        next(item for item in made.run(2) if isinstance(item, Step)) for made in (inspected_training, plain_training)
    )
    assert inspection.loss == one.loss == other.loss
    assert inspected_training.weights.tobytes() == plain_training.weights.tobytes()
    moved = inspected_training.weights - before
    views = inspected_training.network.views(before, np.empty(inspected_training.network.statistics_size, np.float32))
    steps = inspected_training.network.views(moved, np.empty(inspected_training.network.statistics_size, np.float32))
    first = inspection.layers[0]
    for name, weight in first.weights.items():
        assert np.array_equal(first.arrays[f"weights.{name}"], views.parts[0].weights[name])
        if weight.update_ratio is not None:
            ratio = np.linalg.norm(steps.parts[0].weights[name]) / np.linalg.norm(views.parts[0].weights[name])
            assert weight.update_ratio == pytest.approx(ratio, rel=1e-3)


def test_inspection_of_a_two_pass_optimizer_matches_its_step() -> None:
    aware = SharpnessAware(rho=0.5, optimizer=GradientDescent(learning_rate=ConstantRate(learning_rate=RATE)))
    made = ATraining(classes(), DEEP, optimizer=aware, training=FULL_BATCH)
    before = made.weights.copy()
    inspection = inspected(made)
    made.run(1)
    penalized, moved = (
        made.network.views(vector, np.empty(made.network.statistics_size, np.float32))
        .parts[1]
        .parts[0]
        .weights["kernel"]
        for vector in (before, made.weights - before)
    )
    expected = np.linalg.norm(moved) / np.linalg.norm(penalized)
    assert len(inspection.layers) == 7
    assert inspection.layers[1].weights["kernel"].update_ratio == pytest.approx(expected, rel=1e-4)


def test_inspection_has_every_layer_with_its_path() -> None:
    inspection = inspected(a_training())
    assert [(layer.path, layer.type) for layer in inspection.layers] == [
        (("layers", 0), "dense"),
        (("layers", 1, "layers", 0), "dense"),
        (("layers", 1, "layers", 1), "batch_normalization"),
        (("layers", 1), "sequential"),
        (("layers", 2), "dropout"),
        (("layers", 3), "dense"),
        (("layers", 4), "dense"),
    ]
    assert inspection.layers[4].output.zeros == pytest.approx(0.5, abs=0.15)
    assert inspection.layers[5].weights["kernel"].update_ratio == 0, "a frozen layer"
    assert all(layer.gradient is not None and layer.gradient.norm > 0 for layer in inspection.layers)
    assert inspection.first_nonfinite is None


def test_inspected_gradients_are_those_of_the_backward_pass() -> None:
    made = a_training(sequential(Dense(units=2)))
    inspection = inspected(made, arrays=True).layers[0]
    x, d_y = made.data.x, inspection.arrays["gradient"]
    assert np.allclose(inspection.arrays["gradients.kernel"], x.T @ d_y, atol=1e-6)
    assert np.allclose(
        inspection.arrays["output"],
        x @ inspection.arrays["weights.kernel"] + inspection.arrays["weights.bias"],
        atol=1e-5,
    )
    assert inspection.arrays["output"].shape == (len(x), 2)
    assert inspected(made).layers[0].arrays == {}


def test_dead_units_are_counted() -> None:
    gone = Dense(units=3, activation=Relu(), bias_initializer=Constant(value=-1e6))
    assert inspected(a_training(sequential(gone, Dense(units=2)))).layers[0].dead == 3
    assert inspected(a_training()).layers[0].dead < 6


def test_nonfinite_output_is_found_in_its_layer_and_rows() -> None:
    made = a_training()
    x = made.data.x.copy()
    x[[3, 7], 1] = np.nan
    found = inspected(made, x).first_nonfinite
    assert found is not None
    assert (found.path, found.nonfinite_rows) == (("layers", 0), (3, 7))
    assert found.output.nonfinite > 0


def test_summary_ignores_nonfinite_entries() -> None:
    weight = Summary.of(np.array([[3.0, -4.0], [0.0, np.inf]]))
    assert (weight.norm, weight.min, weight.max, weight.nonfinite) == (5.0, -4.0, 3.0, 1)
    assert weight.zeros == pytest.approx(1 / 3)
    assert weight.mean == pytest.approx(-1 / 3)
    rng = np.random.default_rng(3)
    large = rng.standard_normal((3, BLOCK // 2)).astype(np.float32)
    large[0, 7], large[2, 9] = np.nan, 0.0
    finite = np.delete(large.ravel(), 7).astype(np.float64)
    expected = [np.sqrt(finite @ finite), finite.mean(), finite.std(), finite.min(), finite.max(), 1 / finite.size, 1]
    assert list(astuple(Summary.of(large))) == pytest.approx(expected)
    assert Summary.of(np.full(3, np.nan)) == Summary(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3)


INSPECTED = Training(epochs=5, batch_size=16, seed=3, metrics=(), inspect_every=2)


def epochs_of(made: ATraining) -> list[Epoch]:
    return [item for item in made.run() if isinstance(item, Epoch)]


def test_inspect_every_adds_layer_metrics_and_changes_nothing_else() -> None:
    looked, alone = (
        ATraining(classes(), DEEP, training=t) for t in (INSPECTED, replace(INSPECTED, inspect_every=None))
    )
    weight, usual = epochs_of(looked), epochs_of(alone)
    assert looked.weights.tobytes() == alone.weights.tobytes()
    assert [len(one.metrics) > len(other.metrics) for one, other in zip(weight, usual, strict=True)] == [
        False, True, False, True, False,
    ]  # fmt: skip
    found = weight[1].metrics
    assert found.keys() >= {
        "layers/0/dead",
        "layers/0/output/std",
        "layers/0/gradient/norm",
        "layers/0/kernel/update_ratio",
        "layers/1/layers/0/kernel/gradient_norm",
    }
    assert all(name in usual[1].metrics for name in found if not name.startswith("layers/"))


def test_layer_metrics_are_those_of_the_inspection() -> None:
    made = ATraining(classes(), DEEP, training=INSPECTED)
    epochs = [item for item in made.run(10) if isinstance(item, Epoch)]
    assert made.state is not None
    x, y = made.data.x[:16], made.data.y[:16]
    rate = made.optimizer.learning_rate.at(made.state.step, 20)
    expected = inspection_metrics(
        inspect_step(made.network, made.loss, made.optimizer, made.state.copy(), x, y, rate=rate)
    )
    assert {name: value for name, value in epochs[-1].metrics.items() if name in expected} == expected


@pytest.mark.parametrize("items", [3, 9, 10])
def test_inspected_training_resumes_bit_for_bit(items: int) -> None:
    whole, first = (ATraining(classes(), DEEP, training=INSPECTED) for _ in range(2))
    expected = whole.run()
    done = first.run(items)
    assert first.state is not None
    again = ATraining(
        classes(), DEEP, training=INSPECTED, state=State.restore(first.state.arrays(), first.state.counters())
    )
    assert [*done, *again.run()] == expected
