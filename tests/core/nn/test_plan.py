"""Plans: what is planned can run, and planning takes little time and memory."""

import contextlib
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from core.nn.arrays import MAX_AXIS_LENGTH
from core.nn.layers.attention import MultiHeadAttention
from core.nn.layers.composite import Layer, Parallel, Repeat, Sequential
from core.nn.layers.convolution import Conv1D, Conv2D
from core.nn.layers.dense import Dense
from core.nn.layers.embedding import NoSuchEmbedding
from core.nn.layers.nesting import MAX_LAYERS
from core.nn.layers.positional import PositionEmbedding
from core.nn.layers.recurrent import Lstm
from core.nn.layers.reshaping import Flatten, RepeatVector, Reshape
from core.nn.layers.resizing import UpSampling1D
from core.nn.network import Network
from core.nn.plan import ShapeMismatch
from core.nn.step.context import PassContext
from tests.core.nn.random_specs import specs

SHAPES = st.lists(st.integers(1, 6), max_size=4).map(tuple)
ALLOWED_SLOWNESS = [HealthCheck.too_slow, HealthCheck.data_too_large]
MAX_PLAN_BYTES = 256 * 1024
MAX_PLAN_CALLS = 50 * MAX_LAYERS


def planned(layer: Any, shape: Any) -> Network | None:
    """Return the network of one layer; None if it is refused."""
    try:
        return Network(Sequential(layers=(layer,)), shape)
    except ShapeMismatch:
        return None


@settings(max_examples=300, deadline=None, suppress_health_check=ALLOWED_SLOWNESS)
@given(layer=specs(Layer), shape=SHAPES, rows=st.integers(1, 3))
def test_planned_layer_makes_a_step_with_the_planned_shapes(layer: Any, shape: tuple[int, ...], rows: int) -> None:
    network = planned(layer, shape)
    event("refused" if network is None else "planned")
    if network is None:
        return
    try:
        shapes = make_step(network, rows)
    except NoSuchEmbedding:  # a layer before the embedding changed the word numbers
        return
    assert shapes == ((rows, *network.output_shape), (rows, *network.input_shape))


def make_step(network: Network, rows: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Do all that training does with a layer; return the shapes of the outputs and of the input's gradient."""
    rng = np.random.default_rng(0)
    weights, statistics = network.initialize(rng)
    gradient = np.zeros_like(weights)
    views = network.views(weights, statistics, gradient, input_gradient=True)
    ctx = PassContext(training=True, rng=rng, shapes=network.shapes)
    x = np.zeros((rows, *network.input_shape), np.float32)  # valid for all layers, also as words of an embedding
    with np.errstate(all="ignore"):
        outputs, backward = network.forward(x, views, ctx)
        assert outputs.size
        d_x = backward(outputs.copy())
        network.add_penalty_gradient(weights, gradient)
        for constraint, constrained in network.constrained(weights):
            constraint.apply(constrained)
    return outputs.shape, d_x.shape


def test_refusal_has_the_path_of_the_layer_that_does_not_fit() -> None:
    inner = Parallel(branches=(Flatten(), Sequential(layers=(Flatten(), Conv2D(filters=1, kernel_size=1)))))
    with pytest.raises(ShapeMismatch, match="conv2d") as refused:
        Network(Sequential(layers=(inner,)), (2, 2))
    assert refused.value.path == ("layers", 0, "branches", 1, "layers", 1)


HUGE: list[tuple[Layer, ...]] = [
    (Dense(units=MAX_AXIS_LENGTH), Dense(units=MAX_AXIS_LENGTH)),
    (RepeatVector(n=MAX_AXIS_LENGTH), Flatten()) * 500,
    (RepeatVector(n=MAX_AXIS_LENGTH), Flatten(), Reshape(target_shape=(7, -1))),
    (Repeat(layer=Repeat(layer=Dense(units=3), n=1000), n=1000),),
    (Repeat(layer=Repeat(layer=Dense(units=3), n=1000, shared=True), n=1000, shared=True),),
    (Repeat(layer=Repeat(layer=Dense(units=1), n=1000), n=9, trainable=False),),
    (Repeat(layer=Dense(units=3), n=1000),) * 500,
    (Parallel(branches=(Repeat(layer=Dense(units=3), n=1000),) * 500),),
    (UpSampling1D(size=MAX_AXIS_LENGTH),) * 40,
    (Repeat(layer=Parallel(branches=(Dense(units=MAX_AXIS_LENGTH), Dense(units=MAX_AXIS_LENGTH))), n=1000),),
    (
        PositionEmbedding(sequence_length=MAX_AXIS_LENGTH),
        MultiHeadAttention(num_heads=MAX_AXIS_LENGTH, key_dim=MAX_AXIS_LENGTH),
    ),
    (
        Conv1D(filters=MAX_AXIS_LENGTH, kernel_size=MAX_AXIS_LENGTH, padding="same", dilation_rate=MAX_AXIS_LENGTH),
        Lstm(units=MAX_AXIS_LENGTH),
    ),
]
"""Networks too large for any machine."""


@pytest.mark.parametrize("layers", HUGE, ids=range(len(HUGE)))
@pytest.mark.parametrize("shape", [(3,), (4, 3)])
def test_plan_of_a_huge_network_takes_bounded_calls_and_memory(
    layers: tuple[Layer, ...], shape: tuple[int, ...]
) -> None:
    """Calls are counted instead of timed."""
    net = Sequential(layers=layers)
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    tracemalloc.start()
    sys.setprofile(count)
    try:
        with contextlib.suppress(ShapeMismatch):
            Network(net, shape)
    finally:
        sys.setprofile(None)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert calls <= MAX_PLAN_CALLS
    assert peak <= MAX_PLAN_BYTES


@pytest.mark.parametrize("layers", HUGE, ids=range(len(HUGE)))
def test_message_about_a_huge_network_is_short(layers: tuple[Layer, ...]) -> None:
    """Numbers in a message have few digits."""
    with contextlib.suppress(ShapeMismatch):
        plan = Network(Sequential(layers=layers), (3,)).plan
        assert plan.parameters.bit_length() < 128
    try:
        Network(Sequential(layers=(*layers, Reshape(target_shape=(7, 11)))), (3,))
    except ShapeMismatch as refused:
        message = str(refused)
    assert len(message) < 400
