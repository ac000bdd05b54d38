"""A training reduces the loss, stops when it should, and resumes from any state bit for bit."""

import itertools
import json
import math
import resource
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.nn.arrays import Array
from core.nn.initializers import Constant
from core.nn.layers.dense import Dense
from core.nn.layers.embedding import Embedding
from core.nn.layers.recurrent import Gru
from core.nn.losses.binary import BinaryCrossEntropy
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.regression import MeanSquaredError
from core.nn.metrics.classification import Accuracy, Precision
from core.nn.metrics.ranking import RocAuc
from core.nn.metrics.regression import MeanAbsoluteError
from core.nn.optimizers.adam import Adam
from core.nn.optimizers.sgd import GradientDescent, StochasticGradientDescent
from core.nn.optimizers.wrappers import ClipByNorm, SharpnessAware
from core.nn.predictor import Predictor
from core.nn.schedules import ConstantRate, CosineDecay
from core.nn.step.context import inference
from core.nn.step.state import State
from core.nn.training.options import Diverged, Epoch, Step, Training
from core.nn.training.stopping import Convergence, EarlyStopping, ReduceLrOnPlateau, TargetMetric
from tests.core.nn.cases import METRICS, OPTIMIZERS, REGULARIZERS, sequential
from tests.core.nn.trainings import STATEFUL, WIDE, ATraining, Rows, classes, line

BIG, ZEROS = Constant(value=100), Constant(value=0)
FULL_BATCH = Training(epochs=100, batch_size=5, shuffle=False, metrics=(MeanAbsoluteError(),))


def the_line(**changes: Any) -> ATraining:
    """The text's example: one weight, plain gradient descent."""
    defaults: dict[str, Any] = {
        "data": line(),
        "architecture": sequential(Dense(units=1, use_bias=False)),
        "loss": MeanSquaredError(),
        "optimizer": StochasticGradientDescent(),
        "training": FULL_BATCH,
    }
    return ATraining(**(defaults | changes))


def losses(items: list[Step | Epoch]) -> list[float]:
    """The loss of every step."""
    return [item.loss for item in items if isinstance(item, Step)]


def test_the_line_is_learnt() -> None:
    training = the_line()
    found = losses(training.run())
    assert len(found) == 100
    assert all(later <= earlier for earlier, later in itertools.pairwise(found))
    assert training.weights == pytest.approx([2.0], abs=1e-6)


def test_the_line_follows_the_formula() -> None:
    training = the_line(training=replace(FULL_BATCH, epochs=20))
    x, y = line().x.astype(float)[:, 0], line().y.astype(float)[:, 0]
    w = float(training.weights[0])
    for found in losses(training.run()):
        assert found == pytest.approx(np.mean((w * x - y) ** 2), rel=1e-4, abs=1e-10)
        w -= 0.01 * np.mean(2 * (w * x - y) * x)


def test_steps_and_epochs_count_from_one() -> None:
    items = ATraining(classes(20), training=Training(epochs=2, batch_size=8)).run()
    assert [(type(item).__name__, item.step, item.epoch) for item in items] == [
        ("Step", 1, 1), ("Step", 2, 1), ("Step", 3, 1), ("Epoch", 3, 1),
        ("Step", 4, 2), ("Step", 5, 2), ("Step", 6, 2), ("Epoch", 6, 2),
    ]  # fmt: skip


def test_the_epoch_loss_is_the_mean_over_rows_of_unequal_batches() -> None:
    *steps, epoch = ATraining(classes(20), training=Training(epochs=1, batch_size=8)).run()
    assert isinstance(epoch, Epoch)
    assert epoch.metrics["loss"] == pytest.approx(np.average(losses(steps), weights=[8, 8, 4]))


def through_json(state: State) -> State:
    """The state as it comes back from a file."""
    arrays = {name: array.copy() for name, array in state.arrays().items()}
    return State.restore(arrays, json.loads(json.dumps(state.counters())))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o.type)
