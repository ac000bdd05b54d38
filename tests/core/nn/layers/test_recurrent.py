"""Recurrent layers beside PyTorch's, and what must hold of sequences whatever the weights are."""

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
from core.nn.step.context import Arena, PassContext
from core.nn.training.options import Step, Training
from tests.core.nn.cases import sequential
from tests.core.nn.training.test_learner import through_json
from tests.core.nn.trainings import ATraining, Rows

UNITS, FEATURES, STEPS, ROWS = 4, 3, 6, 5


class Masked(NamedTuple):
    """Says which steps are there, as an embedding does, and passes its input on."""

    mask: Any
    type: str = "masked"

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return Plan(shape)

    def forward(self, x: Array, views: Views, run: PassContext) -> tuple[Array, Backward]:
        """What comes in."""
        run.mask = self.mask
        return x, lambda d_y: d_y


def theirs(torch: Any, layer: Recurrent, x: Any, w: dict[str, Any], lengths: Any = None) -> Any:
    """PyTorch's layer of the same kind on the same weights; its gates of a GRU stand in another order."""
    made = {"simple_rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[layer.type]
    options = {"nonlinearity": "relu"} if isinstance(layer.activation, Relu) else {}
    module = made(FEATURES, layer.units, batch_first=True, bias=layer.use_bias, dtype=x.dtype, **options)
    order = [1, 0, 2] if layer.type == "gru" else list(range(w["kernel"].shape[1] // layer.units))
    columns = np.arange(len(order) * layer.units).reshape(-1, layer.units)[order].ravel()
    named = {"weight_ih_l0": w["kernel"][:, columns].T, "weight_hh_l0": w["recurrent_kernel"][:, columns].T}
    if layer.use_bias:
        both = w["bias"] if w["bias"].ndim == 2 else [w["bias"], torch.zeros_like(w["bias"])]
        named |= {"bias_ih_l0": both[0][columns], "bias_hh_l0": both[1][columns]}
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


class Ours:
    """The layer in float64, its weights by name, and its outputs after every step."""

    def __init__(self, layer: Recurrent, mask: Any = None) -> None:
        whole: Any = sequential(replace(layer, return_sequences=True))
        if mask is not None:
            front: Any = Masked(mask)
            whole = sequential(front, *whole.layers)
        self.network = Network(whole, (STEPS, FEATURES))
        rng = np.random.default_rng(0)
        self.vector, statistics = self.network.initialize(rng, np.float64)
        self.vector += 0.1 * rng.standard_normal(self.vector.shape)
        self.gradient = np.zeros_like(self.vector)
        self.views = self.network.views(self.vector, statistics, self.gradient, input_gradient=True)
        self.weights, self.gradients = self.views.parts[-1].weights, self.views.parts[-1].gradients

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """As the network's."""
        return self.network.forward(x, self.views, PassContext(Arena(np.float64), training=True))


@pytest.mark.parametrize("lengths", [None, (6, 3, 1, 5, 2)], ids=["whole", "masked"])
@pytest.mark.parametrize("layer", RECURRENT, ids=lambda layer: layer.type)
def test_a_recurrent_layer_trains_as_torchs_does(torch: Any, layer: Recurrent, lengths: Any) -> None:
    """Ten steps down the gradient: outputs and all gradients at each."""
    if layer.go_backwards and lengths:
        layer = replace(layer, go_backwards=False)
    mask = None if lengths is None else np.arange(STEPS) < np.array(lengths)[:, None]
    ours = Ours(layer, mask)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((ROWS, STEPS, FEATURES))
    named = {name: torch.tensor(array, requires_grad=True) for name, array in ours.weights.items()}
    their_x = torch.tensor(x, requires_grad=True)
    there = np.ones((ROWS, STEPS, 1)) if mask is None else mask[:, :, None]
    for _ in range(10):
        slope = rng.standard_normal((ROWS, STEPS, UNITS)) * there
        y, backward = ours.forward(x)
        d_x = backward(slope.copy())
        expected = theirs(torch, layer, their_x, named, lengths)
        np.testing.assert_allclose(y * there, expected.detach().numpy(), rtol=1e-10, atol=1e-11)
        expected.backward(torch.from_numpy(slope))
        np.testing.assert_allclose(d_x, their_x.grad.numpy(), rtol=1e-9, atol=1e-11)
        their_x.grad = None
        for name, tensor in named.items():
            np.testing.assert_allclose(ours.gradients[name], tensor.grad.numpy(), rtol=1e-9, atol=1e-10)
            tensor.data -= 0.1 * tensor.grad
            tensor.grad = None
        ours.vector -= 0.1 * ours.gradient


KINDS: list[Layer] = [
    SimpleRnn(units=2),
    Lstm(units=2),
    Gru(units=2),
    Gru(units=2, reset_after=False),
    Lstm(units=2, go_backwards=True),
    Bidirectional(layer=Gru(units=2)),
    Bidirectional(layer=Lstm(units=2, return_sequences=True), merge_mode="multiply"),
    GlobalAveragePooling1D(),
]


@pytest.mark.parametrize("layer", KINDS, ids=lambda layer: layer.type)
@settings(deadline=None, max_examples=10)
@given(length=st.integers(1, 5), before=st.integers(0, 3), after=st.integers(0, 3))
def test_a_masked_filling_changes_nothing(layer: Layer, length: int, before: int, after: int) -> None:
    rng = np.random.default_rng(length)
    short = rng.standard_normal((2, length, 3)).astype(np.float32)
    filled = np.pad(short, ((0, 0), (before, after), (0, 0)), constant_values=-1)

    def outputs(x: Array) -> Array:
        network = Network(sequential(Masking(mask_value=-1), layer), x.shape[1:])
        return Predictor(network, *network.initialize(np.random.default_rng(0))).outputs(x)

    wanted, found = outputs(short), outputs(filled)
    if wanted.ndim == 3:
        found = found[:, before : before + length]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_masked_step_shows_the_output_before_it() -> None:
    mask = np.array([[False, True, False, True, False, False]] * ROWS)
    for layer in (Lstm(units=UNITS), Gru(units=UNITS), SimpleRnn(units=UNITS)):
        y, _ = Ours(layer, mask).forward(np.random.default_rng(0).standard_normal((ROWS, STEPS, FEATURES)))
        assert not y[:, 0].any()
        assert np.array_equal(y[:, 1], y[:, 2])
        assert not np.array_equal(y[:, 2], y[:, 3])
        assert np.array_equal(y[:, 3], y[:, 5])


@pytest.mark.parametrize("layer", KINDS, ids=lambda layer: layer.type)
@pytest.mark.parametrize("rows", [1, 4])
def test_gradients_go_past_what_is_masked(layer: Layer, rows: int) -> None:
    rng = np.random.default_rng(3)
    front: Any = Masked(rng.random((rows, 5)) < 0.6)
    network = Network(sequential(front, layer), (5, 3))
    x, targets = rng.standard_normal((rows, 5, 3)), rng.standard_normal((rows, *network.output_shape))
    for found in check_gradient(network, MeanSquaredError(), x, targets).values():
        assert found.error <= 1e-6, found


@pytest.mark.parametrize("merge", ["add", "multiply", "average"])
def test_both_ways_along_a_palindrome_are_alike(merge: Any) -> None:
    layer = Bidirectional(layer=Lstm(units=3, return_sequences=True), merge_mode=merge)
    network = Network(sequential(layer), (5, 2))
    weights, statistics = network.initialize(np.random.default_rng(0))
    weights[: len(weights) // 2] = weights[len(weights) // 2 :]
    half = np.random.default_rng(1).standard_normal((4, 3, 2)).astype(np.float32)
    y = Predictor(network, weights, statistics).outputs(np.concatenate([half, half[:, 1::-1]], axis=1))
    np.testing.assert_allclose(y, y[:, ::-1], rtol=1e-5)


def test_masking_takes_steps_of_nothing_but_its_value() -> None:
    x = np.array([[[7, 7], [7, 1], [0, 0]]], np.float32)
    network = Network(sequential(Masking(mask_value=7)), (3, 2))
    run = PassContext(Arena(), training=False)
    y, _ = network.forward(x, network.views(*network.initialize(np.random.default_rng(0))), run)
    assert run.mask is not None
    assert run.mask.tolist() == [[False, True, True]]
    assert y.tolist() == [[[0, 0], [7, 1], [0, 0]]]


def test_an_average_of_no_steps_is_zero() -> None:
    network = Network(sequential(Masking(), GlobalAveragePooling1D()), (3, 2))
    none = np.zeros((1, 3, 2), np.float32)
    assert Predictor(network, *network.initialize(np.random.default_rng(0))).outputs(none).tolist() == [[0, 0]]


def test_an_lstm_forgets_little_at_first() -> None:
    for wanted in (True, False):
        network = Network(sequential(Lstm(units=2, unit_forget_bias=wanted)), (3, 2))
        views = network.views(*network.initialize(np.random.default_rng(0)))
        assert views.parts[0].weights["bias"].tolist() == [0, 0, wanted, wanted, 0, 0, 0, 0]


FORGETFUL = sequential(
    Embedding(input_dim=4, output_dim=3, mask_zero=True),
    Bidirectional(layer=Lstm(units=3, return_sequences=True, dropout=0.2, recurrent_dropout=0.3)),
    Gru(units=3, recurrent_dropout=0.3),
    Dense(units=2),
)


def words(rows: int = 30) -> Rows:
    """Sequences of up to six words, filled up with 0; the class is whether they begin with a 1."""
    rng = np.random.default_rng(0)
    x = rng.integers(1, 4, (rows, 6)) * (np.arange(6) < rng.integers(1, 7, (rows, 1)))
    return Rows(x.astype(np.float32), (x[:, 0] == 1).astype(int))


@settings(deadline=None, max_examples=8)
@given(cut=st.integers(1, 12))
def test_with_dropout_between_steps_a_training_goes_on_bit_for_bit(cut: int) -> None:
    whole, first = (ATraining(words(), FORGETFUL) for _ in range(2))
    expected = whole.run()
    before = first.run(cut)
    assert first.state is not None
    second = ATraining(words(), FORGETFUL, state=through_json(first.state))
    assert before + second.run() == expected
    assert second.weights.tobytes() == whole.weights.tobytes()


WHICH_CAME_FIRST = """{"layers": [
  {"type": "embedding", "input_dim": 6, "output_dim": 8, "mask_zero": true},
  {"type": "bidirectional", "layer": {"type": "gru", "units": 8}},
  {"type": "dense", "units": 2}]}"""


def test_which_of_two_words_came_first_is_learnt() -> None:
    """Of the words 1 and 2, at random places among others, in sequences of 4 to 9 words."""
    rng = np.random.default_rng(0)
    x = rng.integers(3, 6, (256, 9)) * (np.arange(9) < rng.integers(4, 10, (256, 1)))
    places = np.array([rng.permutation(np.flatnonzero(row))[:2] for row in x])
    x[np.arange(256), places[:, 0]], x[np.arange(256), places[:, 1]] = 1, 2
    data = Rows(x.astype(np.float32), (places[:, 0] < places[:, 1]).astype(int))
    net = TypeAdapter(Sequential).validate_json(WHICH_CAME_FIRST)
    optimizer = Adam(learning_rate=ConstantRate(learning_rate=0.02))
    made = ATraining(data, net, optimizer=optimizer, training=Training(epochs=12, batch_size=32, metrics=()))
    losses = [item.loss for item in made.run() if isinstance(item, Step)]
    assert np.mean(losses[-8:]) < 0.2 * np.mean(losses[:8])
