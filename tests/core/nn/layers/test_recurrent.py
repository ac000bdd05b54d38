"""Recurrent layers beside PyTorch's, and properties of masked and reversed sequences for any weights."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from core.nn.activations import Relu
from core.nn.arrays import Array, Backward, Shape
from core.nn.insight.gradient_check import check_gradient
from core.nn.layers.composite import Bidirectional, Layer, Sequential
from core.nn.layers.dense import Dense
from core.nn.layers.embedding import Embedding
from core.nn.layers.global_pooling import GlobalAveragePooling1D
from core.nn.layers.masking import Masking
from core.nn.layers.recurrent import Gru, Lstm, Recurrent, SimpleRnn
from core.nn.losses.regression import MeanSquaredError
from core.nn.network import Network
from core.nn.optimizers.adam import Adam
from core.nn.plan import Plan, Views
from core.nn.predictor import Predictor
from core.nn.schedules import ConstantRate
from core.nn.step.context import PassContext, inference
from core.nn.training.options import Step, Training
from tests.core.nn.cases import sequential
from tests.core.nn.trainings import ATraining, Rows, reloaded

UNITS, FEATURES, STEPS, ROWS = 4, 3, 6, 5


class SetMask(NamedTuple):
    """An identity layer that sets the mask, as an embedding does."""

    mask: Any
    type: str = "set_mask"

    def plan(self, shape: Shape) -> Plan:
        """Plan a layer without weights."""
        return Plan(shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Return the input."""
        ctx.mask = self.mask
        return x, lambda d_y: d_y