@settings(deadline=None, max_examples=15)
@given(cut=st.integers(0, 35))
def test_a_training_goes_on_bit_for_bit(optimizer: Any, cut: int) -> None:
    data = classes(50, validation=10)
    rules = Training(
        epochs=4, batch_size=8, early_stopping=EarlyStopping(patience=1, restore_best_weights=True), metrics=()
    )
    whole = ATraining(data, optimizer=optimizer, training=rules)
    expected = whole.run()
    first = ATraining(data, optimizer=optimizer, training=rules)
    before = first.run(cut) if cut else []
    assert first.state is not None
    second = ATraining(data, optimizer=optimizer, training=rules, state=through_json(first.state))
    assert before + second.run() == expected
    assert second.weights.tobytes() == whole.weights.tobytes()
    assert second.state is not None
    assert whole.state is not None
    assert second.state.counters() == whole.state.counters()


@pytest.mark.parametrize("cut", [1, 4, 7, 9, 16])
def test_metrics_go_on_in_the_middle_of_an_epoch(cut: int) -> None:
    data = classes(50, validation=10)
    of_classes = {metric.type: metric for metric, *_ in METRICS if metric.predicts == "classes"}
    rules = Training(epochs=3, batch_size=8, metrics=tuple(of_classes.values()))
    expected = ATraining(data, training=rules).run()
    first = ATraining(data, training=rules)
    before = first.run(cut)
    assert first.state is not None
    second = ATraining(data, training=rules, state=through_json(first.state))
    assert before + second.run() == expected


WORDS = np.array([[1, 2, 3], [2, 1, 2], [3, 3, 1], [1, 1, 2]], np.float32)


def padded(steps: int) -> Rows:
    """Words of three letters, each with the next to learn, and behind them so many steps that are not there."""
    x = np.pad(WORDS, ((0, 0), (0, steps)))
    y = np.pad(np.roll(WORDS, -1, axis=1).astype(np.int64), ((0, 0), (0, steps)))
    return Rows(x, y, x, y)


