"""The batches of a training: order, positions, sample weights, and the numbers of their rows."""

from dataclasses import replace

import numpy as np
import pytest

from core.nn.losses.categorical import CrossEntropy
from core.nn.network import Network
from core.nn.optimizers.adam import Adam
from core.nn.step.context import PassContext
from core.nn.step.state import State, start
from core.nn.training.batches import Batches
from core.nn.training.options import Training
from tests.core.nn.trainings import STATEFUL, Rows, classes

DATA = classes(20)


def a_state(seed: int = 0) -> State:
    """Return the state before the first step."""
    return start(Network(STATEFUL, (4,)), Adam(), seed)


def some_batches(data: Rows = DATA, *, shuffle: bool = True) -> Batches:
    """Return batches of 8 rows."""
    training = Training(batch_size=8, shuffle=shuffle, metrics=())
    return Batches(Network(STATEFUL, (4,)), CrossEntropy(), training, data)


def epoch(batches: Batches, state: State) -> list[tuple[list[list[float]], list[int]]]:
    """Return inputs and targets of the batches of an epoch, whose state then stands at its end."""
    state.position, found = 0, []
    while state.position < batches.rows:
        x, y = batches.next_batch(state, PassContext(training=True))
        found.append((x.tolist(), y.tolist()))
        state.position += len(x)
    return found


def test_rows_without_shuffle_keep_their_order() -> None:
    found = epoch(some_batches(shuffle=False), a_state())
    assert [len(x) for x, _ in found] == [8, 8, 4]
    assert [row for x, _ in found for row in x] == DATA.x.tolist()
    assert [target for _, y in found for target in y] == DATA.y.tolist()


def test_shuffled_epochs_have_each_row_once_in_new_orders() -> None:
    batches, state = some_batches(), a_state()
    first, second = epoch(batches, state), epoch(batches, state)
    pairs = [sorted((*row, target) for x, y in found for row, target in zip(x, y, strict=True))
             for found in (first, second)]  # fmt: skip
    assert pairs[0] == pairs[1] == sorted((*row, y) for row, y in zip(DATA.x.tolist(), DATA.y.tolist(), strict=True))
    assert first != second
    assert first == epoch(some_batches(), a_state())


@pytest.mark.parametrize("shuffle", [False, True])
def test_batch_within_an_epoch_depends_only_on_the_state(shuffle: bool) -> None:
    state = a_state()
    expected = epoch(some_batches(shuffle=shuffle), state)
    state.position = 8
    x, y = some_batches(shuffle=shuffle).next_batch(state, PassContext(training=True))
    assert (x.tolist(), y.tolist()) == expected[1]
    assert state.position == 8


@pytest.mark.parametrize("shuffle", [False, True])
def test_sample_weights_and_row_numbers_are_those_of_the_rows(shuffle: bool) -> None:
    data = replace(DATA, sample_weight=np.arange(20, dtype=np.float32))
    batches, state, ctx = some_batches(data, shuffle=shuffle), a_state(), PassContext(training=True)
    for position in (0, 8, 16):
        state.position = position
        x, _ = batches.next_batch(state, ctx)
        numbers = [batches.row_number(state, row) for row in range(len(x))]
        assert x.tolist() == data.x[numbers].tolist()
        assert ctx.sample_weight is not None
        assert ctx.sample_weight.tolist() == numbers
