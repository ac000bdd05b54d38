"""A batch in shards gives the numbers of the whole batch, for every divisible layer."""

import os
from mmap import mmap
from typing import Any

import numpy as np
import pytest

import core.nn.arrays
from core.nn.activations import Exponential, Relu
from core.nn.arrays import Array
from core.nn.execution import accelerators
from core.nn.execution.segments import shard_bytes, shard_count
from core.nn.execution.sharding import Shards
from core.nn.layers.activation import ActivationLayer
from core.nn.layers.attention import MultiHeadAttention
from core.nn.layers.composite import Residual, Sequential, TimeDistributed
from core.nn.layers.convolution import Conv2D
from core.nn.layers.dense import Dense
from core.nn.layers.dropout import Dropout, SpatialDropout
from core.nn.layers.global_pooling import GlobalAveragePooling1D
from core.nn.layers.masking import Masking
from core.nn.layers.normalization import BatchNormalization
from core.nn.layers.pooling import MaxPooling2D
from core.nn.layers.recurrent import Gru, Lstm
from core.nn.layers.reshaping import Flatten
from core.nn.network import Network
from core.nn.optimizers.adam import Adam
from core.nn.optimizers.sgd import GradientDescent
from core.nn.optimizers.wrappers import Optimizer, SharpnessAware
from core.nn.plan import Views
from core.nn.step.context import PassContext
from core.nn.training.mixup import Mixup
from core.nn.training.options import Training
from harness.processes import child_pids
from tests.core.nn.cases import LAYERS, LayerCase, sequential
from tests.core.nn.trainings import ATraining, Rows, losses

NO_VIEWS = Views({}, {}, {}, (), learns=False, input_gradient=False, trainable=False)
DIVISIBLE = [case for case in LAYERS if all(plan.divisible for plan in case.layer.plan(case.input_shape).walk())]
WHOLE = [case for case in LAYERS if case not in DIVISIBLE]

CONVOLUTIONS = sequential(
    Conv2D(filters=16, kernel_size=3, padding="same", activation=Relu()),
    Conv2D(filters=16, kernel_size=3, padding="same", activation=Relu()),
    MaxPooling2D(),
    Flatten(),
    Dropout(rate=0.2),
    Dense(units=2),
)
"""A network with many operations for its weights, and dropout."""


def passes(architecture: Sequential, x: Array, shards: int, drawn: int = 0) -> tuple[Array, Array, Array, Any, Array]:
    """Return outputs, gradient, moving statistics, mask, and the next random numbers.

    `drawn` numbers of 32 bits are drawn before the passes.
    """
    network = Network(architecture, x.shape[1:])
    weights, statistics = network.initialize(np.random.default_rng(0), x.dtype)
    weights += x.dtype.type(0.1)
    gradient = np.zeros_like(weights)
    rng = np.random.default_rng(1)
    rng.random(drawn, np.float32)
    run = PassContext(x.dtype, training=True, rng=rng)
    if shards == 1:
        outputs, backward = network.forward(x, network.views(weights, statistics, gradient), run)
    else:
        divided = Shards(network, weights, statistics, gradient, count=shards, rows=len(x))
        outputs, backward = divided.forward(x, NO_VIEWS, run)
    outputs = outputs.copy()
    backward(np.random.default_rng(2).standard_normal(outputs.shape))
    return outputs, gradient, statistics, None if run.mask is None else run.mask.copy(), rng.random(3, np.float32)


def require_same(architecture: Sequential, x: Array, shards: int, drawn: int = 0) -> None:
    """Compare the results of shards with those of the whole batch."""
    rtol, atol = (1e-9, 1e-12) if x.dtype == np.float64 else (1e-3, 1e-5)
    pairs = zip(passes(architecture, x, shards, drawn), passes(architecture, x, 1, drawn), strict=True)
    for divided, whole in pairs:
        if whole is None:
            assert divided is None
        else:
            np.testing.assert_allclose(divided, whole, rtol=rtol, atol=atol)


@pytest.mark.parametrize("case", DIVISIBLE, ids=lambda case: case.layer.type)
def test_shards_of_a_layer_give_the_numbers_of_the_whole_batch(case: LayerCase) -> None:
    require_same(sequential(case.layer), case.inputs(7, np.random.default_rng(3)), 3)


