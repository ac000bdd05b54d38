"""Mixup: the mixtures, their distribution, unchanged inputs, and memory."""

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


def a_context(sample_weight: Any = None) -> PassContext:
    """Return a training pass in float64."""
    ctx = PassContext(np.float64, training=True)
    ctx.sample_weight = sample_weight
    return ctx


def drawn(alpha: float, rows: int, seed: int) -> tuple[float, Any]:
    """Return the λ and the order of the rows that a batch draws."""
    rng = np.random.default_rng(seed)
    return rng.beta(alpha, alpha), rng.permutation(rows)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_mixture_equals_its_definition(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, y, weights = rng.standard_normal((9, *shape)), rng.standard_normal((9, 2)), rng.random(9)
    before = x.copy(), y.copy(), weights.copy()
    ctx = a_context(weights)
    found = *Mixup(alpha=0.7).mix(x, y, (2,), ctx, np.random.default_rng(5)), ctx.sample_weight
    lam, order = drawn(0.7, 9, 5)
    for mixed, rows, original in zip(found, (x, y, weights), before, strict=True):
        np.testing.assert_allclose(mixed, lam * rows + (1 - lam) * rows[order], rtol=1e-14, atol=1e-15)
        assert (rows == original).all()


@pytest.mark.parametrize("shape", [(), (3,)])
def test_loss_of_mixed_classes_is_the_mixture_of_losses(shape: tuple[int, ...]) -> None:
    """Zhang et al. 2018, section 2."""
    rng = np.random.default_rng(1)
    numbers: Any = rng.integers(0, 4, (8, *shape))
    outputs = rng.standard_normal((8, *shape, 4))
    _, mixed = Mixup(alpha=1).mix(np.zeros((8, 1)), numbers, (*shape, 4), a_context(), np.random.default_rng(6))
    lam, order = drawn(1, 8, 6)
    loss, own, other = (CrossEntropy().forward(outputs, t, a_context())[0] for t in (mixed, numbers, numbers[order]))
    assert loss == pytest.approx(lam * own + (1 - lam) * other, rel=1e-12)


@pytest.mark.parametrize("alpha", [1e-300, 0.2, 1.0, 8.0, 1000.0])
def test_lambda_has_the_beta_distribution(alpha: float) -> None:
    """Beta(α, α): the mean is ½, the variance `1 / (4 · (2α + 1))`."""
    rng = np.random.default_rng(0)
    x, targets = np.array([[0.0], [1.0]]), np.zeros((2, 1))
    mixtures = [Mixup(alpha=alpha).mix(x, targets, (1,), a_context(), rng)[0][1, 0] for _ in range(4000)]
    lambdas = np.array([mixture for mixture in mixtures if mixture != 1])  # the rest were mixed with themselves
    assert lambdas.mean() == pytest.approx(0.5 if alpha > 1e-3 else 0, abs=0.03)
    if alpha > 1e-3:
        assert lambdas.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_single_row_is_mixed_with_itself() -> None:
    x, y = Mixup().mix(np.array([[3.0]]), np.array([1]), (2,), a_context(), np.random.default_rng(0))
    np.testing.assert_allclose(np.hstack([x, y]), [[3, 0, 1]])


def test_line_is_learnt_from_mixtures_of_its_points() -> None:
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
def test_training_rows_are_mixed_and_validation_rows_are_not(shuffle: bool) -> None:
    """An overfitted network is certain of each row, but not of a mixture."""
    data = classes(16, validation=8)
    both = Rows(data.x, data.y, data.x, data.y)
    net = sequential(Dense(units=64, activation=Relu()), Dense(units=2))
    rules = Training(epochs=400, batch_size=16, shuffle=shuffle, metrics=(), mixup=Mixup(alpha=8))
    before = data.x.copy()
    epochs = [item.metrics for item in ATraining(both, net, training=rules).run() if isinstance(item, Epoch)]
    losses = np.array([[epoch["loss"], epoch["val_loss"]] for epoch in epochs[-50:]]).mean(axis=0)
    assert losses[0] > 1.5 * losses[1]
    assert (data.x == before).all()


@pytest.mark.parametrize("shuffle", [False, True])
def test_step_with_mixup_takes_at_most_the_estimated_memory(shuffle: bool) -> None:
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
def test_mixing_takes_at_most_the_estimated_memory(shape: tuple[int, ...]) -> None:
    rows = 6400
    output: tuple[int, ...] = (*shape[:-1], 9)
    numbers: Any = np.zeros((rows, *shape[:-1]), int)
    x = np.zeros((rows, *shape), np.float32)

    def mix() -> None:
        ctx = PassContext(training=True)
        ctx.sample_weight = np.ones(rows, np.float32)
        Mixup().mix(x, numbers, output, ctx, np.random.default_rng(0))

    assert peak_bytes(mix) <= mixed_bytes(rows, shape, output) + 16 * rows  # and the permutation
