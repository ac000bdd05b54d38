"""A replayed pass gives the numbers of the pass itself; passes that cannot be replayed are not."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from pydantic import TypeAdapter

from core.nn.activations import Activation, Relu
from core.nn.arrays import Array
from core.nn.execution import replay
from core.nn.execution.accelerators import MAX_REPLAYED_NUMBERS, ReplayedRows
from core.nn.execution.replay import Recorder, Recording, Replayer
from core.nn.execution.traced_arrays import TracedArray, trace
from core.nn.layers.activation import ActivationLayer
from core.nn.layers.composite import Residual, Sequential
from core.nn.layers.dense import Dense
from core.nn.layers.dropout import Dropout
from core.nn.layers.embedding import Embedding, NoSuchEmbedding
from core.nn.layers.global_pooling import GlobalAveragePooling1D
from core.nn.layers.masking import Masking
from core.nn.layers.recurrent import Gru, Lstm
from core.nn.losses.binary import BinaryCrossEntropy
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.regression import Huber, MeanAbsoluteError, MeanSquaredError
from core.nn.network import Network
from core.nn.optimizers.wrappers import Optimizer
from core.nn.plan import Views
from core.nn.predictor import Predictor
from core.nn.step.context import PassContext
from core.nn.training.options import Training
from tests.core.nn.cases import ACTIVATIONS, LAYERS, LOSSES, OPTIMIZERS, LayerCase, LossCase, random_targets, sequential
from tests.core.nn.test_nets import MIXER, RESNET, UNET, WAVENET
from tests.core.nn.test_network import architectures
from tests.core.nn.trainings import ATraining, classes

NET = sequential(Dense(units=5, activation=Relu()), Dense(units=2))


NO_VIEWS = Views({}, {}, {}, (), learns=False, input_gradient=False, trainable=False)


class PlainPasses(Replayer):
    """Passes that are never replayed."""

    def __call__(self, ctx: PassContext, *inputs: Array) -> Any:
        """Run the passes."""
        return self._passes(*inputs, self._views, ctx)


def rows(count: int, seed: int = 0) -> Array:
    """Return rows of three numbers."""
    return np.random.default_rng(seed).standard_normal((count, 3), np.float32)


@dataclass
class Passes:
    """Both passes through a network, whose loss is the sum of the outputs' sines."""

    network: Network
    replayed: bool
    """Whether they are recorded and replayed."""

    def steps(self, batches: list[Array]) -> Iterator[list[bytes]]:
        """Yield all results of steps on some batches, with other weights at each."""
        weights, statistics = self.network.initialize(np.random.default_rng(0))
        gradient = np.zeros_like(weights)
        views = self.network.views(weights, statistics, gradient, input_gradient=True)
        rng = np.random.default_rng(1)
        self.replayer = (Replayer if self.replayed else PlainPasses)(self.through, views)
        for x in batches:
            run = PassContext(training=True, rng=rng, shapes=self.network.shapes)
            read = [*self.replayer(run, x), gradient, statistics, run.mask, run.weights]
            assert not any(isinstance(array, TracedArray) for array in read)
            yield [np.array(array).tobytes() for array in read]
            weights += np.float32(0.01) * np.sin(np.arange(len(weights), dtype=np.float32))

    def through(self, x: Array, views: Views, run: PassContext) -> tuple[Array, Array]:
        """The outputs, and the gradient with regard to the input."""
        outputs, backward = self.network.forward(x, views, run)
        return outputs, backward(np.cos(outputs, out=run.empty(outputs.shape)))


def is_replayed(network: Network, batches: list[Array]) -> bool:
    """Return whether the network is replayed, after comparing the results."""
    recorded = Passes(network, replayed=True)
    assert list(recorded.steps(batches)) == list(Passes(network, replayed=False).steps(batches))
    return ready(recorded.replayer)


def ready(repeated: Replayer) -> bool:
    """Return whether the recording can be replayed."""
    [recorded] = repeated.recordings.values()
    return recorded.ready