def torch_outputs(torch: Any, layer: Recurrent, x: Any, w: dict[str, Any], lengths: Any = None) -> Any:
    """Return the outputs of PyTorch's layer on the same weights; it orders the gates of a GRU differently."""
    module_class = {"simple_rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[layer.type]
    options = {"nonlinearity": "relu"} if isinstance(layer.activation, Relu) else {}
    module = module_class(FEATURES, layer.units, batch_first=True, bias=layer.use_bias, dtype=x.dtype, **options)
    order = [1, 0, 2] if layer.type == "gru" else list(range(w["kernel"].shape[1] // layer.units))
    columns = np.arange(len(order) * layer.units).reshape(-1, layer.units)[order].ravel()
    named = {"weight_ih_l0": w["kernel"][:, columns].T, "weight_hh_l0": w["recurrent_kernel"][:, columns].T}
    if layer.use_bias:
        biases = w["bias"] if w["bias"].ndim == 2 else [w["bias"], torch.zeros_like(w["bias"])]
        named |= {"bias_ih_l0": biases[0][columns], "bias_hh_l0": biases[1][columns]}
    if layer.go_backwards:
        x = x.flip(1)
    if lengths is None:
        return torch.func.functional_call(module, named, (x,))[0]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    out = torch.func.functional_call(module, named, (packed,))[0]
    return torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])[0]


RECURRENT: list[Recurrent] = [
    SimpleRnn(units=UNITS),
    SimpleRnn(units=UNITS, activation=Relu(), use_bias=False),
    Lstm(units=UNITS),
    Lstm(units=UNITS, use_bias=False, go_backwards=True),
    Gru(units=UNITS),
    Gru(units=UNITS, use_bias=False, go_backwards=True),
]


class Float64Network:
    """A network of one recurrent layer in float64 that returns the output of each step."""

    def __init__(self, layer: Recurrent, mask: Any = None) -> None:
        architecture: Any = sequential(replace(layer, return_sequences=True))
        if mask is not None:
            first: Any = SetMask(mask)
            architecture = sequential(first, *architecture.layers)
        self.network = Network(architecture, (STEPS, FEATURES))
        rng = np.random.default_rng(0)
        self.vector, statistics = self.network.initialize(rng, np.float64)
        self.vector += 0.1 * rng.standard_normal(self.vector.shape)
        self.gradient = np.zeros_like(self.vector)
        self.views = self.network.views(self.vector, statistics, self.gradient, input_gradient=True)
        self.weights, self.gradients = self.views.parts[-1].weights, self.views.parts[-1].gradients

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """Return the outputs and the backward pass."""
        ctx = inference(np.float64)
        ctx.training = True
        return self.network.forward(x, self.views, ctx)


@pytest.mark.parametrize("lengths", [None, (6, 3, 1, 5, 2)], ids=["unmasked", "masked"])
@pytest.mark.parametrize("layer", RECURRENT, ids=lambda layer: layer.type)
def test_ten_steps_of_gradient_descent_equal_torchs(torch: Any, layer: Recurrent, lengths: Any) -> None:
    """Outputs and all gradients are equal at each step."""
    if layer.go_backwards and lengths:
        layer = replace(layer, go_backwards=False)
    mask = None if lengths is None else np.arange(STEPS) < np.array(lengths)[:, None]
    ours = Float64Network(layer, mask)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((ROWS, STEPS, FEATURES))
    named = {name: torch.tensor(array, requires_grad=True) for name, array in ours.weights.items()}
    torch_x = torch.tensor(x, requires_grad=True)
    unmasked = np.ones((ROWS, STEPS, 1)) if mask is None else mask[:, :, None]
    for _ in range(10):
        d_y = rng.standard_normal((ROWS, STEPS, UNITS)) * unmasked
        y, backward = ours.forward(x)
        d_x = backward(d_y.copy())
        torch_y = torch_outputs(torch, layer, torch_x, named, lengths)
        np.testing.assert_allclose(y * unmasked, torch_y.detach().numpy(), rtol=1e-10, atol=1e-11)
        torch_y.backward(torch.from_numpy(d_y))
        np.testing.assert_allclose(d_x, torch_x.grad.numpy(), rtol=1e-9, atol=1e-11)
        torch_x.grad = None
        for name, tensor in named.items():
            np.testing.assert_allclose(ours.gradients[name], tensor.grad.numpy(), rtol=1e-9, atol=1e-10)
            tensor.data -= 0.1 * tensor.grad
            tensor.grad = None
        ours.vector -= 0.1 * ours.gradient


MASKABLE: list[Layer] = [
    SimpleRnn(units=2),
    Lstm(units=2),
    Gru(units=2),
    Gru(units=2, reset_after=False),
    Lstm(units=2, go_backwards=True),
    Bidirectional(layer=Gru(units=2)),
    Bidirectional(layer=Lstm(units=2, return_sequences=True), merge_mode="multiply"),
    GlobalAveragePooling1D(),
]


@pytest.mark.parametrize("layer", MASKABLE, ids=lambda layer: layer.type)
@settings(deadline=None, max_examples=10)
@given(length=st.integers(1, 5), before=st.integers(0, 3), after=st.integers(0, 3))
def test_masked_padding_does_not_change_the_outputs(layer: Layer, length: int, before: int, after: int) -> None:
    rng = np.random.default_rng(length)
    x = rng.standard_normal((2, length, 3)).astype(np.float32)
    padded = np.pad(x, ((0, 0), (before, after), (0, 0)), constant_values=-1)

    def outputs(x: Array) -> Array:
        network = Network(sequential(Masking(mask_value=-1), layer), x.shape[1:])
        return Predictor(network, *network.initialize(np.random.default_rng(0))).outputs(x)

    expected, found = outputs(x), outputs(padded)
    if expected.ndim == 3:
        found = found[:, before : before + length]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_masked_step_repeats_the_output_before_it() -> None:
    mask = np.array([[False, True, False, True, False, False]] * ROWS)
    for layer in (Lstm(units=UNITS), Gru(units=UNITS), SimpleRnn(units=UNITS)):
        x = np.random.default_rng(0).standard_normal((ROWS, STEPS, FEATURES))
        y, _ = Float64Network(layer, mask).forward(x)
        assert not y[:, 0].any()
        assert np.array_equal(y[:, 1], y[:, 2])
        assert not np.array_equal(y[:, 2], y[:, 3])
        assert np.array_equal(y[:, 3], y[:, 5])


@pytest.mark.parametrize("layer", MASKABLE, ids=lambda layer: layer.type)
@pytest.mark.parametrize("rows", [1, 4])
def test_gradient_of_masked_sequences_equals_finite_differences(layer: Layer, rows: int) -> None:
    rng = np.random.default_rng(3)
    first: Any = SetMask(rng.random((rows, 5)) < 0.6)
    network = Network(sequential(first, layer), (5, 3))
    x, targets = rng.standard_normal((rows, 5, 3)), rng.standard_normal((rows, *network.output_shape))
    for found in check_gradient(network, MeanSquaredError(), x, targets).values():
        assert found.error <= 1e-6, found


@pytest.mark.parametrize("merge", ["add", "multiply", "average"])
def test_bidirectional_output_of_a_palindrome_is_a_palindrome(merge: Any) -> None:
    layer = Bidirectional(layer=Lstm(units=3, return_sequences=True), merge_mode=merge)
    network = Network(sequential(layer), (5, 2))
    weights, statistics = network.initialize(np.random.default_rng(0))
    weights[: len(weights) // 2] = weights[len(weights) // 2 :]
    half = np.random.default_rng(1).standard_normal((4, 3, 2)).astype(np.float32)
    y = Predictor(network, weights, statistics).outputs(np.concatenate([half, half[:, 1::-1]], axis=1))
    np.testing.assert_allclose(y, y[:, ::-1], rtol=1e-5)


@pytest.mark.parametrize("unit_forget_bias", [True, False])
def test_forget_bias_is_one_only_if_asked_for(unit_forget_bias: bool) -> None:
    network = Network(sequential(Lstm(units=2, unit_forget_bias=unit_forget_bias)), (3, 2))
    views = network.views(*network.initialize(np.random.default_rng(0)))
    forget = float(unit_forget_bias)
    assert views.parts[0].weights["bias"].tolist() == [0, 0, forget, forget, 0, 0, 0, 0]


WITH_DROPOUT = sequential(
    Embedding(input_dim=4, output_dim=3, mask_zero=True),
    Bidirectional(layer=Lstm(units=3, return_sequences=True, dropout=0.2, recurrent_dropout=0.3)),
    Gru(units=3, recurrent_dropout=0.3),
    Dense(units=2),
)


def token_sequences(rows: int = 30) -> Rows:
    """Return sequences of up to six tokens, padded with 0; the class is whether they begin with a 1."""
    rng = np.random.default_rng(0)
    x = rng.integers(1, 4, (rows, 6)) * (np.arange(6) < rng.integers(1, 7, (rows, 1)))
    return Rows(x.astype(np.float32), (x[:, 0] == 1).astype(int))


@settings(deadline=None, max_examples=8)
@given(cut=st.integers(1, 12))
def test_resumed_training_with_recurrent_dropout_is_bit_exact(cut: int) -> None:
    uninterrupted, first = (ATraining(token_sequences(), WITH_DROPOUT) for _ in range(2))
    expected = uninterrupted.run()
    before = first.run(cut)
    assert first.state is not None
    second = ATraining(token_sequences(), WITH_DROPOUT, state=reloaded(first.state))
    assert before + second.run() == expected
    assert second.weights.tobytes() == uninterrupted.weights.tobytes()


ORDER_CLASSIFIER = """{"layers": [
  {"type": "embedding", "input_dim": 6, "output_dim": 8, "mask_zero": true},
  {"type": "bidirectional", "layer": {"type": "gru", "units": 8}},
  {"type": "dense", "units": 2}]}"""


def test_bidirectional_gru_learns_the_order_of_two_tokens() -> None:
    """The tokens 1 and 2 are at random positions among others, in sequences of 4 to 9 tokens."""
    rng = np.random.default_rng(0)
    x = rng.integers(3, 6, (256, 9)) * (np.arange(9) < rng.integers(4, 10, (256, 1)))
    positions = np.array([rng.permutation(np.flatnonzero(row))[:2] for row in x])
    x[np.arange(256), positions[:, 0]], x[np.arange(256), positions[:, 1]] = 1, 2
    data = Rows(x.astype(np.float32), (positions[:, 0] < positions[:, 1]).astype(int))
    architecture = TypeAdapter(Sequential).validate_json(ORDER_CLASSIFIER)
    optimizer = Adam(learning_rate=ConstantRate(learning_rate=0.02))
    options = Training(epochs=12, batch_size=32, metrics=())
    training = ATraining(data, architecture, optimizer=optimizer, training=options)
    losses = [item.loss for item in training.run() if isinstance(item, Step)]
    assert np.mean(losses[-8:]) < 0.2 * np.mean(losses[:8])
