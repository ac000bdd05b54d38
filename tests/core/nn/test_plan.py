"""`plan` refuses what cannot run, takes what can, and neither allocates nor lingers over it."""

import contextlib
import re
import sys
import tracemalloc
from collections.abc import Callable
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
from tests.core.nn.unguarded import no_refusals

SHAPES = st.lists(st.integers(1, 6), max_size=4).map(tuple)
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
KILOBYTES = 256 * 1024
CALLS = 50 * MAX_LAYERS


def planned(layer: Any, shape: Any) -> Network | None:
    """The network of one layer; None where it is refused."""
    try:
        return Network(Sequential(layers=(layer,)), shape)
    except ShapeMismatch:
        return None


@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
@given(layer=specs(Layer), shape=SHAPES, rows=st.integers(1, 3))
def test_what_is_planned_runs(layer: Any, shape: tuple[int, ...], rows: int) -> None:
    network = planned(layer, shape)
    event("refused" if network is None else "planned")
    if network is None:
        return
    with contextlib.suppress(NoSuchEmbedding):  # words that a layer before has made others of: no matter of shapes
        step(network, rows)


def step(network: Network, rows: int) -> None:
    """All that training does with a layer; raises where it cannot be done, or gives other shapes than were planned."""
    rng = np.random.default_rng(0)
    weights, statistics = network.initialize(rng)
    gradient = np.zeros_like(weights)
    views = network.views(weights, statistics, gradient, input_gradient=True)
    run = PassContext(training=True, rng=rng, shapes=network.shapes)
    x = np.zeros((rows, *network.input_shape), np.float32)  # zeros are numbers to all layers, an embedding's words too
    with np.errstate(all="ignore"):
        outputs, backward = network.forward(x, views, run)
        assert outputs.size
        assert outputs.shape == (rows, *network.output_shape)
        assert backward(outputs.copy()).shape == x.shape
        network.add_penalty_gradient(weights, gradient)
        for constraint, constrained in network.constrained(weights):
            constraint.apply(constrained)


NONSENSE = {
    r"pooling[12]d\) needs"
    r"|\((random_flip|time_mask|frequency_mask|positional_encoding|bidirectional)\) needs"
    r"|\((zero_padding|cropping|up_sampling)[12]d\) needs"
    r"|\(repeat\) gets .* and would then get": "other axes would be taken for steps, or for height and width",
    r"\(batch_normalization\) needs": "with neither scale nor centre it has nothing for a feature by itself",
    r"\(embedding\) needs \(steps,\)": "its mask would have more axes than steps, which only some layers look at",
    r"\(random_crop\) gets": "the next row's pixels would be taken for what is beyond the edge",
    r"may mask": "a mask as long as the sequence would leave nothing of it",
    r"do not fill \(.*-1.*-1": "two open ends fill up in one way where there is but one number",
    r"\(residual\) gets": "NumPy would repeat the one until it is as long as the other",
    r"gets a constraint .*trainable=False": "it is not applied where nothing learns",
}
"""Refusals of what would run, by their words and the layer, and what would come of it."""


# The same specs at every run: the table may lack a rare one.
@settings(max_examples=300, deadline=None, suppress_health_check=SLOW, derandomize=True)
@given(layer=specs(Layer), shape=SHAPES, rows=st.integers(1, 3))
def test_what_is_refused_would_fail(layer: Any, shape: tuple[int, ...], rows: int) -> None:
    """Without the refusals, planning it or a step of it goes wrong, but for what would run and make no sense."""
    net = Sequential(layers=(layer,))
    try:
        Network(net, shape)
    except ShapeMismatch as refused:
        told = str(refused)
    else:
        return
    if any(re.search(words, f"{told} {layer}") for words in NONSENSE):
        event("nonsense")
    else:
        event("fails")
        with no_refusals():
            assert goes_wrong(lambda: step(Network(net, shape), rows)), told


def goes_wrong(work: Callable[[], None]) -> bool:
    """Whether it raises anything."""
    try:
        work()
    except Exception:  # whatever a layer stumbles over
        return True
    return False


def test_a_refusal_leads_to_the_layer_that_does_not_fit() -> None:
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
"""Nets that ask for more than there is."""


@pytest.mark.parametrize("layers", HUGE, ids=range(len(HUGE)))
@pytest.mark.parametrize("shape", [(3,), (4, 3)])
def test_no_net_is_planned_at_length(layers: tuple[Layer, ...], shape: tuple[int, ...]) -> None:
    """Counted, not timed: the calls that are made, and the bytes that are held at most."""
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
    assert calls <= CALLS
    assert peak <= KILOBYTES


@pytest.mark.parametrize("layers", HUGE, ids=range(len(HUGE)))
def test_what_is_too_large_is_told_in_a_line(layers: tuple[Layer, ...]) -> None:
    """Whether by the plan or by the wish of a Flatten, which has no numbers of many digits to say."""
    with contextlib.suppress(ShapeMismatch):
        plan = Network(Sequential(layers=layers), (3,)).plan
        assert plan.parameters.bit_length() < 128
    try:
        Network(Sequential(layers=(*layers, Reshape(target_shape=(7, 11)))), (3,))
    except ShapeMismatch as refused:
        told = str(refused)
    assert len(told) < 400
