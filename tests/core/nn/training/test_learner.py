"""A training reduces the loss, resumes from any state bit for bit, and ends on divergence with finite weights."""

import itertools
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
from core.nn.losses.categorical import CrossEntropy
from core.nn.optimizers.adam import Adam
from core.nn.optimizers.sgd import GradientDescent, StochasticGradientDescent
from core.nn.optimizers.wrappers import ClipByNorm, SharpnessAware
from core.nn.predictor import Predictor
from core.nn.schedules import ConstantRate, CosineDecay
from core.nn.step.context import inference
from core.nn.step.state import State
from core.nn.training.options import Diverged, Step, Training
from core.nn.training.stopping import EarlyStopping
from tests.core.nn.cases import OPTIMIZERS, REGULARIZERS, sequential
from tests.core.nn.trainings import (
    FULL_BATCH,
    STATEFUL,
    WIDE,
    ATraining,
    Rows,
    a_line_training,
    classes,
    line,
    losses,
    reloaded,
)

BIG, ZEROS = Constant(value=100), Constant(value=0)


def test_line_is_learnt() -> None:
    training = a_line_training()
    found = losses(training.run())
    assert len(found) == 100
    assert all(later <= earlier for earlier, later in itertools.pairwise(found))
    assert training.weights == pytest.approx([2.0], abs=1e-6)


def test_line_follows_the_formula() -> None:
    training = a_line_training(training=replace(FULL_BATCH, epochs=20))
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


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o.type)
@settings(deadline=None, max_examples=15)
@given(cut=st.integers(0, 35))
def test_training_resumes_bit_for_bit(optimizer: Any, cut: int) -> None:
    data = classes(50, validation=10)
    rules = Training(
        epochs=4, batch_size=8, early_stopping=EarlyStopping(patience=1, restore_best_weights=True), metrics=()
    )
    undisturbed = ATraining(data, optimizer=optimizer, training=rules)
    expected = undisturbed.run()
    first = ATraining(data, optimizer=optimizer, training=rules)
    before = first.run(cut) if cut else []
    assert first.state is not None
    second = ATraining(data, optimizer=optimizer, training=rules, state=reloaded(first.state))
    assert before + second.run() == expected
    assert second.weights.tobytes() == undisturbed.weights.tobytes()
    assert second.state is not None
    assert undisturbed.state is not None
    assert second.state.counters() == undisturbed.state.counters()


def test_same_seed_gives_the_same_weights() -> None:
    runs = [ATraining(classes(), training=Training(epochs=1, seed=seed)) for seed in (1, 1, 2)]
    for run in runs:
        run.run()
    assert runs[0].weights.tobytes() == runs[1].weights.tobytes()
    assert runs[0].weights.tobytes() != runs[2].weights.tobytes()


@pytest.mark.parametrize("rate", [1e3, 1e30])
def test_divergent_step_is_not_taken(rate: float) -> None:
    training = a_line_training(optimizer=StochasticGradientDescent(learning_rate=ConstantRate(learning_rate=rate)))
    with np.errstate(all="ignore"), pytest.raises(Diverged, match=r"learning rate") as caught:
        training.run()
    assert np.isfinite(training.weights).all()
    assert caught.value.step > 1
    assert training.state is not None
    assert training.state.step == caught.value.step - 1


def test_infinite_gradient_of_a_finite_loss_is_not_applied() -> None:
    data = replace(line(), x=np.full((5, 1), 1e30, np.float32), y=np.full((5, 1), 1e10, np.float32))
    training = a_line_training(
        data=data, architecture=sequential(Dense(units=1, use_bias=False, kernel_initializer=ZEROS))
    )
    with np.errstate(all="ignore"), pytest.raises(Diverged):
        training.run()
    assert training.weights == [0.0]


def test_divergence_names_the_layer() -> None:
    data = replace(line(), x=np.full((5, 1), 3e38, np.float32))
    net = sequential(Dense(units=3, kernel_initializer=BIG), Dense(units=1))
    with np.errstate(all="ignore"), pytest.raises(Diverged, match=r"the output of layer 1 \(dense\)"):
        a_line_training(data=data, architecture=net).run()


@pytest.mark.parametrize("shuffle", [False, True])
def test_divergence_names_the_rows_by_their_place_in_the_data(shuffle: bool) -> None:
    x = np.ones((50, 1), np.float32)
    x[[17, 31]] = 3e38
    data = replace(line(), x=x, y=np.ones((50, 1), np.float32))
    inner = sequential(Dense(units=2, use_bias=False, kernel_initializer=BIG), Dense(units=1))
    training = Training(epochs=1, batch_size=50, shuffle=shuffle, metrics=())
    with np.errstate(all="ignore"), pytest.raises(Diverged, match=r"layer 1 of layer 1 \(dense\)") as caught:
        a_line_training(data=data, architecture=sequential(inner), training=training).run()
    assert caught.value.path == ("layers", 0, "layers", 0)
    assert sorted(caught.value.rows) == [17, 31]


def test_second_pass_draws_as_the_first_and_is_not_evaluated() -> None:
    near = SharpnessAware(rho=1e-30, optimizer=Adam())  # so near that the weights do not change
    alone, aware = (ATraining(classes(50), optimizer=optimizer) for optimizer in (Adam(), near))
    assert aware.run() == alone.run()
    assert aware.weights.tobytes() == alone.weights.tobytes()
    assert aware.state is not None
    assert alone.state is not None
    assert aware.state.statistics.tobytes() == alone.state.statistics.tobytes()


