"""Rules stop a training at the right epoch and lower its learning rate, also after a resume."""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from core.nn.layers.dense import Dense
from core.nn.metrics.ranking import RocAuc
from core.nn.metrics.regression import MeanAbsoluteErrorMetric
from core.nn.optimizers.adam import Adam
from core.nn.optimizers.sgd import GradientDescent, StochasticGradientDescent
from core.nn.schedules import ConstantRate, CosineDecay
from core.nn.step.state import State
from core.nn.training.options import Epoch, Training
from core.nn.training.stopping import (
    Convergence,
    EarlyStopping,
    ReduceLrOnPlateau,
    TargetMetric,
    keep_best,
    restore_best,
)
from tests.core.nn.cases import sequential
from tests.core.nn.trainings import FULL_BATCH, ATraining, Rows, a_line_training, classes, reloaded


def test_early_stopping_restores_the_best_weights() -> None:
    rules = Training(epochs=500, batch_size=50, early_stopping=EarlyStopping(patience=3, restore_best_weights=True))
    training = ATraining(
        classes(50, validation=50),
        architecture=sequential(Dense(units=2)),
        optimizer=Adam(learning_rate=ConstantRate(learning_rate=0.3)),
        training=rules,
    )
    last = training.run()[-1]
    assert isinstance(last, Epoch)
    assert last.stop == "early_stopped"
    assert training.state is not None
    assert training.state.best is not None
    assert training.state.best.epoch == last.epoch - 3
    assert training.weights.tobytes() == training.state.best_weights.tobytes()


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"target": TargetMetric(monitor="loss", value=1e-3)}, "target_reached"),
        ({"convergence": Convergence(tolerance=0.5, epochs=2)}, "converged"),
        ({"early_stopping": EarlyStopping(min_delta=1e9)}, "early_stopped"),
        ({}, "epochs_completed"),
    ],
)
def test_stop_reason_is_that_of_the_rule(rule: dict[str, Any], reason: str) -> None:
    slow = GradientDescent(learning_rate=ConstantRate(learning_rate=0.01))
    last = a_line_training(optimizer=slow, training=replace(FULL_BATCH, **rule)).run()[-1]
    assert isinstance(last, Epoch)
    assert last.stop == reason


def test_constant_loss_has_converged() -> None:
    rule = Convergence(tolerance=1e-3, epochs=4)
    slow = StochasticGradientDescent(learning_rate=ConstantRate(learning_rate=1e-9))
    last = a_line_training(optimizer=slow, training=replace(FULL_BATCH, convergence=rule)).run()[-1]
    assert (last.epoch, getattr(last, "stop", None)) == (5, "converged")


STILL = Rows(np.zeros((4, 1), np.float32), np.ones((4, 1), np.float32))
"""Rows whose loss without a bias is 1 for all weights."""


@pytest.mark.parametrize(
    ("rule", "rates"),
    [
        (ReduceLrOnPlateau(patience=2, factor=0.5), [8, 8, 8, 4, 4, 2, 2, 1]),
        (ReduceLrOnPlateau(patience=0, factor=0.5, min_lr=2), [8, 8, 4, 2, 2, 2, 2, 2]),
        (ReduceLrOnPlateau(patience=1, factor=0.5, cooldown=3), [8, 8, 4, 4, 4, 2, 2, 2]),
        (ReduceLrOnPlateau(patience=1, factor=0.5, monitor="mean_absolute_error"), [8, 8, 4, 2, 1, 0.5, 0.25, 0.125]),
    ],
)
@pytest.mark.parametrize("cut", [0, 5])
def test_plateau_lowers_the_rate(rule: ReduceLrOnPlateau, rates: list[float], cut: int) -> None:
    rules = Training(epochs=8, batch_size=4, metrics=(MeanAbsoluteErrorMetric(),), reduce_lr_on_plateau=rule)
    optimizer = StochasticGradientDescent(learning_rate=ConstantRate(learning_rate=8))
    start = a_line_training(data=STILL, optimizer=optimizer, training=rules)
    before = start.run(cut) if cut else []
    assert start.state is not None
    rest = a_line_training(data=STILL, optimizer=optimizer, training=rules, state=reloaded(start.state)).run()
    assert [item.learning_rate for item in before + rest if isinstance(item, Epoch)] == rates


