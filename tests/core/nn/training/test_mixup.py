"""Mixtures of rows: what they are, that nothing else changes, and what they take."""

from typing import Any

import numpy as np
import pytest

from core.nn.activations import Relu
from core.nn.layers.dense import Dense
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.regression import MeanSquaredError
from core.nn.optimizers.adam import Adam
from core.nn.schedules import ConstantRate
from core.nn.step.context import PassContext
from core.nn.training.mixup import Mixup, mixed_bytes
from core.nn.training.options import Epoch, Training
from tests.core.nn.cases import sequential
from tests.core.nn.trainings import ATraining, Rows, classes, peak_bytes


def a_run(sample_weight: Any = None) -> PassContext:
    """A run in float64."""
    run = PassContext(np.float64, training=True)
    run.sample_weight = sample_weight
    return run


def drawn(alpha: float, rows: int, seed: int) -> tuple[float, Any]:
    """The share and the order that a batch draws."""
    rng = np.random.default_rng(seed)
    return rng.beta(alpha, alpha), rng.permutation(rows)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_a_mixture_is_its_definition(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, y, weights = rng.standard_normal((9, *shape)), rng.standard_normal((9, 2)), rng.random(9)
    kept = x.copy(), y.copy(), weights.copy()
    run = a_run(weights)
    found = *Mixup(alpha=0.7).mix(x, y, (2,), run, np.random.default_rng(5)), run.sample_weight
    share, order = drawn(0.7, 9, 5)
    for mixed, rows, before in zip(found, (x, y, weights), kept, strict=True):
        np.testing.assert_allclose(mixed, share * rows + (1 - share) * rows[order], rtol=1e-14, atol=1e-15)
        assert (rows == before).all()


@pytest.mark.parametrize("shape", [(), (3,)])
def test_classes_are_mixed_as_shares(shape: tuple[int, ...]) -> None:
    """So that the loss is as much that of each row as the row is of the mixture (section 2)."""
    rng = np.random.default_rng(1)
    numbers: Any = rng.integers(0, 4, (8, *shape))
    outputs = rng.standard_normal((8, *shape, 4))
    _, mixed = Mixup(alpha=1).mix(np.zeros((8, 1)), numbers, (*shape, 4), a_run(), np.random.default_rng(6))
    share, order = drawn(1, 8, 6)
    whole, own, other = (CrossEntropy().forward(outputs, t, a_run())[0] for t in (mixed, numbers, numbers[order]))
    assert whole == pytest.approx(share * own + (1 - share) * other, rel=1e-12)


@pytest.mark.parametrize("alpha", [1e-300, 0.2, 1.0, 8.0, 1000.0])
def test_the_shares_are_of_their_distribution(alpha: float) -> None:
    """Beta(α, α): the mean is ½, the variance `1 / (4 · (2α + 1))`."""
    rng = np.random.default_rng(0)
    x, nothing = np.array([[0.0], [1.0]]), np.zeros((2, 1))
    mixtures = [Mixup(alpha=alpha).mix(x, nothing, (1,), a_run(), rng)[0][1, 0] for _ in range(4000)]
    shares = np.array([mixture for mixture in mixtures if mixture != 1])  # the rest were mixed with themselves
    assert shares.mean() == pytest.approx(0.5 if alpha > 1e-3 else 0, abs=0.03)
    if alpha > 1e-3:
        assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_a_row_alone_is_mixed_with_itself() -> None:
    x, y = Mixup().mix(np.array([[3.0]]), np.array([1]), (2,), a_run(), np.random.default_rng(0))
    np.testing.assert_allclose(np.hstack([x, y]), [[3, 0, 1]])


def test_a_line_is_still_a_line_between_its_points() -> None:
    x = np.linspace(-1, 1, 24, dtype=np.float32)[:, None]
    rules = Training(epochs=300, batch_size=8, metrics=(), mixup=Mixup(alpha=1))
    adam = Adam(learning_rate=ConstantRate(learning_rate=0.03))
    training = ATraining(Rows(x, 2 * x), sequential(Dense(units=1)), MeanSquaredError(), adam, rules)
    before = x.copy()
    *_, last = training.run()
    assert isinstance(last, Epoch)
    assert last.metrics["loss"] < 1e-3
    assert (x == before).all()


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_training_rows_are_mixed_and_those_of_the_validation_are_not(shuffle: bool) -> None:
    """A net that tells all rows apart by heart is never sure of a mixture."""
    data = classes(16, validation=8)
    both = Rows(data.x, data.y, data.x, data.y)
    net = sequential(Dense(units=64, activation=Relu()), Dense(units=2))
    rules = Training(epochs=400, batch_size=16, shuffle=shuffle, metrics=(), mixup=Mixup(alpha=8))
    kept = data.x.copy()
    epochs = [item.metrics for item in ATraining(both, net, training=rules).run() if isinstance(item, Epoch)]
    losses = np.array([[epoch["loss"], epoch["val_loss"]] for epoch in epochs[-50:]]).mean(axis=0)
    assert losses[0] > 1.5 * losses[1]
    assert (data.x == kept).all()


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_step_with_mixup_takes_the_memory_that_is_estimated(shuffle: bool) -> None:
    rows = 65_536
    rules = Training(epochs=1, batch_size=rows, shuffle=shuffle, metrics=(), mixup=Mixup())
    data = classes(8 * rows)
    wide = Rows(np.tile(data.x, 8), data.y)
    plain, mixed = (
        ATraining(wide, sequential(Dense(units=2)), training=training).step_bytes()[0]
        for training in (Training(epochs=1, batch_size=rows, shuffle=shuffle, metrics=()), rules)
    )
    assert mixed - plain <= mixed_bytes(rows, (32,), (2,))


@pytest.mark.parametrize("shape", [(40,), (4, 10)])
def test_mixing_takes_the_memory_that_is_said(shape: tuple[int, ...]) -> None:
    rows = 6400
    output: tuple[int, ...] = (*shape[:-1], 9)
    numbers: Any = np.zeros((rows, *shape[:-1]), int)
    x = np.zeros((rows, *shape), np.float32)

    def mix() -> None:
        ctx = PassContext(training=True)
        ctx.sample_weight = np.ones(rows, np.float32)
        Mixup().mix(x, numbers, output, ctx, np.random.default_rng(0))

    assert peak_bytes(mix) <= mixed_bytes(rows, shape, output) + 16 * rows  # and the permutation