@pytest.mark.parametrize("case", DIVISIBLE, ids=lambda case: case.layer.type)
def test_divisible_layers_have_no_statistics(case: LayerCase) -> None:
    assert Network(sequential(case.layer), case.input_shape).statistics_size == 0


@pytest.mark.parametrize("rows", [5, 6])
@pytest.mark.parametrize("drawn", [0, 1])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_each_shard_draws_the_random_numbers_of_its_rows(kind: type[np.floating[Any]], drawn: int, rows: int) -> None:
    """Also with odd counts and a half-used word, and the numbers drawn afterwards are the same."""
    net = sequential(
        Dropout(rate=0.5),
        Residual(layer=sequential(Dense(units=3), Dropout(rate=0.5))),
        SpatialDropout(rate=0.4),
        TimeDistributed(layer=Dropout(rate=0.3)),
        MultiHeadAttention(num_heads=1, key_dim=1, dropout=0.5),
        Gru(units=3, return_sequences=True, dropout=0.3),
        Dropout(rate=0.1),
    )
    x = np.random.default_rng(0).standard_normal((rows, 3, 3)).astype(kind)
    require_same(net, x, 2, drawn)
    require_same(net, x, 3, drawn)


def test_most_layers_are_divisible() -> None:
    assert len(WHOLE) < len(DIVISIBLE)


def test_whole_and_divided_layers_alternate() -> None:
    net = sequential(
        Conv2D(filters=3, kernel_size=2), BatchNormalization(), ActivationLayer(activation=Relu()),
        Conv2D(filters=4, kernel_size=2), Dropout(rate=0.3), Flatten(), Dense(units=3),
    )  # fmt: skip
    require_same(net, np.random.default_rng(0).standard_normal((6, 5, 5, 2)), 2)


def test_each_shard_gets_its_rows_of_a_mask() -> None:
    x = np.random.default_rng(0).standard_normal((5, 4, 3))
    x[1, 2:] = x[4, 1:] = 0
    require_same(sequential(Masking(), Dense(units=3), GlobalAveragePooling1D()), x, 2)
    require_same(sequential(Masking(), Dense(units=3)), x, 2)
    require_same(sequential(Masking(), Gru(units=2, return_sequences=True), Dense(units=3)), x, 2)


def count(net: Sequential, shape: tuple[int, ...], rows: int = 64, threads: int = 8) -> int:
    """Return into how many shards such a batch is divided."""
    return shard_count(Network(net, shape), rows, threads)


def test_batch_is_divided_where_that_pays() -> None:
    assert count(CONVOLUTIONS, (16, 16, 1)) == 4
    assert count(CONVOLUTIONS, (16, 16, 1), threads=2) == 2
    assert count(CONVOLUTIONS, (16, 16, 1), rows=8) == 1
    assert count(CONVOLUTIONS, (16, 16, 1), threads=1) == 1
    assert count(sequential(Dense(units=1024), Dense(units=1024)), (1024,)) == 1
    assert count(sequential(Gru(units=128)), (50, 64), threads=2) == 2


def test_shard_bytes_counts_buffers_gradients_and_scratch() -> None:
    network = Network(CONVOLUTIONS, (16, 16, 1))
    assert shard_bytes(network, 64, 1) == 0
    joined = 64 * 2 * 2  # the output and its gradient
    buffers = 32 * (16 * 16 + 2)  # at both ends
    scratch = sum(plan.scratch for plan in network.plan.walk())
    assert shard_bytes(network, 64, 2) == 4 * (joined + buffers + network.parameters + scratch)


