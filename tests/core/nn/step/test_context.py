"""Buffers share memory where nobody can tell, and only there."""

import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from pydantic import TypeAdapter

from core.nn.arrays import Array
from core.nn.layers.composite import Repeat, Residual, Sequential
from core.nn.layers.dense import Dense
from core.nn.network import Network
from core.nn.optimizers.wrappers import Optimizer
from core.nn.step import context
from core.nn.step.context import Arena, PassContext
from core.nn.training.options import Training
from tests.core.nn.cases import LAYERS, OPTIMIZERS, LayerCase, sequential
from tests.core.nn.test_nets import MIXER, RESNET, UNET
from tests.core.nn.trainings import ATraining, classes

LARGE = (context.SMALL,)
"""The shape of a float32 buffer that is worth a search."""


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small buffers share memory, too."""
    monkeypatch.setattr(context, "SMALL", 0)


class Apart(Arena):
    """Every buffer has memory of its own."""

    def _is_free(self, place: int) -> bool:
        return False


def test_what_nobody_refers_to_is_handed_out_again() -> None:
    buffers = Arena()
    first = buffers.empty(LARGE)
    view = first.reshape(-1, 2)[3:]
    del first
    second = buffers.empty(LARGE)
    assert not np.shares_memory(view, second)
    del view
    assert not np.shares_memory(second, buffers.empty(LARGE))
    del second
    buffers.empty(LARGE)
    assert buffers.nbytes == 2 * 4 * context.SMALL


def test_much_memory_is_not_kept_busy_by_a_little() -> None:
    buffers = Arena()
    buffers.empty((10 * context.SMALL,))
    buffers.empty(LARGE)
    assert buffers.nbytes == 11 * 4 * context.SMALL


def test_the_same_buffers_come_again_at_every_step() -> None:
    buffers = Arena()
    shapes = [LARGE, (3,), (2, *LARGE), LARGE]

    def step() -> list[int]:
        buffers.rewind()
        return [buffers.empty(shape).ctypes.data for shape in shapes]

    step()
    after_one = buffers.nbytes
    assert step() == step()
    buffers.rewind()
    assert [buffers.empty(shape).shape for shape in shapes] == shapes
    assert buffers.nbytes == after_one


def steps(network: Network, own: Arena, batches: list[Array]) -> Iterator[bytes]:
    """Outputs and gradients of steps on some batches, over one arena."""
    weights, statistics = network.initialize(np.random.default_rng(0))
    gradient = np.zeros_like(weights)
    views = network.views(weights, statistics, gradient, input_gradient=True)
    run = PassContext(own, training=True, rng=np.random.default_rng(1), shapes=network.shapes)
    for x in batches:
        own.rewind()
        outputs, backward = network.forward(x, views, run)
        yield outputs.tobytes()
        yield backward(np.cos(outputs)).tobytes()
        yield gradient.tobytes()


def require_same(network: Network, batches: list[Array]) -> None:
    """Hold steps over shared memory against steps over memory apart, to the last bit."""
    assert list(steps(network, Arena(), batches)) == list(steps(network, Apart(), batches))


GO_BACK_BY_THEIR_INPUT = {
    *("conv1d", "conv2d", "dense", "depthwise_conv2d", "glu", "multi_head_attention", "swiglu"),
    *("max_pooling1d", "max_pooling2d", "global_max_pooling1d", "global_max_pooling2d"),
    *("mixture", "parallel", "repeat", "residual", "sequential", "time_distributed"),  # by that of their parts
}


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.layer.type)
def test_a_layer_keeps_its_input_only_if_it_goes_back_by_it(case: LayerCase) -> None:
    """Not for its shape: the memory is others' then."""
    network = Network(sequential(case.layer), case.input_shape)
    weights, statistics = network.initialize(np.random.default_rng(0))
    views = network.views(weights, statistics, np.zeros_like(weights), input_gradient=True)
    x = case.inputs(3, np.random.default_rng(1)).astype(np.float32)
    kept = weakref.ref(x)
    run = PassContext(Arena(), training=True, rng=np.random.default_rng(2), shapes=network.shapes)
    y, backward = case.layer.forward(x[:], views.parts[0], run)
    del x, y
    assert kept() is None or case.layer.type in GO_BACK_BY_THEIR_INPUT
    del backward


def test_the_gradient_of_an_input_takes_its_place() -> None:
    network = Network(sequential(Dense(units=64), Dense(units=64), Dense(units=64)), (64,))
    weights, statistics = network.initialize(np.random.default_rng(0))
    own = Arena()
    x = np.ones((context.SMALL, 64), np.float32)
    views = network.views(weights, statistics, np.zeros_like(weights))
    outputs, backward = network.forward(x, views, PassContext(own, training=True))
    before = own.nbytes
    backward(outputs)
    assert own.nbytes == before


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.layer.type)
def test_shared_memory_changes_no_number(case: LayerCase) -> None:
    rng = np.random.default_rng(2)
    net = Repeat(layer=Residual(layer=case.layer), n=2) if case.input_shape == case.output_shape else case.layer
    network = Network(sequential(case.layer if case.classes else net), case.input_shape)
    require_same(network, [case.inputs(3, rng).astype(np.float32) for _ in range(4)])


@pytest.mark.parametrize(
    ("spec", "shape"), [(RESNET, (12, 12, 1)), (UNET, (16, 16, 1)), (MIXER, (8, 8, 1))], ids=["resnet", "unet", "mixer"]
)
def test_shared_memory_changes_no_number_of_a_net_of_nets(spec: str, shape: tuple[int, ...]) -> None:
    network = Network(TypeAdapter(Sequential).validate_json(spec), shape)
    rng = np.random.default_rng(3)
    batches = [rng.standard_normal((40, *shape)).astype(np.float32) for _ in range(3)]
    require_same(network, batches)
    own, apart = Arena(), Apart()
    list(steps(network, own, batches)), list(steps(network, apart, batches))
    assert own.nbytes < 0.7 * apart.nbytes


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.type)
def test_shared_memory_changes_no_training(optimizer: Optimizer, monkeypatch: pytest.MonkeyPatch) -> None:
    net = sequential(Dense(units=30), Dense(units=20), Dense(units=2))
    shared = ATraining(classes(24), net, optimizer=optimizer, training=Training(epochs=13, batch_size=24))
    shared.run()
    monkeypatch.setattr(Arena, "_is_free", Apart._is_free)
    apart = ATraining(classes(24), net, optimizer=optimizer, training=Training(epochs=13, batch_size=24))
    apart.run()
    assert shared.weights.tobytes() == apart.weights.tobytes()


def test_a_prediction_keeps_nothing_for_a_backward_pass() -> None:
    network = Network(sequential(*(Dense(units=400) for _ in range(8))), (400,))
    weights, statistics = network.initialize(np.random.default_rng(0))
    x = np.ones((50, 400), np.float32)
    own = Arena()
    network.forward(x, network.views(weights, statistics), PassContext(own, training=False))
    assert own.nbytes <= 2 * x.nbytes