def test_steps_that_are_not_there_change_nothing() -> None:
    reader = sequential(Embedding(input_dim=4, output_dim=5, mask_zero=True), Gru(units=6, return_sequences=True),
                        Dense(units=4))  # fmt: skip
    rules = Training(epochs=20, batch_size=3, metrics=(Accuracy(),))
    bare, behind = (ATraining(padded(steps), reader, training=rules) for steps in (0, 3))
    expected, found = (
        [list(item.metrics.values()) for item in one.run() if isinstance(item, Epoch)] for one in (bare, behind)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(behind.weights, bare.weights, rtol=1e-3, atol=1e-5)
    assert expected[-1][0] < expected[0][0]


OF_CLASSES = tuple({metric.type: metric for metric, *_ in METRICS if metric.predicts == "classes"}.values())
OF_NUMBERS = tuple({metric.type: metric for metric, *_ in METRICS if metric.predicts == "numbers"}.values())


@pytest.mark.parametrize(("units", "loss", "metrics"), [(4, CrossEntropy(), OF_CLASSES),
                                                        (1, MeanSquaredError(), OF_NUMBERS)])  # fmt: skip
def test_rows_of_which_no_step_is_there_are_passed_over(units: int, loss: Any, metrics: Any) -> None:
    x = np.array([[0, 0], [0, 0], [1, 2], [3, 0]], np.float32)
    y = np.ones((4, 2), np.int64) if units > 1 else np.ones((4, 2, 1), np.float32)
    y[2, 0] = 0  # a class alone has no ranks
    reader = sequential(Embedding(input_dim=4, output_dim=2, mask_zero=True), Dense(units=units))
    rules = Training(epochs=2, batch_size=2, shuffle=False, metrics=metrics)
    training = ATraining(Rows(x, y, x[:2], y[:2]), reader, loss=loss, training=rules)
    *_, last = training.run()
    assert isinstance(last, Epoch)
    assert all(np.isfinite(value) for value in last.metrics.values())
    assert {value for name, value in last.metrics.items() if name.startswith("val_")} == {0.0}


def test_a_metric_that_was_not_defined_is_bettered_by_any() -> None:
    data, alone = classes(20, validation=4), np.zeros(4, np.int64)
    rules = Training(epochs=3, metrics=(RocAuc(),), early_stopping=EarlyStopping(monitor="val_roc_auc", patience=2))
    first = ATraining(replace(data, y_validation=alone), training=rules)
    assert [item.stop for item in first.run() if isinstance(item, Epoch)] == [None, None, "early_stopped"]
    assert first.state is not None
    assert first.state.best is not None
    assert math.isnan(first.state.best.value)
    first.state.stop = None
    second = ATraining(data, training=replace(rules, epochs=4), state=through_json(first.state))
    second.run()
    assert second.state is not None
    assert second.state.best is not None
    assert second.state.best.epoch == 4


def test_sums_of_an_older_state_go_on() -> None:
    expected = ATraining(classes()).run()
    first = ATraining(classes())
    before = first.run(4)
    assert first.state is not None
    arrays = {name: array for name, array in first.state.arrays().items() if not name.startswith("sums.")}
    sums = {name: own.tolist() for name, own in first.state.sums.items()}
    older = State.restore(arrays, first.state.counters() | {"sums": sums})
    assert before + ATraining(classes(), state=older).run() == expected


@pytest.mark.parametrize("optimizer", [Adam(), SharpnessAware(rho=1, optimizer=Adam())], ids=lambda o: o.type)
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_row_of_weight_two_is_learnt_as_two_rows(shuffle: bool, optimizer: Any) -> None:
    data = classes(6, validation=6)
    weights = np.array([1, 2, 0, 1, 3, 1], np.float32)
    rules = Training(epochs=5, batch_size=20, shuffle=shuffle, metrics=())
    assert data.x_validation is not None
    often = [np.repeat(part, weights.astype(int), axis=0) for part in (data.x, data.y, data.x_validation,
                                                                       data.y_validation)]  # fmt: skip
    weighed = replace(data, sample_weight=weights, sample_weight_validation=weights)
    one, other = (
        ATraining(rows, sequential(Dense(units=3), Dense(units=2)), optimizer=optimizer, training=rules)
        for rows in (weighed, Rows(*often))
    )
    found, expected = ([list(i.metrics.values()) for i in t.run() if isinstance(i, Epoch)] for t in (one, other))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cut", [1, 3, 8])
def test_weighed_rows_go_on_in_the_middle_of_an_epoch(cut: int) -> None:
    data = replace(classes(50), sample_weight=np.linspace(0, 2, 50, dtype=np.float32))
    whole, first = ATraining(data), ATraining(data)
    expected, before = whole.run(), first.run(cut)
    assert first.state is not None
    assert before + ATraining(data, state=through_json(first.state)).run() == expected


def test_another_seed_gives_other_numbers() -> None:
    runs = [ATraining(classes(), training=Training(epochs=1, seed=seed)) for seed in (1, 1, 2)]
    for run in runs:
        run.run()
    assert runs[0].weights.tobytes() == runs[1].weights.tobytes()
    assert runs[0].weights.tobytes() != runs[2].weights.tobytes()


def test_early_stopping_ends_with_the_best_weights() -> None:
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
def test_a_training_says_why_it_stops(rule: dict[str, Any], reason: str) -> None:
    slow = GradientDescent(learning_rate=ConstantRate(learning_rate=0.01))
    last = the_line(optimizer=slow, training=replace(FULL_BATCH, **rule)).run()[-1]
    assert isinstance(last, Epoch)
    assert last.stop == reason


def test_a_loss_that_stands_still_has_converged() -> None:
    still = Convergence(tolerance=1e-3, epochs=4)
    creeping = StochasticGradientDescent(learning_rate=ConstantRate(learning_rate=1e-9))
    last = the_line(optimizer=creeping, training=replace(FULL_BATCH, convergence=still)).run()[-1]
    assert (last.epoch, getattr(last, "stop", None)) == (5, "converged")


@pytest.mark.parametrize("rate", [1e3, 1e30])
def test_a_divergent_step_is_not_taken(rate: float) -> None:
    training = the_line(optimizer=StochasticGradientDescent(learning_rate=ConstantRate(learning_rate=rate)))
    with np.errstate(all="ignore"), pytest.raises(Diverged, match=r"learning rate") as caught:
        training.run()
    assert np.isfinite(training.weights).all()
    assert caught.value.step > 1
    assert training.state is not None
    assert training.state.step == caught.value.step - 1


def test_an_infinite_gradient_of_a_finite_loss_is_not_followed() -> None:
    data = replace(line(), x=np.full((5, 1), 1e30, np.float32), y=np.full((5, 1), 1e10, np.float32))
    training = the_line(data=data, architecture=sequential(Dense(units=1, use_bias=False, kernel_initializer=ZEROS)))
    with np.errstate(all="ignore"), pytest.raises(Diverged):
        training.run()
    assert training.weights == [0.0]


def test_divergence_names_the_layer() -> None:
    data = replace(line(), x=np.full((5, 1), 3e38, np.float32))
    net = sequential(Dense(units=3, kernel_initializer=BIG), Dense(units=1))
    with np.errstate(all="ignore"), pytest.raises(Diverged, match=r"the output of layer 1 \(dense\)"):
        the_line(data=data, architecture=net).run()


@pytest.mark.parametrize("shuffle", [False, True])
def test_divergence_names_the_rows_by_their_place_in_the_data(shuffle: bool) -> None:
    x = np.ones((50, 1), np.float32)
    x[[17, 31]] = 3e38
    data = replace(line(), x=x, y=np.ones((50, 1), np.float32))
    inner = sequential(Dense(units=2, use_bias=False, kernel_initializer=BIG), Dense(units=1))
    training = Training(epochs=1, batch_size=50, shuffle=shuffle, metrics=())
    with np.errstate(all="ignore"), pytest.raises(Diverged, match=r"layer 1 of layer 1 \(dense\)") as caught:
        the_line(data=data, architecture=sequential(inner), training=training).run()
    assert caught.value.path == ("layers", 0, "layers", 0)
    assert sorted(caught.value.rows) == [17, 31]


def test_a_second_pass_has_the_draws_of_the_first_and_is_not_measured() -> None:
    near = SharpnessAware(rho=1e-30, optimizer=Adam())  # so near that the weights stay as they are
    alone, aware = (ATraining(classes(50), optimizer=optimizer) for optimizer in (Adam(), near))
    assert aware.run() == alone.run()
    assert aware.weights.tobytes() == alone.weights.tobytes()
    assert aware.state is not None
    assert alone.state is not None
    assert aware.state.statistics.tobytes() == alone.state.statistics.tobytes()


def test_a_second_pass_that_diverges_leaves_the_step_untaken() -> None:
    training = ATraining(classes(20), optimizer=SharpnessAware(rho=3e38, optimizer=Adam()))
    assert training.state is not None
    weights, statistics = training.weights.copy(), training.state.statistics.copy()
    with np.errstate(all="ignore"), pytest.raises(Diverged, match="step 1: the output of layer 1"):
        training.run()
    assert training.weights.tobytes() == weights.tobytes()
    assert training.state.statistics.tobytes() == statistics.tobytes()


def test_moving_statistics_survive_a_divergent_step() -> None:
    training = ATraining(classes(20), optimizer=GradientDescent(learning_rate=ConstantRate(learning_rate=1e38)))
    with np.errstate(all="ignore"), pytest.raises(Diverged):
        training.run()
    assert training.state is not None
    assert np.isfinite(training.state.statistics).all()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o.type)