def test_divergent_second_pass_leaves_the_weights_unchanged() -> None:
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
def test_step_takes_the_planned_memory_and_releases_it(architecture: Any, rows: int, optimizer: Any) -> None:
    options = Training(epochs=1, batch_size=rows, metrics=())
    training = ATraining(classes(rows * 12), architecture, optimizer=optimizer, training=options)
    plans = list(training.network.plan.walk())
    planned = 4 * sum(rows * plan.activation_size + plan.scratch for plan in plans)
    gathered = rows * (4 * 4 + 8)  # inputs and class numbers in the order of the epoch
    scratch = 5 * 4 * training.network.parameters + 16 * 1024  # muon's are the most
    peak, remaining = training.step_bytes()
    assert peak <= planned + gathered + scratch
    assert remaining < 16 * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/self/pagemap")
def test_best_weights_take_no_memory_before_the_first_epoch_ends() -> None:
    training = ATraining(classes(16), WIDE, training=Training(epochs=1, batch_size=8))
    assert training.state is not None
    learning = training.items()
    for step in (1, 2):
        assert next(learning)[0] == step
        assert present(training.state.best_weights) == 0
    next(learning)
    assert present(training.state.best_weights) > 0.9


def present(array: Array) -> float:
    """Return the fraction of an array's pages that have memory: the top bit of each entry of the page table."""
    page = resource.getpagesize()
    first, pages = -(-array.ctypes.data // page), array.nbytes // page - 1
    with Path("/proc/self/pagemap").open("rb") as table:
        table.seek(8 * first)
        return float(np.mean(np.frombuffer(table.read(8 * pages), np.uint64) >> np.uint64(63)))


@pytest.mark.parametrize("regularizer", [regularizer for regularizer, _ in REGULARIZERS], ids=lambda r: r.type)
def test_penalty_takes_at_most_two_arrays_of_the_weights(regularizer: Any) -> None:
    net = sequential(Dense(units=300), Dense(units=240, kernel_regularizer=regularizer), Dense(units=2))
    training = ATraining(classes(24), net, training=Training(epochs=1, batch_size=2, metrics=()))
    peak, _ = training.step_bytes()
    assert peak < 2.1 * 4 * training.network.parameters


def denormal(numbers: Any) -> Any:
    """Return which numbers are denormal; many processors are slow with them."""
    return (numbers != 0) & (np.abs(numbers) < np.finfo(np.float32).tiny)


def test_denormal_optimizer_state_becomes_zero() -> None:
    rows = Rows(np.zeros((8, 4), np.float32), np.zeros(8, np.int64))  # no weight but the bias gets a gradient
    training = ATraining(rows, sequential(Dense(units=2)), training=Training(epochs=300, batch_size=8, metrics=()))
    assert training.state is not None
    for slot in training.state.slots.values():
        slot[:] = 1e-36
    training.run()
    assert not any(denormal(slot).any() for slot in training.state.slots.values())


@pytest.mark.parametrize("targets", [[0, 0], [[1.0, 0.0], [1.0, 0.0]]], ids=["class numbers", "shares"])
def test_gradient_of_learnt_rows_is_small_but_not_denormal(targets: Any) -> None:
    outputs = np.array([[95, 0], [500, 0]], np.float32)
    _, backward = CrossEntropy().forward(outputs, np.array(targets), inference())
    gradient = backward()
    assert not denormal(gradient).any()
    assert np.abs(gradient).max() < 1e-29


def test_forty_threads_predict_during_a_training() -> None:
    data = classes(200)
    training = ATraining(data, training=Training(epochs=30, batch_size=20))
    training.run(5)
    assert training.state is not None
    weights, statistics = training.state.weights.copy(), training.state.statistics.copy()
    expected = Predictor(training.network, weights, statistics).outputs(data.x)
    wrong: list[int] = []

    def predict(thread: int) -> None:
        answers = [Predictor(training.network, weights, statistics).outputs(data.x) for _ in range(5)]
        wrong.extend(thread for answer in answers if answer.tobytes() != expected.tobytes())

    threads = [threading.Thread(target=predict, args=(thread,)) for thread in range(40)]
    for thread in threads:
        thread.start()
    training.run()
    for thread in threads:
        thread.join()
    assert not wrong


def test_rate_follows_its_schedule() -> None:
    schedule = CosineDecay(initial_learning_rate=0.01)
    items = a_line_training(optimizer=Adam(learning_rate=schedule)).run()
    rates = [item.learning_rate for item in items if isinstance(item, Step)]
    assert rates == [schedule.at(step, 100) for step in range(100)]


def test_state_without_rules_and_rate_factor_is_restored() -> None:
    state = a_line_training().state
    assert state is not None
    counters = {name: value for name, value in state.counters().items() if name not in {"rate_factor", "rules"}}
    assert State.restore(state.arrays(), counters).rate_factor == 1


def test_clipping_bounds_the_step() -> None:
    clipped = ClipByNorm(max_norm=0.5, optimizer=GradientDescent(learning_rate=ConstantRate(learning_rate=1)))
    training = a_line_training(optimizer=clipped)
    before = training.weights.copy()
    training.run(1)
    assert abs(training.weights - before) == pytest.approx([0.5])


def test_shuffled_epoch_has_every_row_once() -> None:
    training = ATraining(classes(50), training=Training(epochs=1, batch_size=8), loss=CrossEntropy())
    training.run(3)
    assert training.state is not None
    assert sorted(training.state.order) == list(range(50))