def draws(network: Network, x: Array) -> bool:
    """Return whether a pass draws random numbers."""
    rng = np.random.default_rng(1)
    before = rng.bit_generator.state
    weights, statistics = network.initialize(np.random.default_rng(0))
    network.forward(x, network.views(weights, statistics), PassContext(training=True, rng=rng))
    return rng.bit_generator.state != before


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.layer.type)
def test_a_layer_is_replayed_unless_it_draws_or_checks_numbers(case: LayerCase) -> None:
    rng = np.random.default_rng(2)
    batches = [case.inputs(3, rng).astype(np.float32) for _ in range(5)]
    net = sequential(Residual(layer=case.layer)) if case.input_shape == case.output_shape else sequential(case.layer)
    network = Network(net, case.input_shape)
    has_embedding = case.classes > 0
    assert is_replayed(network, batches) == (not draws(network, batches[0]) and not has_embedding)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda activation: activation.type)
def test_an_activation_is_replayed(activation: Activation) -> None:
    rng = np.random.default_rng(3)
    batches = [3 * rng.standard_normal((3, 6), np.float32) for _ in range(5)]
    net = sequential(Dense(units=4), ActivationLayer(activation=activation))
    assert is_replayed(Network(net, (6,)), batches)


@pytest.mark.parametrize(
    ("spec", "shape"),
    [(RESNET, (12, 12, 1)), (UNET, (16, 16, 1)), (MIXER, (8, 8, 1)), (WAVENET, (64,))],
    ids=["resnet", "unet", "mixer", "wavenet"],
)
def test_a_network_of_composites_is_replayed(spec: str, shape: tuple[int, ...]) -> None:
    network = Network(TypeAdapter(Sequential).validate_json(spec), shape)
    rng = np.random.default_rng(4)
    assert is_replayed(network, [rng.standard_normal((20, *shape), np.float32) for _ in range(4)])


@settings(deadline=None, max_examples=60)
@given(architecture=architectures())
def test_any_network_gives_the_same_numbers_replayed(architecture: Sequential) -> None:
    rng = np.random.default_rng(5)
    is_replayed(Network(architecture, (2, 3)), [rng.standard_normal((3, 2, 3), np.float32) for _ in range(4)])


@pytest.mark.parametrize("layer", [Lstm(units=3, return_sequences=True), Gru(units=3), GlobalAveragePooling1D()])
def test_a_mask_is_replayed_from_the_numbers_of_each_batch(layer: Any) -> None:
    rng = np.random.default_rng(6)
    batches = [
        rng.standard_normal((4, 5, 2), np.float32) * (np.arange(5) < rng.integers(1, 6, (4, 1)))[..., None]
        for _ in range(5)
    ]
    network = Network(sequential(Masking(), layer), (5, 2))
    assert is_replayed(network, [batch.astype(np.float32) for batch in batches])


@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.loss.type)
def test_a_loss_gives_the_same_numbers_replayed(case: LossCase) -> None:
    rng = np.random.default_rng(8)
    shape, rows = case.output_shape, 6
    batches = [
        (
            rng.standard_normal((rows, *shape), np.float32),
            case.loss.encode(random_targets(case.targets, rows, shape, rng), shape),
        )
        for _ in range(5)
    ]

    def compare(outputs: Array, targets: Any, views: Views, run: PassContext) -> tuple[Any, Array]:
        value, backward = case.loss.forward(outputs, targets, run)
        return value, backward()

    def losses(repeated: Replayer) -> Iterator[tuple[float, bytes]]:
        run = PassContext(training=True)
        for outputs, targets in batches:
            value, slope = repeated(run, outputs, targets)
            yield float(value), slope.tobytes()

    replayer = Replayer(compare, NO_VIEWS)
    assert list(losses(replayer)) == list(losses(PlainPasses(compare, NO_VIEWS)))
    if case.loss in {MeanSquaredError(), MeanAbsoluteError(), Huber(), BinaryCrossEntropy(), CrossEntropy()}:
        assert ready(replayer)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.type)
