"""Estimated operations of a step agree with those counted, for every layer and for complete networks."""

from typing import Any

import numpy as np
import pytest

from benchmarks import counting
from benchmarks.counting import SAMPLE_ROWS, Cost, CountingContext, FlopCounter, count, estimate
from core.nn.activations import Relu
from core.nn.arrays import Array
from core.nn.execution.traced_arrays import TracedArray, trace
from core.nn.layers.composite import Sequential
from core.nn.layers.convolution import Conv2D
from core.nn.layers.dense import Dense
from core.nn.layers.pooling import MaxPooling2D
from core.nn.layers.recurrent import Lstm
from core.nn.layers.reshaping import Flatten
from core.nn.network import Network
from core.nn.step.context import PassContext
from tests.core.nn.cases import LAYERS, LayerCase, sequential

RELATIVE_TOLERANCE = 0.05
ROWS = 70

LENET = sequential(
    Conv2D(filters=6, kernel_size=5, padding="same", activation=Relu()),
    MaxPooling2D(),
    Conv2D(filters=16, kernel_size=5, activation=Relu()),
    MaxPooling2D(),
    Flatten(),
    Dense(units=120, activation=Relu()),
    Dense(units=84, activation=Relu()),
    Dense(units=10),
)
NETS: list[tuple[Sequential, tuple[int, ...]]] = [
    (sequential(Dense(units=64, activation=Relu()), Dense(units=64, activation=Relu()), Dense(units=2)), (20,)),
    (sequential(Dense(units=256, activation=Relu()), Dense(units=128, activation=Relu()), Dense(units=10)), (784,)),
    (LENET, (28, 28, 1)),
    (sequential(Lstm(units=32)), (20, 16)),
]


def require_close(estimated: Cost, counted: Cost) -> None:
    for name in ("parameters", "forward_flops", "backward_flops", "flops"):
        assert getattr(estimated, name) == pytest.approx(getattr(counted, name), rel=RELATIVE_TOLERANCE), name


def test_cost_of_a_dense_network_follows_its_formulas() -> None:
    rows, inputs, hidden, outputs = 5, 7, 4, 3
    found = count(Network(sequential(Dense(units=hidden), Dense(units=outputs)), (inputs,)), rows)
    products = [2 * rows * inputs * hidden, 2 * rows * hidden * outputs]
    biases = rows * (hidden + outputs)
    assert found.parameters == inputs * hidden + hidden + hidden * outputs + outputs
    assert found.forward_flops == sum(products) + biases
    summed = 2 * biases  # as a product with ones
    assert found.backward_flops == products[0] + 2 * products[1] + summed, "the first layer's input has no gradient"
    assert found.flops == found.forward_flops + found.backward_flops


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.layer.type)
def test_estimate_of_a_layer_agrees_with_the_count(case: LayerCase, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(sequential(case.layer), case.input_shape)
    expected = count(network, ROWS)
    assert estimate(network, ROWS) == expected
    monkeypatch.setattr(counting, "MAX_COUNTED_FLOPS", 0)
    require_close(estimate(network, ROWS), expected)


@pytest.mark.parametrize(("net", "shape"), NETS, ids=["small", "wide", "lenet", "lstm"])
@pytest.mark.parametrize("rows", [1, SAMPLE_ROWS, SAMPLE_ROWS + 1, 100])
def test_estimate_of_a_network_agrees_with_the_count(
    net: Sequential, shape: tuple[int, ...], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network(net, shape)
    monkeypatch.setattr(counting, "MAX_COUNTED_FLOPS", 0)
    require_close(estimate(network, rows), count(network, rows))


def a_step(network: Network, ctx: PassContext, x: Array) -> tuple[Array, Array]:
    """Return the outputs of a step and the gradient of the weights."""
    rng = np.random.default_rng(0)
    weights, statistics = network.initialize(rng)
    gradient = np.zeros_like(weights)
    views = network.views(weights, statistics, gradient)
    outputs, backward = network.forward(x, views, ctx)
    copy = np.array(outputs)
    backward(outputs)
    return copy, gradient


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.layer.type)
def test_counting_changes_no_numbers(case: LayerCase) -> None:
    network = Network(sequential(case.layer), case.input_shape)
    x = case.inputs(4, np.random.default_rng(1)).astype(np.float32)
    counter, (rng, same) = FlopCounter(), (np.random.default_rng(2) for _ in range(2))
    expected = a_step(network, PassContext(training=True, rng=rng, shapes=network.shapes), x)
    found = a_step(network, CountingContext(counter, rng=same, shapes=network.shapes), trace(x, counter))
    assert all(one.tobytes() == other.tobytes() for one, other in zip(expected, found, strict=True))


def counted(operation: Any) -> int:
    """Return the counted operations of a function of two arrays, 3 × 4 and 4 × 5."""
    counter = FlopCounter()
    a, b = (trace(np.ones(shape, np.float32), counter) for shape in [(3, 4), (4, 5)])
    assert isinstance(a[:2].T, TracedArray)
    operation(a, b)
    return counter.flops


OPERATIONS: list[tuple[Any, int]] = [
    (lambda a, _: a + 1, 12),
    (lambda a, _: np.exp(a, out=a), 12),
    (lambda a, _: np.add.reduce(a, axis=0), 12),
    (lambda a, _: a.sum() + a.max(), 12 + 12 + 1),
    (lambda a, _: np.modf(a), 24),
    (lambda a, b: a @ b, 2 * 3 * 4 * 5),
    (np.dot, 2 * 3 * 4 * 5),
    (lambda _, b: np.dot(np.ones((3, 4)), b), 2 * 3 * 4 * 5),
    (lambda a, _: np.vdot(a, a), 2 * 12),
    (lambda a, _: np.add.at(a, ([0, 0],), np.ones((2, 4), np.float32)), 8),
    (lambda a, _: a > 0, 0),
    (lambda a, _: np.copyto(a, 0), 0),
    (lambda a, _: np.take(a, [0, 1], axis=0), 0),
    (lambda a, _: np.concatenate([a, a]) + 1, 24),
]


@pytest.mark.parametrize(("operation", "flops"), OPERATIONS, ids=range(len(OPERATIONS)))
def test_operation_is_counted(operation: Any, flops: int) -> None:
    assert counted(operation) == flops
