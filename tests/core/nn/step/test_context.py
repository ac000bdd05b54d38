"""Memory that passes keep, and the weights that a context computes from mask and sample weights."""

import tracemalloc
import weakref

import numpy as np
import pytest

from core.nn.layers.dense import Dense
from core.nn.network import Network
from core.nn.step.context import PassContext, inference
from tests.core.nn.cases import LAYERS, LayerCase, sequential
from tests.core.nn.trainings import peak_bytes

NEED_THEIR_INPUT = {
    *("conv1d", "conv2d", "dense", "depthwise_conv2d", "glu", "multi_head_attention", "swiglu"),
    *("max_pooling1d", "max_pooling2d", "global_max_pooling1d", "global_max_pooling2d"),
    *("mixture", "parallel", "repeat", "residual", "sequential", "time_distributed"),  # their parts do
}
"""Layers whose backward pass reads their input."""


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.layer.type)
def test_layer_keeps_its_input_only_if_its_backward_pass_reads_it(case: LayerCase) -> None:
    network = Network(sequential(case.layer), case.input_shape)
    weights, statistics = network.initialize(np.random.default_rng(0))
    views = network.views(weights, statistics, np.zeros_like(weights), input_gradient=True)
    x = case.inputs(3, np.random.default_rng(1)).astype(np.float32)
    kept = weakref.ref(x)
    ctx = PassContext(training=True, rng=np.random.default_rng(2), shapes=network.shapes)
    y, backward = case.layer.forward(x[:], views.parts[0], ctx)
    del x, y
    assert kept() is None or case.layer.type in NEED_THEIR_INPUT
    del backward


def deep_net(layers: int) -> Network:
    return Network(sequential(*(Dense(units=400) for _ in range(layers))), (400,))


def test_backward_pass_releases_activations_as_it_goes() -> None:
    network = deep_net(8)
    weights, statistics = network.initialize(np.random.default_rng(0))
    views = network.views(weights, statistics, np.zeros_like(weights))
    x = np.ones((500, 400), np.float32)
    outputs, backward = network.forward(x, views, PassContext(training=True))
    assert peak_bytes(lambda: backward(outputs)) < 1.1 * x.nbytes


def test_prediction_keeps_nothing_for_a_backward_pass() -> None:
    network = deep_net(8)
    weights, statistics = network.initialize(np.random.default_rng(0))
    views = network.views(weights, statistics)
    x = np.ones((500, 400), np.float32)
    assert peak_bytes(lambda: network.forward(x, views, inference())) < 2.2 * x.nbytes


def test_empty_allocates_in_the_dtype_of_the_pass_unless_another_is_given() -> None:
    ctx = inference(np.float64)
    assert (ctx.empty((2, 3)).shape, ctx.empty((2, 3)).dtype) == ((2, 3), np.float64)
    assert ctx.empty((1,), np.int64).dtype == np.int64


@pytest.mark.parametrize(
    ("mask", "sample_weight", "weights"),
    [
        (None, None, None),
        (None, [2, 3], [2, 3]),
        ([[1, 0], [1, 1]], None, [[1, 0], [1, 1]]),
        ([[1, 0], [1, 1]], [2, 3], [[2, 0], [3, 3]]),
    ],
)
def test_weights_are_the_product_of_mask_and_sample_weights(
    mask: list[list[int]] | None, sample_weight: list[int] | None, weights: list[int] | None
) -> None:
    ctx = inference()
    ctx.mask = None if mask is None else np.array(mask, bool)
    ctx.sample_weight = None if sample_weight is None else np.array(sample_weight, np.float32)
    ctx.combine_weights()
    assert (None if ctx.weights is None else ctx.weights.tolist()) == weights


@pytest.mark.parametrize(("shape", "kept"), [((2, 3, 5), True), ((2, 4, 5), False), ((2, 3), False)])
def test_mask_is_dropped_where_the_steps_change(shape: tuple[int, ...], *, kept: bool) -> None:
    ctx = inference()
    ctx.mask = np.ones((2, 3), bool)
    ctx.keep_mask(np.zeros(shape))
    assert (ctx.mask is not None) == kept


def test_peak_bytes_counts_arrays() -> None:
    assert peak_bytes(lambda: np.ones(1 << 20, np.uint8)) == pytest.approx(1 << 20, rel=0.01)
    assert not tracemalloc.is_tracing()
