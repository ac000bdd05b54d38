"""Batches cut by length give the results of uncut batches with less computation, and resume bit for bit."""

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
from core.nn.training.bucketing import NUM_WIDTHS, Buckets, cut_networks, widths
from core.nn.training.options import Step, Training
from tests.core.nn.cases import sequential
from tests.core.nn.trainings import ATraining, Rows

STEPS = 8
EMBEDDING = Embedding(input_dim=6, output_dim=3, mask_zero=True)
CLASS_OF_ROW = sequential(EMBEDDING, Gru(units=4), Dense(units=3))
CLASS_OF_STEP = sequential(EMBEDDING, Lstm(units=4, return_sequences=True), Dense(units=3))
LABELS = sequential(EMBEDDING, Gru(units=4, return_sequences=True), Dense(units=3))
BUCKETED = Training(epochs=3, batch_size=4, seed=5, metrics=(), bucket_by_length=True)


def tokens(rows: int = 42, *, each_step: bool = False) -> Rows:
    """Return sequences of tokens from 1 to 5, padded with 0."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, STEPS + 1, rows)
    is_step = np.arange(STEPS) < lengths[:, None]
    x = np.where(is_step, rng.integers(1, 6, (rows, STEPS)), 0).astype(np.float32)
    y = x.astype(int) % 3 if each_step else rng.integers(0, 3, rows)
    return Rows(x, y, lengths=lengths)


def labelled() -> Rows:
    """Return the same sequences with a label, 1 or 2, for every second step at most."""
    data = tokens()
    is_step = np.arange(STEPS // 2) < (data.lengths[:, None] + 1) // 2
    return replace(data, y=np.where(is_step, np.random.default_rng(1).integers(1, 3, is_step.shape), 0))


def a_training(net: Sequential, training: Training = BUCKETED, state: State | None = None) -> ATraining:
    if net is LABELS:
        return ATraining(labelled(), net, Ctc(), training=training, state=state)
    data = tokens(each_step=net is CLASS_OF_STEP)
    return ATraining(data, net, CrossEntropy(), training=training, state=state)


@given(st.lists(st.integers(1, STEPS), min_size=1, max_size=60), st.integers(1, 7), st.integers(0, 9))
def test_order_has_every_row_once_and_the_incomplete_batch_last(lengths: list[int], batch: int, seed: int) -> None:
    buckets = Buckets(Network(CLASS_OF_ROW, (STEPS,)), np.array(lengths))
    rng = np.random.default_rng(seed)
    order = buckets.order(rng.permutation(len(lengths)), batch, rng)
    assert sorted(order) == list(range(len(lengths)))
    batches = [[lengths[row] for row in order[start : start + batch]] for start in range(0, len(order), batch)]
    assert all(rows == sorted(rows) for rows in batches)
    assert all(len(rows) == batch for rows in batches[:-1])
    assert all(max(rows) <= buckets.width(order[n * batch : n * batch + batch]) for n, rows in enumerate(batches))


def test_widths_are_quarters_of_the_steps() -> None:
    assert [widths(steps) for steps in (8, 10, 3, 1)] == [[2, 4, 6, 8], [3, 5, 8, 10], [1, 2, 3], [1]]


@pytest.mark.parametrize(
    "net", [CLASS_OF_ROW, CLASS_OF_STEP, LABELS], ids=["class of a row", "class of a step", "labels of a row"]
)
def test_step_on_a_cut_batch_equals_that_on_the_uncut_batch(net: Sequential) -> None:
    cut, uncut = a_training(net), a_training(net)
    uncut.data = replace(uncut.data, lengths=np.full(len(uncut.data.x), STEPS))
    assert cut.state is not None
    assert uncut.state is not None
    items = cut.items()
    for _ in range(10):
        before = State.restore(cut.state.arrays(), cut.state.counters())
        step = next(items)
        if cut.state.position <= BUCKETED.batch_size:
            continue  # the epoch's order is drawn in this step
        uncut.state = before
        (expected,) = uncut.run(1)
        assert isinstance(step, Step)
        assert isinstance(expected, Step)
        assert step.loss == pytest.approx(expected.loss, rel=1e-5)
        np.testing.assert_allclose(cut.weights, uncut.weights, rtol=1e-3, atol=1e-5)


def test_cut_batches_have_fewer_steps_and_little_padding() -> None:
    training = a_training(CLASS_OF_ROW)
    buckets = Buckets(training.network, training.data.lengths)
    rng = np.random.default_rng(0)
    order = buckets.order(rng.permutation(len(training.data.x)), 4, rng)
    computed = sum(buckets.width(order[start : start + 4]) for start in range(0, len(order), 4))
    longest = sum(training.data.lengths[order[start : start + 4]].max() for start in range(0, len(order), 4))
    assert longest <= computed < STEPS * -(-len(order) // 4)
    assert computed - longest <= STEPS / NUM_WIDTHS * -(-len(order) // 4)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("items", [1, 5, 11, 14])
def test_training_resumes_bit_for_bit_within_an_epoch(items: int, shuffle: bool) -> None:
    training = replace(BUCKETED, shuffle=shuffle)
    undisturbed, first = a_training(CLASS_OF_ROW, training), a_training(CLASS_OF_ROW, training)
    expected = undisturbed.run()
    before = first.run(items)
    assert first.state is not None
    resumed = a_training(CLASS_OF_ROW, training, State.restore(first.state.arrays(), first.state.counters()))
    assert [*before, *resumed.run()] == expected
    assert resumed.weights.tobytes() == undisturbed.weights.tobytes()


CUTTABLE: list[tuple[Layer, ...]] = [
    (EMBEDDING, Gru(units=2)),
    (EMBEDDING, PositionalEncoding(), Residual(layer=Lstm(units=3, return_sequences=True)), GlobalAveragePooling1D()),
    (EMBEDDING, Conv1D(filters=2, kernel_size=3, padding="same"), BatchNormalization()),
]
NOT_CUTTABLE: list[tuple[Layer, ...]] = [
    (EMBEDDING, Flatten(), Dense(units=2)),
    (EMBEDDING, Conv1D(filters=2, kernel_size=3), GlobalAveragePooling1D()),
    (Dense(units=2),),
]


@pytest.mark.parametrize("layers", CUTTABLE, ids=range(len(CUTTABLE)))
def test_network_for_any_number_of_steps_can_be_cut(layers: Any) -> None:
    network = Network(sequential(*layers), (STEPS,))
    assert [cut.input_shape for cut in cut_networks(network)] == [(2,), (4,), (6,), (8,)]


@pytest.mark.parametrize("layers", NOT_CUTTABLE, ids=range(len(NOT_CUTTABLE)))
def test_network_for_one_number_of_steps_cannot_be_cut(layers: Any) -> None:
    with pytest.raises(ShapeMismatch, match="2 steps"):
        list(cut_networks(Network(sequential(*layers), (STEPS,))))
