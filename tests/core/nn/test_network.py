"""Networks: planning, views, forward and backward passes, predictions, and refused architectures."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.nn.layers.augmentation.crop import RandomCrop
from core.nn.layers.augmentation.geometric import RandomZoom
from core.nn.layers.composite import Layer, Mixture, Parallel, Repeat, Residual, Sequential, TimeDistributed
from core.nn.layers.convolution import Conv1D, Conv2D
from core.nn.layers.dense import Dense
from core.nn.layers.dropout import Dropout, SpatialDropout
from core.nn.layers.embedding import Embedding, NoSuchEmbedding
from core.nn.layers.global_pooling import GlobalAveragePooling1D, GlobalMaxPooling2D
from core.nn.layers.normalization import BatchNormalization, GroupNormalization, LayerNormalization
from core.nn.layers.pooling import MaxPooling2D
from core.nn.layers.recurrent import Gru, Lstm, SimpleRnn
from core.nn.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from core.nn.layers.resizing import Cropping1D
from core.nn.losses.regression import MeanSquaredError
from core.nn.network import MAX_PREDICTION_NUMBERS, Network
from core.nn.plan import ShapeMismatch
from core.nn.predictor import Predictor
from core.nn.step.context import PassContext
from tests.core.nn.cases import LAYERS, LayerCase, sequential
from tests.core.nn.trainings import MeasuringContext


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.layer.type)
def test_planned_output_shape_is_the_output_shape(case: LayerCase) -> None:
    network = Network(sequential(case.layer), case.input_shape)
    weights, statistics = network.initialize(np.random.default_rng(0))
    assert network.output_shape == case.output_shape
    x = np.ones((3, *case.input_shape), np.float32)
    assert Predictor(network, weights, statistics).outputs(x).shape == (3, *case.output_shape)
    assert len(weights) == network.parameters


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.layer.type)
def test_every_weight_has_a_name(case: LayerCase) -> None:
    network = Network(sequential(case.layer), case.input_shape)
    names = network.names()
    assert len(names) == len(network.shapes)
    assert all(name.startswith("layers/0/") for name in names)


def test_weight_name_is_its_path_in_the_architecture() -> None:
    inner = sequential(Dense(units=3), Repeat(layer=Dense(units=3, use_bias=False), n=2))
    network = Network(sequential(Residual(layer=inner), BatchNormalization()), (3,))
    inside = "layers/0/layer/layers"
    assert network.names() == (
        f"{inside}/0/kernel", f"{inside}/0/bias", *[f"{inside}/1/layer/kernel"] * 2, "layers/1/gamma", "layers/1/beta",
    )  # fmt: skip


def measured_step(case: LayerCase, rows: int) -> tuple[Network, int]:
    """Return a network of the layer alone, and the peak of the memory of both passes in bytes."""
    network = Network(sequential(case.layer), case.input_shape)
    rng = np.random.default_rng(0)
    weights, statistics = network.initialize(rng)
    views = network.views(weights, statistics, np.zeros_like(weights), input_gradient=True)
    ctx = MeasuringContext(rng)
    outputs, backward = network.forward(case.inputs(rows, rng).astype(np.float32), views, ctx)
    del outputs
    backward(np.ones((rows, *case.output_shape), np.float32))
    return network, ctx.peak


WIDE = [LayerCase(layer(units=200), (4, 3), (200,)) for layer in (SimpleRnn, Lstm, Gru)]
"""Layers that keep more floats per batch than per row."""


@pytest.mark.parametrize("rows", [1, 70])
@pytest.mark.parametrize("case", [*LAYERS, *WIDE], ids=lambda case: case.layer.type)
def test_memory_of_both_passes_is_within_the_plan(case: LayerCase, rows: int) -> None:
    network, peak = measured_step(case, rows)
    of_rows = 4 * rows * sum(plan.activation_size for plan in network.plan.walk())
    assert peak <= of_rows + 4 * sum(plan.scratch for plan in network.plan.walk())
    assert peak >= of_rows / 6 or not peak


@st.composite
def architectures(draw: Any) -> Sequential:
    """Draw a random network of nested layers."""
    simple: st.SearchStrategy[Layer] = st.one_of(
        st.builds(Dense, units=st.integers(1, 5), use_bias=st.booleans()),
        st.builds(Dropout, rate=st.floats(0, 0.9)),
        st.builds(BatchNormalization, center=st.booleans(), scale=st.booleans()),
        st.just(Flatten()),
        st.just(Reshape(target_shape=(-1, 1))),
    )
    nested = st.recursive(
        simple,
        lambda inner: st.one_of(
            st.builds(sequential, inner, inner),
            st.builds(lambda f: Residual(layer=sequential(Flatten(), f), projection=sequential(Flatten(), f)), inner),
            st.builds(
                lambda f, g: Parallel(branches=(sequential(f, Flatten()), sequential(g, Flatten()))), inner, inner
            ),
            st.builds(Repeat, layer=inner, n=st.integers(1, 3)),
        ),
        max_leaves=4,
    )
    return sequential(*draw(st.lists(nested, min_size=1, max_size=4)))


@settings(deadline=None, max_examples=60)
@given(architecture=architectures(), rows=st.integers(1, 4))
def test_random_network_runs_as_planned(architecture: Sequential, rows: int) -> None:
    network = Network(architecture, (2, 3))
    rng = np.random.default_rng(0)
    weights, statistics = network.initialize(rng)
    x = rng.standard_normal((rows, 2, 3)).astype(np.float32)

    def outputs_and_gradient(*, input_gradient: bool) -> tuple[bytes, bytes]:
        gradient = np.zeros_like(weights)
        views = network.views(weights, statistics.copy(), gradient, input_gradient=input_gradient)
        ctx = PassContext(training=True, rng=np.random.default_rng(1))
        outputs, backward = network.forward(x, views, ctx)
        assert outputs.shape == (rows, *network.output_shape)
        _, gradient_of_loss = MeanSquaredError().forward(outputs, np.zeros_like(outputs), ctx)
        d_x = backward(gradient_of_loss())
        assert d_x.shape == x.shape or not input_gradient
        return outputs.tobytes(), gradient.tobytes()

    whole = outputs_and_gradient(input_gradient=True)
    assert outputs_and_gradient(input_gradient=False) == whole  # a backward pass that stops at the first weights


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(2, 30), cut=st.integers(1, 29))
def test_gradients_of_two_halves_add_up_to_the_batch_gradient(rows: int, cut: int) -> None:
    cut = min(cut, rows - 1)
    network = Network(sequential(Dense(units=4), Dense(units=2)), (3,))
    rng = np.random.default_rng(0)
    weights, statistics = network.initialize(rng, np.float64)
    x, y = rng.standard_normal((rows, 3)), rng.standard_normal((rows, 2))

    def gradient_of(part: slice) -> Any:
        gradient = np.zeros_like(weights)
        ctx = PassContext(np.float64, training=True)
        outputs, backward = network.forward(x[part], network.views(weights, statistics, gradient), ctx)
        backward(MeanSquaredError().forward(outputs, y[part], ctx)[1]())
        return gradient

    whole = gradient_of(slice(None))
    parts = cut * gradient_of(slice(cut)) + (rows - cut) * gradient_of(slice(cut, None))
    np.testing.assert_allclose(parts / rows, whole, rtol=1e-9, atol=1e-12)


def test_predictions_do_not_depend_on_the_batch_size() -> None:
    network = Network(sequential(Dense(units=4), BatchNormalization(), Dense(units=2)), (3,))
    weights, statistics = network.initialize(np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((50, 3)).astype(np.float32)
    whole = Predictor(network, weights, statistics).outputs(x)
    network.prediction_batch = 7
    np.testing.assert_allclose(Predictor(network, weights, statistics).outputs(x), whole, rtol=1e-5)
    assert Predictor(network, weights, statistics).outputs(x[:0]).shape == (0, 2)


def test_prediction_memory_does_not_grow_with_the_rows() -> None:
    network = Network(sequential(Conv2D(filters=8, kernel_size=3, padding="same"), GlobalMaxPooling2D()), (64, 64, 1))
    weights, statistics = network.initialize(np.random.default_rng(0))
    x = np.zeros((300, 64, 64, 1), np.float32)
    tracemalloc.start()
    Predictor(network, weights, statistics).outputs(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * (MAX_PREDICTION_NUMBERS + sum(plan.scratch for plan in network.plan.walk()))
    assert network.prediction_batch < 300


MISMATCHES: list[tuple[Sequential, tuple[int, ...], tuple[Any, ...], str]] = [
    (sequential(Dense(units=2)), (), ("layers", 0), r"layer 1 \(dense\) needs \(…, inputs\)"),
    (
        sequential(Flatten(), sequential(Reshape(target_shape=(5,)))), (2, 3),
        ("layers", 1, "layers", 0), r"layer 1 \(reshape\) gets \(6,\), 6 numbers",
    ),
    (sequential(Reshape(target_shape=(-1, -1))), (4,), ("layers", 0), "do not fill"),
    (sequential(Reshape(target_shape=(0, -1))), (4,), ("layers", 0), "do not fill"),
    (sequential(BatchNormalization()), (), ("layers", 0), "needs"),
    (
        sequential(Conv2D(filters=2, kernel_size=3)), (28, 28), ("layers", 0),
        r"needs \(height, width, channels\) but gets \(28, 28\): put a reshape",
    ),
    (sequential(Conv2D(filters=2, kernel_size=3)), (5, 2, 1), ("layers", 0), "gets width 2 but its window spans 3"),
    (sequential(Conv1D(filters=3, kernel_size=1, groups=2)), (5, 4), ("layers", 0), "a number of groups that divides"),
    (sequential(Conv1D(filters=3, kernel_size=2, padding="same")), (0, 4), ("layers", 0), "gets steps 0"),
    (sequential(MaxPooling2D()), (5, 4), ("layers", 0), "needs"),
    (sequential(MaxPooling2D()), (1, 4, 2), ("layers", 0), "gets height 1"),
    (sequential(GlobalAveragePooling1D()), (4,), ("layers", 0), r"needs \(steps, channels\)"),
    (sequential(GroupNormalization(groups=3)), (5, 4), ("layers", 0), "a number of groups that divides"),
    (sequential(LayerNormalization()), (), ("layers", 0), "needs"),
    (sequential(SpatialDropout(rate=0.1)), (), ("layers", 0), "needs"),
    (sequential(Permute(dims=(1, 1))), (5, 4), ("layers", 0), "name each of 1 to 2 once"),
    (sequential(RepeatVector(n=2)), (5, 4), ("layers", 0), "put a flatten"),
    (sequential(Residual(layer=Dense(units=2))), (3,), ("layers", 0), "add a projection"),
    (
        sequential(Residual(layer=sequential(Flatten(), Conv1D(filters=1, kernel_size=1)))), (3,),
        ("layers", 0, "layer", "layers", 1), r"layer 2 \(conv1d\) needs",
    ),
    (sequential(Parallel(branches=(Dense(units=2), Dense(units=3)), merge="add")), (3,), ("layers", 0), "same shape"),
    (sequential(Parallel(branches=(Dense(units=2), Flatten()))), (4, 3), ("layers", 0), "all axes but the last"),
    (sequential(Parallel(branches=(Dense(units=2),), merge="gate")), (3,), ("layers", 0), "gets 1 branches to gate"),
    (sequential(Mixture(branches=(Dense(units=2), Dense(units=3)), gate=Dense(units=2))), (3,), ("layers", 0),
     "same shape"),
    (sequential(Mixture(branches=(Dense(units=2), Dense(units=2)), gate=Dense(units=3))), (3,), ("layers", 0),
     "one number per branch"),
    (sequential(Mixture(branches=(Dense(units=2), MaxPooling2D()), gate=Dense(units=2))), (3,),
     ("layers", 0, "branches", 1), "its branches"),
    (sequential(Parallel(branches=(Flatten(), MaxPooling2D()))), (4, 3), ("layers", 0, "branches", 1), "branch 1"),
    (sequential(Repeat(layer=Dense(units=2), n=2, shared=True)), (3,), ("layers", 0), "emit the shape"),
    (sequential(Repeat(layer=Repeat(layer=Dense(units=2), n=1000), n=1000)), (3,), ("layers", 0), "repeat less"),
    (sequential(TimeDistributed(layer=Flatten())), (), ("layers", 0), "needs"),
    (sequential(Cropping1D(cropping=2)), (4, 1), ("layers", 0), "crop less"),
    (sequential(RandomCrop(height=5, width=4)), (5, 3, 1), ("layers", 0), "choose a smaller crop"),
    (sequential(RandomZoom(height_factor=0.5)), (5, 3), ("layers", 0), "put a reshape"),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "shape", "path", "message"), MISMATCHES)
def test_shape_mismatch_has_the_path_of_the_layer(
    architecture: Sequential, shape: tuple[int, ...], path: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(ShapeMismatch, match=message) as caught:
        Network(architecture, shape)
    assert caught.value.path == path


def test_huge_network_is_planned_without_allocation() -> None:
    huge = 2**31 - 1
    network = Network(sequential(*[Dense(units=huge)] * 50), (huge,))
    assert network.parameters == 50 * (huge * huge + huge)


@pytest.mark.parametrize("wrong", [-1, 5, 0.5, np.nan, np.inf, 1e30])
def test_embedding_refuses_indices_out_of_range(wrong: float) -> None:
    network = Network(sequential(Embedding(input_dim=5, output_dim=2)), (3,))
    weights, statistics = network.initialize(np.random.default_rng(0))
    with pytest.raises(NoSuchEmbedding, match="whole numbers from 0 to 4"):
        Predictor(network, weights, statistics).outputs(np.array([[0, wrong, 4]], np.float32))
