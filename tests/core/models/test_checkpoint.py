"""A checkpoint gives back what went in, and anything else is refused without running any code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.prepare import prepare
from core.data.sources.source import Inline
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

WORDS = Inline(x=[[0.0], [0.1], [1.0], [1.1]], y=["low", "low", "high", "high"])


def a_checkpoint(epochs: int = 60, items: int | None = None) -> bytes:
    """What a training of two words leaves; after so many items, where it is cut short."""
    prepared = prepare(WORDS, None, 0)
    architecture, loss = sequential(Dense(units=2)), CrossEntropy()
    optimizer = Adam()
    network = Network(architecture, prepared.x.shape[1:])
    state = start(network, optimizer, 0)
    made = Learner(network, loss, optimizer, Training(epochs=epochs, metrics=()), prepared, state).train()
    for turn, _ in enumerate(made):
        if turn + 1 == items:
            break
    described = describe(architecture, loss, prepared.features, prepared.target)
    return encode(state, described, {"emitted": 7})


def test_a_state_comes_back_to_the_last_bit() -> None:
    data = a_checkpoint(items=5)
    saved = decode(data)
    state = saved.state()
    assert saved.notes == {"emitted": 7}
    assert encode(state, saved.model, saved.notes) == data
    assert len(weights_sha256(state)) == 64


def test_a_model_answers_raw_records_in_the_targets_words() -> None:
    model = Model.of(decode(a_checkpoint()), "last")
    answers = model.predict([[0.05], [1.05]])
    assert all(set(answer) == {"label", "probabilities", "warnings"} for answer in answers)
    assert all(sum(answer["probabilities"].values()) == pytest.approx(1) for answer in answers)
    assert model.nbytes == 4 * 4


def test_the_best_weights_and_the_last_are_different_models() -> None:
    saved = decode(a_checkpoint())
    worse = dict(saved.arrays) | {"best_weights": np.zeros(4, np.float32)}
    changed = type(saved)(worse, saved.counters, saved.model, saved.notes)
    assert Model.of(changed, "best").predict([[9.0]])[0]["probabilities"]["low"] == pytest.approx(0.5)
    assert Model.of(changed, "last").predict([[9.0]]) == Model.of(saved, "last").predict([[9.0]])


def test_before_the_first_epoch_the_best_is_the_newest() -> None:
    saved = decode(a_checkpoint(items=1))
    assert Model.of(saved, "best").predict([[9.0]]) == Model.of(saved, "last").predict([[9.0]])


def test_numbers_are_answered_as_numbers() -> None:
    prepared = prepare(Inline(x=[[1], [2]], y=[[2], [4]]), None, 0)
    architecture = sequential(Dense(units=1, use_bias=False))
    state = start(Network(architecture, (1,)), Adam(), 0)
    state.weights[:] = 2
    described = describe(architecture, MeanSquaredError(), prepared.features, prepared.target)
    model = Model.of(decode(encode(state, described, {})))
    assert model.predict([[6], 6]) == [{"value": 12.0, "warnings": []}] * 2


@given(st.integers(0, 10**6), st.integers(0, 255))
def test_damage_is_never_read_as_something_else(place: int, byte: int) -> None:
    data = bytearray(a_checkpoint(items=3))
    place %= len(data)
    data[place] = byte
    try:
        decode(bytes(data))
    except DamagedCheckpoint:
        return
    # A turned bit inside an array is what the sha256 of the file is for; the header is whole here.
    assert len(data) == len(a_checkpoint(items=3))


@given(st.binary(max_size=200))
def test_other_bytes_are_no_checkpoint(data: bytes) -> None:
    with pytest.raises(DamagedCheckpoint):
        decode(data)


@pytest.mark.parametrize("cut", [0, 7, 8, 100, -1])
def test_a_file_cut_short_is_no_checkpoint(cut: int) -> None:
    with pytest.raises(DamagedCheckpoint):
        decode(a_checkpoint(items=3)[:cut])