@pytest.mark.parametrize(("architecture", "rows"), [(STATEFUL, 8192), (WIDE, 2)], ids=["rows", "weights"])
def test_a_step_takes_the_planned_memory_and_releases_it(architecture: Any, rows: int, optimizer: Any) -> None:
    options = Training(epochs=1, batch_size=rows, metrics=())
    training = ATraining(classes(rows * 12), architecture, optimizer=optimizer, training=options)
    plans = list(training.network.plan.walk())
    planned = 4 * sum(rows * plan.activation_size + plan.scratch for plan in plans)
    gathered = rows * (4 * 4 + 8)  # inputs and class numbers in the order of the epoch
    scratch = 5 * 4 * training.network.parameters + 16 * 1024  # muon's are the most
    peak, remaining = training.step_bytes()
    assert peak <= planned + gathered + scratch
    assert remaining < 16 * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's table of pages tells")
def test_the_best_weights_take_no_memory_before_there_are_any() -> None:
    training = ATraining(classes(16), WIDE, training=Training(epochs=1, batch_size=8))
    assert training.state is not None
    learning = training.items()
    for step in (1, 2):
        assert next(learning)[0] == step
        assert present(training.state.best_weights) == 0
    next(learning)
    assert present(training.state.best_weights) > 0.9


def present(array: Array) -> float:
    """The share of an array's pages that have memory: the top bit of what the kernel tells of each."""
    page = resource.getpagesize()
    first, pages = -(-array.ctypes.data // page), array.nbytes // page - 1
    with Path("/proc/self/pagemap").open("rb") as table:
        table.seek(8 * first)
        return float(np.mean(np.frombuffer(table.read(8 * pages), np.uint64) >> np.uint64(63)))


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_of_several_questions_each_is_judged_by_itself(shape: tuple[int, ...]) -> None:
    """And not as if the largest output were the answer, which it is of one question with several classes."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, *shape)).astype(np.float32)
    y = (x + rng.standard_normal(x.shape) > 0).astype(np.float32)
    rules = Training(epochs=3, metrics=(Accuracy(), Precision(), RocAuc()))
    training = ATraining(Rows(x[:40], y[:40], x[40:], y[40:]), sequential(Dense(units=3)), BinaryCrossEntropy(),
                         training=rules)  # fmt: skip
    *_, last = training.run()
    assert isinstance(last, Epoch)
    assert training.state is not None
    said = Predictor(training.network, training.weights, training.state.statistics).outputs(x[40:]).reshape(-1)
    true = y[40:].reshape(-1) == 1
    assert last.metrics["val_accuracy"] == pytest.approx(np.mean((said > 0) == true))
    assert last.metrics["val_precision"] == pytest.approx(np.mean(true[said > 0]))
    ahead = said[true][:, None] > said[~true]
    assert last.metrics["val_roc_auc"] == pytest.approx(ahead.mean())


@pytest.mark.parametrize("regularizer", [regularizer for regularizer, _ in REGULARIZERS], ids=lambda r: r.type)
def test_a_penalty_takes_at_most_two_arrays_of_the_weights(regularizer: Any) -> None:
    net = sequential(Dense(units=300), Dense(units=240, kernel_regularizer=regularizer), Dense(units=2))
    training = ATraining(classes(24), net, training=Training(epochs=1, batch_size=2, metrics=()))
    peak, _ = training.step_bytes()
    assert peak < 2.1 * 4 * training.network.parameters


def denormal(numbers: Any) -> Any:
    """Which of the numbers are so small that many processors compute slowly with them."""
    return (numbers != 0) & (np.abs(numbers) < np.finfo(np.float32).tiny)


def test_what_dies_away_in_an_optimizer_becomes_zero() -> None:
    rows = Rows(np.zeros((8, 4), np.float32), np.zeros(8, np.int64))  # no weight but the bias gets a gradient
    training = ATraining(rows, sequential(Dense(units=2)), training=Training(epochs=300, batch_size=8, metrics=()))
    assert training.state is not None
    for slot in training.state.slots.values():
        slot[:] = 1e-36
    training.run()
    assert not any(denormal(slot).any() for slot in training.state.slots.values())


@pytest.mark.parametrize("targets", [[0, 0], [[1.0, 0.0], [1.0, 0.0]]], ids=["class numbers", "shares"])
def test_the_gradient_of_what_is_learnt_is_small_but_not_denormal(targets: Any) -> None:
    outputs = np.array([[95, 0], [500, 0]], np.float32)
    _, backward = CrossEntropy().forward(outputs, np.array(targets), inference())
    gradient = backward()
    assert not denormal(gradient).any()
    assert np.abs(gradient).max() < 1e-29


def test_forty_threads_predict_while_a_training_goes_on() -> None:
    data = classes(200)
    training = ATraining(data, training=Training(epochs=30, batch_size=20))
    training.run(5)
    assert training.state is not None
    weights, statistics = training.state.weights.copy(), training.state.statistics.copy()
    expected = Predictor(training.network, weights, statistics).outputs(data.x)
    wrong: list[int] = []

    def ask(turn: int) -> None:
        answers = [Predictor(training.network, weights, statistics).outputs(data.x) for _ in range(5)]
        wrong.extend(turn for answer in answers if answer.tobytes() != expected.tobytes())

    threads = [threading.Thread(target=ask, args=(turn,)) for turn in range(40)]
    for thread in threads:
        thread.start()
    training.run()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_rate_follows_its_schedule() -> None:
    schedule = CosineDecay(initial_learning_rate=0.01)
    items = the_line(optimizer=Adam(learning_rate=schedule)).run()
    rates = [item.learning_rate for item in items if isinstance(item, Step)]
    assert rates == [schedule.at(step, 100) for step in range(100)]


STILL = Rows(np.zeros((4, 1), np.float32), np.ones((4, 1), np.float32))
"""Nothing can be learnt from it without a bias, and the loss is 1 for ever."""


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
def test_a_plateau_lowers_the_rate(rule: ReduceLrOnPlateau, rates: list[float], cut: int) -> None:
    rules = Training(epochs=8, batch_size=4, metrics=(MeanAbsoluteError(),), reduce_lr_on_plateau=rule)
    optimizer = StochasticGradientDescent(learning_rate=ConstantRate(learning_rate=8))
    start = the_line(data=STILL, optimizer=optimizer, training=rules)
    before = start.run(cut) if cut else []
    assert start.state is not None
    rest = the_line(data=STILL, optimizer=optimizer, training=rules, state=through_json(start.state)).run()
    assert [item.learning_rate for item in before + rest if isinstance(item, Epoch)] == rates


def test_a_plateau_at_the_end_of_a_schedule_that_ends_at_zero() -> None:
    rule = ReduceLrOnPlateau(patience=1, factor=0.5, min_lr=0.001)
    rules = Training(epochs=4, batch_size=4, metrics=(), reduce_lr_on_plateau=rule)
    optimizer = StochasticGradientDescent(learning_rate=CosineDecay(initial_learning_rate=8))
    training = the_line(data=STILL, optimizer=optimizer, training=rules)
    training.run()
    assert training.state is not None
    assert (training.state.stop, training.state.rate_factor) == ("epochs_completed", 0.125)


def test_a_rate_is_not_lowered_while_the_loss_falls() -> None:
    rules = replace(FULL_BATCH, epochs=20, reduce_lr_on_plateau=ReduceLrOnPlateau(patience=1, min_delta=0))
    epochs = [item for item in the_line(training=rules).run() if isinstance(item, Epoch)]
    assert {item.learning_rate for item in epochs} == {0.01}


def test_a_state_without_rules_and_rate_factor_is_restored() -> None:
    state = the_line().state
    assert state is not None
    counters = {name: value for name, value in state.counters().items() if name not in {"rate_factor", "rules"}}
    assert State.restore(state.arrays(), counters).rate_factor == 1


def test_clipping_bounds_the_step() -> None:
    clipped = ClipByNorm(max_norm=0.5, optimizer=GradientDescent(learning_rate=ConstantRate(learning_rate=1)))
    training = the_line(optimizer=clipped)
    before = training.weights.copy()
    training.run(1)
    assert abs(training.weights - before) == pytest.approx([0.5])


def test_shuffling_sees_every_row_once_an_epoch() -> None:
    training = ATraining(classes(50), training=Training(epochs=1, batch_size=8), loss=CrossEntropy())
    training.run(3)
    assert training.state is not None
    assert sorted(training.state.order) == list(range(50))
