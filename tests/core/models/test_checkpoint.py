"""Checkpoint files and the models in them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.prepare import prepare
from core.data.sources.inline import Inline
from core.models.checkpoint import DamagedCheckpoint, decode, encode, weights_sha256
from core.models.model import Model, describe
from core.nn.layers.dense import Dense
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.regression import MeanSquaredError
from core.nn.network import Network
from core.nn.optimizers.adam import Adam
from core.nn.step.state import start
from core.nn.training.learner import Learner
from core.nn.training.options import Training
from tests.core.nn.cases import sequential

LOW_OR_HIGH = Inline(x=[[0.0], [0.1], [1.0], [1.1]], y=["low", "low", "high", "high"])


def a_checkpoint(epochs: int = 60, items: int | None = None) -> bytes:
    """Return a checkpoint of a two-class training, complete or after so many items."""
    prepared = prepare(LOW_OR_HIGH, None, 0)
    architecture, loss = sequential(Dense(units=2)), CrossEntropy()
    optimizer = Adam()
    network = Network(architecture, prepared.x.shape[1:])
    state = start(network, optimizer, 0)
    training = Learner(network, loss, optimizer, Training(epochs=epochs, metrics=()), prepared, state).train()
    for turn, _ in enumerate(training):
        if turn + 1 == items:
            break
    description = describe(architecture, loss, prepared.features, prepared.target)
    return encode(state, description, {"emitted": 7})


def test_decode_restores_the_state_bit_for_bit() -> None:
    data = a_checkpoint(items=5)
    checkpoint = decode(data)
    state = checkpoint.state()
    assert checkpoint.run_info == {"emitted": 7}
    assert encode(state, checkpoint.model, checkpoint.run_info) == data
    assert len(weights_sha256(state)) == 64


def test_model_predicts_labels_from_raw_records() -> None:
    model = Model.of(decode(a_checkpoint()), "last")
    answers = model.predict([[0.05], [1.05]])
    assert all(set(answer) == {"label", "probabilities", "warnings"} for answer in answers)
    assert all(sum(answer["probabilities"].values()) == pytest.approx(1) for answer in answers)
    assert model.nbytes == 4 * 4


def test_best_and_last_weights_are_different_models() -> None:
    checkpoint = decode(a_checkpoint())
    worse = dict(checkpoint.arrays) | {"best_weights": np.zeros(4, np.float32)}
    changed = type(checkpoint)(worse, checkpoint.counters, checkpoint.model, checkpoint.run_info)
    assert Model.of(changed, "best").predict([[9.0]])[0]["probabilities"]["low"] == pytest.approx(0.5)
    assert Model.of(changed, "last").predict([[9.0]]) == Model.of(checkpoint, "last").predict([[9.0]])


def test_best_is_last_before_the_first_epoch_ends() -> None:
    checkpoint = decode(a_checkpoint(items=1))
    assert Model.of(checkpoint, "best").predict([[9.0]]) == Model.of(checkpoint, "last").predict([[9.0]])


def test_model_predicts_numbers_for_numeric_targets() -> None:
    prepared = prepare(Inline(x=[[1], [2]], y=[[2], [4]]), None, 0)
    architecture = sequential(Dense(units=1, use_bias=False))
    state = start(Network(architecture, (1,)), Adam(), 0)
    state.weights[:] = 2
    description = describe(architecture, MeanSquaredError(), prepared.features, prepared.target)
    model = Model.of(decode(encode(state, description, {})))
    assert model.predict([[6], 6]) == [{"value": 12.0, "warnings": []}] * 2


@given(st.integers(0, 10**6), st.integers(0, 255))
def test_decode_rejects_a_changed_byte_of_the_header(position: int, byte: int) -> None:
    data = bytearray(a_checkpoint(items=3))
    position %= len(data)
    data[position] = byte
    try:
        decode(bytes(data))
    except DamagedCheckpoint:
        return
    # The header is intact. A changed bit inside an array is detected by the SHA-256 of the file.
    assert len(data) == len(a_checkpoint(items=3))


@given(st.binary(max_size=200))
def test_decode_rejects_other_bytes(data: bytes) -> None:
    with pytest.raises(DamagedCheckpoint):
        decode(data)


@pytest.mark.parametrize("cut", [0, 7, 8, 100, -1])
def test_decode_rejects_a_truncated_file(cut: int) -> None:
    with pytest.raises(DamagedCheckpoint):
        decode(a_checkpoint(items=3)[:cut])
