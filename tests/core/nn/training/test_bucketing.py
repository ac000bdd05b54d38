"""Batches of similar lengths, cut to the longest: the numbers of whole ones, by less work, and resumable."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.nn.layers.composite import Layer, Residual, Sequential
from core.nn.layers.convolution import Conv1D
from core.nn.layers.dense import Dense
from core.nn.layers.embedding import Embedding
from core.nn.layers.global_pooling import GlobalAveragePooling1D
from core.nn.layers.normalization import BatchNormalization
from core.nn.layers.positional import PositionalEncoding
from core.nn.layers.recurrent import Gru, Lstm
from core.nn.layers.reshaping import Flatten
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.ctc import Ctc
from core.nn.network import Network
from core.nn.plan import ShapeMismatch
from core.nn.step.state import State
from core.nn.training.bucketing import WIDTHS, Buckets, shorter, widths
from core.nn.training.options import Step, Training
from tests.core.nn.cases import sequential
from tests.core.nn.trainings import ATraining, Rows

STEPS = 8
WORDS = Embedding(input_dim=6, output_dim=3, mask_zero=True)
WHOLE_ROW = sequential(WORDS, Gru(units=4), Dense(units=3))
EACH_STEP = sequential(WORDS, Lstm(units=4, return_sequences=True), Dense(units=3))
LABELS = sequential(WORDS, Gru(units=4, return_sequences=True), Dense(units=3))
BUCKETED = Training(epochs=3, batch_size=4, seed=5, metrics=(), bucket_by_length=True)


def words(rows: int = 42, *, each_step: bool = False) -> Rows:
    """Sequences of words from 1 to 5, filled up with 0."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, STEPS + 1, rows)
    there = np.arange(STEPS) < lengths[:, None]
    x = np.where(there, rng.integers(1, 6, (rows, STEPS)), 0).astype(np.float32)
    y = x.astype(int) % 3 if each_step else rng.integers(0, 3, rows)
    return Rows(x, y, lengths=lengths)


def labelled() -> Rows:
    """The same with a label, 1 or 2, for every second step at most."""
    data = words()
    there = np.arange(STEPS // 2) < (data.lengths[:, None] + 1) // 2
    return replace(data, y=np.where(there, np.random.default_rng(1).integers(1, 3, there.shape), 0))


def a_training(net: Sequential, training: Training = BUCKETED, state: State | None = None) -> ATraining:
    if net is LABELS:
        return ATraining(labelled(), net, Ctc(), training=training, state=state)
    data = words(each_step=net is EACH_STEP)
    return ATraining(data, net, CrossEntropy(), training=training, state=state)


@given(st.lists(st.integers(1, STEPS), min_size=1, max_size=60), st.integers(1, 7), st.integers(0, 9))
def test_an_order_has_every_row_once_and_a_part_of_a_batch_last(lengths: list[int], batch: int, seed: int) -> None:
    buckets = Buckets(Network(WHOLE_ROW, (STEPS,)), np.array(lengths))
    rng = np.random.default_rng(seed)
    order = buckets.order(rng.permutation(len(lengths)), batch, rng)
    assert sorted(order) == list(range(len(lengths)))
    batches = [[lengths[row] for row in order[start : start + batch]] for start in range(0, len(order), batch)]
    assert all(part == sorted(part) for part in batches)
    assert all(len(part) == batch for part in batches[:-1])
    assert all(max(part) <= buckets.width(order[n * batch : n * batch + batch]) for n, part in enumerate(batches))


def test_widths_are_quarters() -> None:
    assert [widths(steps) for steps in (8, 10, 3, 1)] == [[2, 4, 6, 8], [3, 5, 8, 10], [1, 2, 3], [1]]


@pytest.mark.parametrize(
    "net", [WHOLE_ROW, EACH_STEP, LABELS], ids=["a class a row", "a class a step", "labels of a row"]
)
def test_a_cut_batch_gives_the_step_of_the_whole(net: Sequential) -> None:
    cut, whole = a_training(net), a_training(net)
    whole.data = replace(whole.data, lengths=np.full(len(whole.data.x), STEPS))
    assert cut.state is not None
    assert whole.state is not None
    items = cut.items()
    for _ in range(10):
        before = State.restore(cut.state.arrays(), cut.state.counters())
        one = next(items)
        if cut.state.position <= BUCKETED.batch_size:
            continue  # the epoch's order is drawn in this step
        whole.state = before
        (other,) = whole.run(1)
        assert isinstance(one, Step)
        assert isinstance(other, Step)
        assert one.loss == pytest.approx(other.loss, rel=1e-5)
        np.testing.assert_allclose(cut.weights, whole.weights, rtol=1e-3, atol=1e-5)


def test_less_is_computed() -> None:
    made = a_training(WHOLE_ROW)
    buckets = Buckets(made.network, made.data.lengths)
    rng = np.random.default_rng(0)
    order = buckets.order(rng.permutation(len(made.data.x)), 4, rng)
    computed = sum(buckets.width(order[start : start + 4]) for start in range(0, len(order), 4))
    longest = sum(made.data.lengths[order[start : start + 4]].max() for start in range(0, len(order), 4))
    assert longest <= computed < STEPS * -(-len(order) // 4)
    assert computed - longest <= STEPS / WIDTHS * -(-len(order) // 4)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("items", [1, 5, 11, 14])
def test_a_training_goes_on_bit_for_bit_in_mid_epoch(items: int, shuffle: bool) -> None:
    training = replace(BUCKETED, shuffle=shuffle)
    whole, first = a_training(WHOLE_ROW, training), a_training(WHOLE_ROW, training)
    expected = whole.run()
    done = first.run(items)
    assert first.state is not None
    again = a_training(WHOLE_ROW, training, State.restore(first.state.arrays(), first.state.counters()))
    assert [*done, *again.run()] == expected
    assert again.weights.tobytes() == whole.weights.tobytes()


ABLE: list[tuple[Layer, ...]] = [
    (WORDS, Gru(units=2)),
    (WORDS, PositionalEncoding(), Residual(layer=Lstm(units=3, return_sequences=True)), GlobalAveragePooling1D()),
    (WORDS, Conv1D(filters=2, kernel_size=3, padding="same"), BatchNormalization()),
]
UNABLE: list[tuple[Layer, ...]] = [
    (WORDS, Flatten(), Dense(units=2)),
    (WORDS, Conv1D(filters=2, kernel_size=3), GlobalAveragePooling1D()),
    (Dense(units=2),),
]


@pytest.mark.parametrize("layers", ABLE, ids=range(len(ABLE)))
def test_a_net_that_takes_any_number_of_steps_can_be_cut(layers: Any) -> None:
    network = Network(sequential(*layers), (STEPS,))
    assert [cut.input_shape for cut in shorter(network)] == [(2,), (4,), (6,), (8,)]


@pytest.mark.parametrize("layers", UNABLE, ids=range(len(UNABLE)))
def test_another_cannot_and_says_so(layers: Any) -> None:
    with pytest.raises(ShapeMismatch, match="2 steps"):
        list(shorter(Network(sequential(*layers), (STEPS,))))