def test_a_replayed_training_gives_the_same_weights(
    optimizer: Optimizer, *, shuffle: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With batches of two sizes; the data are not changed."""
    data = classes(20)
    before = data.x.tobytes()
    replay_once, replays = Recording.replay, itertools.count()
    monkeypatch.setattr(Recording, "replay", lambda *given: (next(replays), replay_once(*given))[1])
    training = Training(epochs=5, batch_size=8, shuffle=shuffle)
    net = sequential(Dense(units=6, activation=Relu()), Dense(units=2))
    played = ATraining(data, net, optimizer=optimizer, training=training)
    played.run()
    assert data.x.tobytes() == before
    assert next(replays) == 11  # of 15 steps, all but the first two of each size of batch
    monkeypatch.setattr(Replayer, "__call__", PlainPasses.__call__)
    made = ATraining(data, net, optimizer=optimizer, training=training)
    made.run()
    assert played.weights.tobytes() == made.weights.tobytes()


def test_a_batch_with_sample_weights_is_not_replayed() -> None:
    rng = np.random.default_rng(9)
    network = Network(NET, (3,))
    weights, statistics = network.initialize(rng)
    views = network.views(weights, statistics, np.zeros_like(weights))
    run = PassContext(training=True)
    run.sample_weight = np.ones(4, np.float32)
    repeated = Replayer(Passes(network, replayed=True).through, views)
    for _ in range(2):
        repeated(run, rows(4))
    assert not ready(repeated)


def test_a_large_batch_is_not_replayed() -> None:
    network = Network(sequential(Dense(units=1)), (3,))
    weights, statistics = network.initialize(np.random.default_rng(0))
    views = network.views(weights, statistics, np.zeros_like(weights))
    count = 1 + replay.MAX_COPIED_BYTES // 12

    repeated = Replayer(Passes(network, replayed=True).through, views)
    for _ in range(3):
        repeated(PassContext(training=True), rows(count))
    assert not ready(repeated)


def test_a_pass_of_too_many_calls_is_not_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(10)
    network = Network(sequential(Gru(units=2)), (9, 2))
    batches = [rng.standard_normal((3, 9, 2), np.float32) for _ in range(3)]
    assert is_replayed(network, batches)
    monkeypatch.setattr(replay, "MAX_CALLS", 100)
    assert not is_replayed(network, batches)


def test_an_error_while_recording_leaves_no_recording() -> None:
    network = Network(NET, (3,))
    weights, statistics = network.initialize(np.random.default_rng(0))
    fails = iter([False, True, False, False, False])

    def outputs(x: Array, views: Views, run: PassContext) -> Array:
        y, _ = network.forward(x, views, run)
        if next(fails, False):
            raise KeyboardInterrupt
        return y

    repeated = Replayer(outputs, network.views(weights, statistics))
    run = PassContext(training=False)
    repeated(run, rows(4))
    with pytest.raises(KeyboardInterrupt):
        repeated(run, rows(4))
    for seed in range(4):
        np.testing.assert_array_equal(
            repeated(run, rows(4, seed)), Predictor(network, weights, statistics).outputs(rows(4, seed))
        )
    assert ready(repeated)


BREAKS: list[Callable[[Any], Any]] = [
    lambda a: float(a.reshape(())),
    bool,
    lambda a: a.sum(),
    lambda a: a.copy(),
    lambda a: float(np.add.reduce(a)),
    lambda a: int(a[0]),
    lambda a: np.vdot(a, a),
    np.argsort,
    lambda a: np.put(a, [0], 1),
    lambda a: np.add.at(a, [0], 1),
    lambda a: np.add(a, 1, out=np.zeros(1)),
    np.modf,
    lambda a: a[[0, 0, 0, 0]].reshape(2, 2).T.reshape(4),
]


@pytest.mark.parametrize("do", BREAKS)
def test_an_operation_outside_the_trace_breaks_it(do: Callable[[Any], Any]) -> None:
    recorder = Recorder()
    do(trace(np.ones(1), recorder))
    assert not recorder.complete


TRACEABLE: list[Callable[[Any, Any], Any]] = [
    lambda a, out: np.multiply(a, a + 1, out=out),
    lambda a, out: np.multiply(a > 0, 0.5, out=out),
    lambda a, out: np.dot(a, a, out=out),
    lambda a, out: np.copyto(out[:1], a[1:, ::-1]),
    lambda a, out: out.__setitem__((0, slice(1, 2)), a[1, :1]),
    lambda _, out: out.fill(3),
    lambda a, out: out.__iadd__(a.T),
    lambda a, out: np.concatenate([a[1:], a[:1]], out=out),
    lambda a, out: np.add.reduce(a, axis=0, keepdims=True, out=out[:1]),
    lambda a, out: [np.negative(one, out=out[k]) for k, [one] in enumerate(np.split(a, 2))],
    lambda a, out: np.add(a[[1, 0]], a[0, 1], out=out),
    lambda a, out: out.__setitem__(([0, 1], [1, 0]), a[:, 0]),
    lambda a, out: np.copyto(out, np.dot(a[0], a[1]) / 2 + np.add.reduce(a, axis=None)),
    lambda a, out: np.copyto(np.swapaxes(out, 0, 1).reshape(2, 1, 2)[:, 0], np.exp(a)),
]


@pytest.mark.parametrize("do", TRACEABLE)
def test_a_recorded_operation_is_repeated(do: Callable[[Any, Any], Any]) -> None:
    rng = np.random.default_rng(7)
    recorder, a, out = Recorder(), rng.standard_normal((2, 2)), np.zeros((2, 2))
    do(trace(a, recorder), trace(out, recorder))
    assert recorder.complete
    a[...] = rng.standard_normal((2, 2))
    expected = out.copy()
    do(a, expected)
    for call in recorder.calls:
        call()
    assert out.tobytes() == expected.tobytes()


def test_random_numbers_are_drawn_at_each_pass() -> None:
    passes = Passes(Network(sequential(Dropout(rate=0.5)), (100,)), replayed=True)
    assert len({outputs for outputs, *_ in passes.steps([np.ones((1, 100), np.float32)] * 5)}) == 5


def a_predictor(net: Sequential = NET) -> tuple[Predictor, Array]:
    """Return a predictor for rows of three numbers, and its weights."""
    network = Network(net, (3,))
    weights, statistics = network.initialize(np.random.default_rng(0))
    return Predictor(network, weights, statistics), weights


def test_a_single_row_has_the_outputs_it_has_among_others() -> None:
    predictor, _ = a_predictor()
    x = rows(9)
    alone = [predictor.outputs(x[k : k + 1]) for k in range(9)]
    assert isinstance(predictor._row_predictor, ReplayedRows)
    assert predictor._row_predictor._idle
    np.testing.assert_allclose(np.concatenate(alone), predictor.outputs(x), rtol=1e-6)


def test_outputs_are_not_overwritten_by_the_next_prediction() -> None:
    predictor, _ = a_predictor()
    first = predictor.outputs(rows(1))
    kept = first.copy()
    predictor.outputs(rows(1, seed=1))
    np.testing.assert_array_equal(first, kept)


def test_a_replayed_row_uses_the_current_weights() -> None:
    predictor, weights = a_predictor()
    predictor.outputs(rows(1)), predictor.outputs(rows(1))
    weights *= 2
    other, twice = a_predictor()
    twice *= 2
    np.testing.assert_array_equal(predictor.outputs(rows(1)), other.outputs(rows(1)))


def test_the_link_receives_the_outputs_of_a_row() -> None:
    predictor, _ = a_predictor()
    for _ in range(3):
        answer = predictor.predict(rows(1), BinaryCrossEntropy().link)
        np.testing.assert_allclose(answer, 1 / (1 + np.exp(-predictor.outputs(rows(1)))), rtol=1e-6)


def test_a_row_of_another_dtype_keeps_it() -> None:
    predictor, _ = a_predictor()
    predictor.outputs(rows(1))
    assert predictor.outputs(rows(1).astype(np.float64)).dtype == np.float64


def test_forty_threads_predict_single_rows_at_once() -> None:
    predictor, _ = a_predictor()
    x = rows(400)
    expected = [predictor.outputs(x[k : k + 1]).tobytes() for k in range(400)]
    with ThreadPoolExecutor(40) as threads:
        found = list(threads.map(lambda k: predictor.outputs(x[k : k + 1]).tobytes(), list(range(400)) * 5))
    assert found == expected * 5


def test_an_embedding_keeps_refusing_unknown_indices() -> None:
    network = Network(sequential(Embedding(input_dim=3, output_dim=2)), (1,))
    predictor = Predictor(network, *network.initialize(np.random.default_rng(0)))
    for _ in range(3):
        predictor.outputs(np.ones((1, 1), np.float32))
        with pytest.raises(NoSuchEmbedding):
            predictor.outputs(np.full((1, 1), 3, np.float32))


def test_a_large_row_is_not_replayed() -> None:
    predictor, _ = a_predictor(sequential(Dense(units=MAX_REPLAYED_NUMBERS)))
    assert predictor._row_predictor is None