def images(rows: int = 160) -> Rows:
    """Return bright and dark images with noise."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, rows)
    return Rows((rng.standard_normal((rows, 16, 16, 1)) + 0.2 * y[:, None, None, None]).astype(np.float32), y)


def a_training(threads: int, **more: Any) -> ATraining:
    """Return a training of three steps an epoch, of which the last has fewer rows."""
    return ATraining(
        images(), CONVOLUTIONS, training=Training(epochs=2, batch_size=64, metrics=()), threads=threads, **more
    )


def test_two_threads_train_to_the_weights_of_one() -> None:
    alone, shared = a_training(1), a_training(2)
    assert losses(shared.run()) == pytest.approx(losses(alone.run()), rel=1e-4)
    np.testing.assert_allclose(shared.weights, alone.weights, rtol=1e-2, atol=1e-4)


SEQUENCES = sequential(
    Masking(),
    MultiHeadAttention(num_heads=2, key_dim=4, dropout=0.2, causal=True),
    Lstm(units=6, return_sequences=True, dropout=0.2, recurrent_dropout=0.2),
    Gru(units=6, recurrent_dropout=0.3),
    Dense(units=2),
)
WHOLE_BETWEEN = sequential(
    Conv2D(filters=4, kernel_size=3, activation=Relu(), trainable=False),
    BatchNormalization(),
    Conv2D(filters=4, kernel_size=3, activation=Relu()),
    Flatten(),
    Dropout(rate=0.3),
    Dense(units=2),
)


def sequences(rows: int = 46) -> Rows:
    """Return sequences of 1 to 12 steps, padded with zeros, with sample weights."""
    rng = np.random.default_rng(0)
    x, lengths = rng.standard_normal((rows, 12, 5)).astype(np.float32), rng.integers(1, 13, rows)
    for row, length in zip(x, lengths, strict=True):
        row[length:] = 0
    y = (x[:, 0].sum(-1) > 0).astype(np.int64)
    return Rows(x, y, lengths=lengths, sample_weight=rng.random(rows).astype(np.float32))


@pytest.mark.parametrize(
    ("data", "net", "optimizer", "more"),
    [
        (sequences(), SEQUENCES, Adam(), {"bucket_by_length": True}),
        (images(46), WHOLE_BETWEEN, Adam(), {"mixup": Mixup()}),
        (images(46), WHOLE_BETWEEN, SharpnessAware(optimizer=GradientDescent()), {}),
    ],
    ids=["masks, buckets, weights", "frozen and whole layers, mixup", "two passes a step"],
)
def test_processes_train_to_the_weights_of_one(
    monkeypatch: pytest.MonkeyPatch, data: Rows, net: Sequential, optimizer: Optimizer, more: dict[str, Any]
) -> None:
    monkeypatch.setattr(accelerators, "shard_count", lambda _, rows, threads: min(rows, threads))
    training = Training(epochs=3, batch_size=16, metrics=(), **more)
    alone, *others = (ATraining(data, net, optimizer=optimizer, training=training, threads=n) for n in (1, 2, 3))
    wanted = losses(alone.run())
    for shared in others:
        assert losses(shared.run()) == pytest.approx(wanted, rel=1e-3)
        np.testing.assert_allclose(shared.weights, alone.weights, rtol=1e-2, atol=1e-3)


def test_changing_vectors_of_a_state_are_in_shared_memory() -> None:
    training = a_training(2)
    training.run(1)
    assert training.state is not None
    vectors = [training.state.weights, training.state.best_weights, *training.state.slots.values()]
    assert all(isinstance(vector.base, mmap) for vector in vectors)


def test_same_number_of_threads_gives_the_same_numbers() -> None:
    whole, halves = a_training(2), a_training(2)
    whole.run()
    halves.run(2)
    a_training(2, state=halves.state).run()
    np.testing.assert_array_equal(halves.weights, whole.weights)


def test_sharded_step_takes_the_planned_memory_and_releases_it() -> None:
    training = ATraining(images(640), CONVOLUTIONS, training=Training(batch_size=64, metrics=()), threads=2)
    plans = list(training.network.plan.walk())
    own = 4 * sum(32 * plan.activation_size + plan.scratch for plan in plans)
    batch = 64 * (training.data.x[0].nbytes + 8)
    peak, remaining = training.step_bytes()
    assert peak < own + batch + shard_bytes(training.network, 64, 2)
    assert remaining < 16 * 1024


def test_error_in_a_shard_is_an_error_of_the_step() -> None:
    net = sequential(ActivationLayer(activation=Exponential()))
    x = np.zeros((4, 3), np.float32)
    x[-1] = 1000
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        passes(net, x, 2)
    with np.errstate(over="ignore"):
        assert np.isinf(passes(net, x, 2)[0][-1]).all()


@pytest.mark.parametrize(("module", "name"), [(os, "fork"), (core.nn.arrays, "mmap")])
def test_no_memory_for_a_process_is_a_memory_error(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    training = a_training(2)
    monkeypatch.setattr(module, name, full)
    with pytest.raises(MemoryError):
        training.run(1)


def test_processes_end_with_the_training() -> None:
    before = child_pids(os.getpid())
    items = a_training(2).items()
    next(items)
    (pid,) = set(child_pids(os.getpid())) - set(before)
    del items
    assert pid not in child_pids(os.getpid())
