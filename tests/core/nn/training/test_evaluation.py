"""Loss and metrics of an epoch: unequal batches, weights, masks, multi-label outputs, and resumed sums."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.nn.layers.dense import Dense
from core.nn.layers.embedding import Embedding
from core.nn.layers.recurrent import Gru
from core.nn.losses.binary import BinaryCrossEntropy
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.regression import MeanSquaredError
from core.nn.metrics.classification import Accuracy, Precision
from core.nn.metrics.ranking import RocAuc
from core.nn.optimizers.adam import Adam
from core.nn.optimizers.wrappers import SharpnessAware
from core.nn.predictor import Predictor
from core.nn.schedules import ConstantRate
from core.nn.step.state import State
from core.nn.training.options import Epoch, Training
from tests.core.nn.cases import METRICS, sequential
from tests.core.nn.trainings import ATraining, Rows, classes, losses, reloaded

TOKENS = np.array([[1, 2, 3], [2, 1, 2], [3, 3, 1], [1, 1, 2]], np.float32)


def padded(steps: int) -> Rows:
    """Return sequences of three tokens, with the next token as target, followed by this number of masked steps."""
    x = np.pad(TOKENS, ((0, 0), (0, steps)))
    y = np.pad(np.roll(TOKENS, -1, axis=1).astype(np.int64), ((0, 0), (0, steps)))
    return Rows(x, y, x, y)


def test_epoch_loss_is_the_mean_over_rows_of_unequal_batches() -> None:
    *steps, epoch = ATraining(classes(20), training=Training(epochs=1, batch_size=8)).run()
    assert isinstance(epoch, Epoch)
    assert epoch.metrics["loss"] == pytest.approx(np.average(losses(steps), weights=[8, 8, 4]))


def test_masked_steps_change_nothing() -> None:
    network = sequential(Embedding(input_dim=4, output_dim=5, mask_zero=True), Gru(units=6, return_sequences=True),
                        Dense(units=4))  # fmt: skip
    rules = Training(epochs=20, batch_size=3, metrics=(Accuracy(),))
    bare, with_padding = (ATraining(padded(steps), network, training=rules) for steps in (0, 3))
    expected, found = (
        [list(item.metrics.values()) for item in one.run() if isinstance(item, Epoch)] for one in (bare, with_padding)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(with_padding.weights, bare.weights, rtol=1e-3, atol=1e-5)
    assert expected[-1][0] < expected[0][0]


OF_CLASSES = tuple({metric.type: metric for metric, *_ in METRICS if metric.predicts == "classes"}.values())


OF_NUMBERS = tuple({metric.type: metric for metric, *_ in METRICS if metric.predicts == "numbers"}.values())


@pytest.mark.parametrize(("units", "loss", "metrics"), [(4, CrossEntropy(), OF_CLASSES),
                                                        (1, MeanSquaredError(), OF_NUMBERS)])  # fmt: skip
def test_rows_with_only_masked_steps_are_left_out(units: int, loss: Any, metrics: Any) -> None:
    x = np.array([[0, 0], [0, 0], [1, 2], [3, 0]], np.float32)
    y = np.ones((4, 2), np.int64) if units > 1 else np.ones((4, 2, 1), np.float32)
    y[2, 0] = 0  # ranking metrics need two classes
    network = sequential(Embedding(input_dim=4, output_dim=2, mask_zero=True), Dense(units=units))
    rules = Training(epochs=2, batch_size=2, shuffle=False, metrics=metrics)
    training = ATraining(Rows(x, y, x[:2], y[:2]), network, loss=loss, training=rules)
    *_, last = training.run()
    assert isinstance(last, Epoch)
    undefined = {name for name, value in last.metrics.items() if math.isnan(value)}
    assert undefined == {name for name in last.metrics if name.startswith("val_")}


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_metrics_of_multi_label_outputs_are_those_of_single_outputs(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, *shape)).astype(np.float32)
    y = (x + rng.standard_normal(x.shape) > 0).astype(np.float32)
    rules = Training(epochs=3, metrics=(Accuracy(), Precision(), RocAuc()))
    training = ATraining(Rows(x[:40], y[:40], x[40:], y[40:]), sequential(Dense(units=3)), BinaryCrossEntropy(),
                         training=rules)  # fmt: skip
    *_, last = training.run()
    assert isinstance(last, Epoch)
    assert training.state is not None
    outputs = Predictor(training.network, training.weights, training.state.statistics).outputs(x[40:]).reshape(-1)
    true = y[40:].reshape(-1) == 1
    assert last.metrics["val_accuracy"] == pytest.approx(np.mean((outputs > 0) == true))
    assert last.metrics["val_precision"] == pytest.approx(np.mean(true[outputs > 0]))
    ranked_higher = outputs[true][:, None] > outputs[~true]
    assert last.metrics["val_roc_auc"] == pytest.approx(ranked_higher.mean())


@pytest.mark.parametrize("optimizer", [Adam(), SharpnessAware(rho=1, optimizer=Adam())], ids=lambda o: o.type)
@pytest.mark.parametrize("shuffle", [False, True])
def test_row_of_weight_two_equals_two_rows(shuffle: bool, optimizer: Any) -> None:
    data = classes(6, validation=6)
    weights = np.array([1, 2, 0, 1, 3, 1], np.float32)
    rules = Training(epochs=5, batch_size=20, shuffle=shuffle, metrics=())
    assert data.x_validation is not None
    repeated = [np.repeat(part, weights.astype(int), axis=0) for part in (data.x, data.y, data.x_validation,
                                                                       data.y_validation)]  # fmt: skip
    weighted = replace(data, sample_weight=weights, sample_weight_validation=weights)
    one, other = (
        ATraining(rows, sequential(Dense(units=3), Dense(units=2)), optimizer=optimizer, training=rules)
        for rows in (weighted, Rows(*repeated))
    )
    found, expected = ([list(i.metrics.values()) for i in t.run() if isinstance(i, Epoch)] for t in (one, other))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cut", [1, 4, 7, 9, 16])
def test_metrics_resume_within_an_epoch(cut: int) -> None:
    data = classes(50, validation=10)
    of_classes = {metric.type: metric for metric, *_ in METRICS if metric.predicts == "classes"}
    rules = Training(epochs=3, batch_size=8, metrics=tuple(of_classes.values()))
    expected = ATraining(data, training=rules).run()
    first = ATraining(data, training=rules)
    before = first.run(cut)
    assert first.state is not None
    second = ATraining(data, training=rules, state=reloaded(first.state))
    assert before + second.run() == expected


@pytest.mark.parametrize("cut", [1, 3, 8])
def test_weighted_rows_resume_within_an_epoch(cut: int) -> None:
    data = replace(classes(50), sample_weight=np.linspace(0, 2, 50, dtype=np.float32))
    undisturbed, first = ATraining(data), ATraining(data)
    expected, before = undisturbed.run(), first.run(cut)
    assert first.state is not None
    assert before + ATraining(data, state=reloaded(first.state)).run() == expected


def test_sums_of_an_older_state_resume() -> None:
    expected = ATraining(classes()).run()
    first = ATraining(classes())
    before = first.run(4)
    assert first.state is not None
    arrays = {name: array for name, array in first.state.arrays().items() if not name.startswith("sums.")}
    sums = {name: own.tolist() for name, own in first.state.sums.items()}
    older = State.restore(arrays, first.state.counters() | {"sums": sums})
    assert before + ATraining(classes(), state=older).run() == expected


def test_test_rows_are_measured_once_with_the_best_weights() -> None:
    rows = classes(40, validation=20)
    data = replace(rows, x_test=rows.x_validation, y_test=rows.y_validation)
    rules = Training(epochs=30, batch_size=8, metrics=(Accuracy(),))
    optimizer = Adam(learning_rate=ConstantRate(learning_rate=0.5))
    training = ATraining(data, optimizer=optimizer, training=rules)
    epochs = [item for item in training.run() if isinstance(item, Epoch)]
    best = min(epochs, key=lambda epoch: epoch.metrics["val_loss"])
    assert not any(name.startswith("test_") for epoch in epochs[:-1] for name in epoch.metrics)
    last = epochs[-1].metrics
    assert best is not epochs[-1]
    assert (last["test_loss"], last["test_accuracy"]) == (best.metrics["val_loss"], best.metrics["val_accuracy"])


def test_test_rows_change_no_training() -> None:
    rows = classes(40, validation=20)
    trainings = [ATraining(data) for data in (rows, replace(rows, x_test=rows.x[:5], y_test=rows.y[:5]))]
    for one in trainings:
        one.run()
    assert trainings[0].weights.tobytes() == trainings[1].weights.tobytes()


def test_weights_of_test_rows_weight_the_test_loss() -> None:
    rows, weights = classes(40), np.array([3, 1], np.float32)
    weighted = replace(rows, x_test=rows.x[:2], y_test=rows.y[:2], sample_weight_test=weights)
    repeated = replace(rows, x_test=rows.x[[0, 0, 0, 1]], y_test=rows.y[[0, 0, 0, 1]])
    found = [ATraining(data).run()[-1] for data in (weighted, repeated)]
    losses_of_tests = [item.metrics["test_loss"] for item in found if isinstance(item, Epoch)]
    assert losses_of_tests[0] == pytest.approx(losses_of_tests[1], rel=1e-6)


def test_held_out_rows_without_weight_have_no_loss_and_no_best() -> None:
    data = replace(classes(20, validation=5), sample_weight_validation=np.zeros(5, np.float32))
    training = ATraining(data, training=Training(epochs=2))
    epochs = [item for item in training.run() if isinstance(item, Epoch)]
    assert all(math.isnan(epoch.metrics["val_loss"]) for epoch in epochs)
    assert training.state is not None
    assert training.state.best is None


def test_held_out_steps_that_are_all_masked_have_no_loss_and_no_metrics() -> None:
    network = sequential(Embedding(input_dim=4, output_dim=5, mask_zero=True), Gru(units=6, return_sequences=True),
                        Dense(units=4))  # fmt: skip
    rows = padded(0)
    data = replace(rows, x_validation=np.zeros_like(rows.x), y_validation=np.zeros_like(rows.y))
    last = ATraining(data, network, training=Training(epochs=1, metrics=(Accuracy(),))).run()[-1]
    assert isinstance(last, Epoch)
    assert math.isnan(last.metrics["val_loss"])
    assert math.isnan(last.metrics["val_accuracy"])
    assert last.metrics["loss"] > 0