def test_plateau_at_the_end_of_a_schedule_that_ends_at_zero() -> None:
    rule = ReduceLrOnPlateau(patience=1, factor=0.5, min_lr=0.001)
    rules = Training(epochs=4, batch_size=4, metrics=(), reduce_lr_on_plateau=rule)
    optimizer = StochasticGradientDescent(learning_rate=CosineDecay(initial_learning_rate=8))
    training = a_line_training(data=STILL, optimizer=optimizer, training=rules)
    training.run()
    assert training.state is not None
    assert (training.state.stop, training.state.rate_factor) == ("epochs_completed", 0.125)


def test_rate_is_not_lowered_while_the_loss_falls() -> None:
    rules = replace(FULL_BATCH, epochs=20, reduce_lr_on_plateau=ReduceLrOnPlateau(patience=1, min_delta=0))
    epochs = [item for item in a_line_training(training=rules).run() if isinstance(item, Epoch)]
    assert {item.learning_rate for item in epochs} == {0.01}


def test_any_value_is_better_than_an_undefined_one() -> None:
    data, one_class = classes(20, validation=4), np.zeros(4, np.int64)
    rules = Training(epochs=3, metrics=(RocAuc(),), early_stopping=EarlyStopping(monitor="val_roc_auc", patience=2))
    first = ATraining(replace(data, y_validation=one_class), training=rules)
    assert [item.stop for item in first.run() if isinstance(item, Epoch)] == [None, None, "epochs_completed"]
    assert first.state is not None
    assert first.state.best is None
    first.state.stop = None
    second = ATraining(data, training=replace(rules, epochs=4), state=reloaded(first.state))
    second.run()
    assert second.state is not None
    assert second.state.best is not None
    assert second.state.best.epoch == 4


class AnEpoch(NamedTuple):
    state: State
    metrics: dict[str, float]
    scheduled_rate: float = 0.1


def test_epochs_of_an_undefined_metric_are_not_waited_for() -> None:
    rule, training = EarlyStopping(monitor="val_roc_auc", patience=2), ATraining(classes(4))
    state = training.state
    assert state is not None
    values = [0.6, math.nan, math.nan, math.nan, 0.5, math.nan, 0.4]
    memory: dict[str, Any] = {}
    reasons = []
    for number, value in enumerate(values, 1):
        state.epoch = number
        epoch = AnEpoch(state, {"loss": 1.0, "val_roc_auc": value})
        keep_best(state, epoch.metrics, rule)
        reasons.append(rule.update(epoch, memory))
    assert state.best is not None
    assert state.best.epoch == 1
    assert reasons == [None] * 6 + ["early_stopped"]


def test_rate_is_not_lowered_for_epochs_of_an_undefined_metric() -> None:
    rule, training = ReduceLrOnPlateau(monitor="val_r2", patience=2), ATraining(classes(4))
    state, memory = training.state, dict[str, Any]()
    assert state is not None
    factors = []
    for value in (0.5, math.nan, math.nan, math.nan, 0.4, 0.4):
        rule.update(AnEpoch(state, {"loss": 1.0, "val_r2": value}), memory)
        factors.append(state.rate_factor)
    assert factors == [1.0] * 5 + [pytest.approx(0.1)]


def test_loss_that_is_no_number_is_waited_for_and_never_the_best() -> None:
    rule, training = EarlyStopping(patience=1), ATraining(classes(4))
    state, memory = training.state, dict[str, Any]()
    assert state is not None
    reasons = []
    for number, value in enumerate((1.0, math.nan), 1):
        state.epoch = number
        keep_best(state, {"loss": 1.0, "val_loss": value}, rule)
        reasons.append(rule.update(AnEpoch(state, {"loss": 1.0, "val_loss": value}), memory))
    assert reasons == [None, "early_stopped"]
    assert state.best is not None
    assert state.best.value == 1.0


def test_best_weights_that_never_were_are_not_restored() -> None:
    state = ATraining(classes(4)).state
    assert state is not None
    before = state.weights.copy()
    restore_best(state)
    assert state.weights.tobytes() == before.tobytes()
