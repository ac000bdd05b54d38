"""Labels of sequences: every way to say them counts, and no step that is not there."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.nn.layers.dense import Dense
from core.nn.layers.masking import Masking
from core.nn.layers.recurrent import Gru
from core.nn.losses.base import Targets
from core.nn.losses.ctc import Ctc, NoAlignment
from core.nn.metrics.sequences import EditDistance, distances
from core.nn.optimizers.adam import Adam
from core.nn.schedules import ConstantRate
from core.nn.step.context import PassContext
from core.nn.training.options import Epoch, Training
from tests.core.nn.cases import sequential
from tests.core.nn.losses.test_sample_weights import a_run
from tests.core.nn.trainings import ATraining, Rows, peak_bytes

CTC = Ctc()


def lost(outputs: Any, labels: Any, run: PassContext, loss: Ctc = CTC) -> tuple[float, Any]:
    """The value and its gradient."""
    value, backward = loss.forward(outputs, loss.encode(np.asarray(labels), outputs.shape[1:]), run)
    return value, backward().copy()


def said(steps: tuple[int, ...]) -> tuple[int, ...]:
    """What the classes of steps say."""
    return tuple(one for one, _ in itertools.groupby(steps) if one)


@pytest.mark.parametrize("labels", [(), (1,), (2, 1), (1, 1), (2, 2, 1)])
def test_every_way_to_say_the_labels_counts(labels: tuple[int, ...]) -> None:
    outputs = np.random.default_rng(0).standard_normal((1, 5, 3))
    chances = np.exp(outputs[0]) / np.exp(outputs[0]).sum(axis=1, keepdims=True)
    ways = [way for way in itertools.product(range(3), repeat=5) if said(way) == labels]
    expected = -np.log(sum(np.prod(chances[np.arange(5), way]) for way in ways))
    padded = np.zeros((1, 3), int)
    padded[0, : len(labels)] = labels
    value, _ = lost(outputs, padded, a_run())
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("zero_infinity", [False, True])
def test_it_is_torchs(torch: Any, masked: bool, zero_infinity: bool) -> None:
    rng = np.random.default_rng(1)
    outputs, labels = rng.standard_normal((6, 12, 5)), rng.integers(1, 5, (6, 4))
    labels[1], labels[2, 2:], labels[3], labels[4] = 2, 0, 0, [1, 1, 0, 0]
    steps = np.array([12, 9, 5, 3, 4, 2 if zero_infinity else 8]) if masked else np.full(6, 12)
    weights = np.array([1, 2, 0, 1, 0.5, 1])
    mask = np.arange(12) < steps[:, None] if masked else None
    value, gradient = lost(outputs, labels, a_run(mask, weights), Ctc(zero_infinity=zero_infinity))
    theirs = torch.tensor(outputs, requires_grad=True)
    each = torch.nn.functional.ctc_loss(
        theirs.log_softmax(-1).transpose(0, 1),
        torch.tensor(labels),
        torch.tensor(steps),
        torch.tensor((labels > 0).sum(axis=1)),
        reduction="none",
        zero_infinity=zero_infinity,
    )
    expected = (each * torch.tensor(weights)).sum() / weights.sum()
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-10)
    np.testing.assert_allclose(gradient, theirs.grad.numpy(), rtol=1e-9, atol=1e-14)


def test_steps_that_are_not_there_say_nothing_wherever_they_are() -> None:
    rng = np.random.default_rng(2)
    outputs, labels = rng.standard_normal((1, 7, 4)), [[3, 1]]
    mask = np.array([[False, True, True, False, True, True, False]])
    value, gradient = lost(outputs, labels, a_run(mask))
    there, slopes = lost(outputs[:, mask[0]], labels, a_run())
    assert value == pytest.approx(there, rel=1e-12)
    np.testing.assert_allclose(gradient[mask], slopes[0], rtol=1e-12, atol=1e-15)
    assert not gradient[~mask].any()


def test_rows_without_room_for_their_labels_are_named() -> None:
    outputs = np.zeros((3, 3, 3))
    labels = [[1, 2, 1], [1, 1, 2], [1, 0, 0]]  # two equal ones need a step between them
    with pytest.raises(NoAlignment, match="rows 1 of a batch have more labels than steps") as raised:
        lost(outputs, labels, a_run())
    assert raised.value.rows == [1]
    value, gradient = lost(outputs, labels, a_run(), Ctc(zero_infinity=True))
    others, _ = lost(outputs[[0, 2]], [labels[0], labels[2]], a_run())
    assert value == pytest.approx(others * 2 / 3, rel=1e-12)
    assert not gradient[1].any()


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_what_is_no_number_any_more_is_not_taken_for_a_lack_of_steps(zero_infinity: bool) -> None:
    outputs = np.zeros((2, 5, 3))
    outputs[1, 2] = np.nan
    with np.errstate(all="ignore"):
        value, _ = lost(outputs, [[1, 2], [1, 0]], a_run(), Ctc(zero_infinity=zero_infinity))
    assert np.isnan(value)


@pytest.mark.parametrize(("steps", "classes", "most"), [(100, 30, 20), (50, 200, 10), (60, 3, 30)])
def test_a_batch_takes_the_memory_that_is_estimated(steps: int, classes: int, most: int) -> None:
    rng = np.random.default_rng(5)
    outputs = rng.standard_normal((128, steps, classes)).astype(np.float32)
    labels: Any = rng.integers(1, classes, (128, most))

    def passes() -> Any:
        _, backward = CTC.forward(outputs, labels, PassContext(training=True))
        return backward()

    peak = peak_bytes(passes)
    said = CTC.scratch_bytes(128, (steps, classes), Targets(shape=(most,)))
    assert said / 1.6 < peak < said


def test_what_is_likeliest_is_said_once_and_blanks_are_left_out() -> None:
    classes = np.array([[1, 1, 0, 1, 2, 2], [0, 0, 0, 0, 0, 0], [2, 0, 0, 3, 3, 1]])
    outputs = np.eye(4)[classes]
    assert CTC.link(outputs).tolist() == [[1, 1, 2, 0, 0, 0], [0] * 6, [2, 3, 1, 0, 0, 0]]
    mask = np.array([[1, 1, 0, 1, 1, 0], [1] * 6, [0, 1, 1, 1, 1, 0]], bool)
    assert CTC.link(outputs, mask).tolist() == [[1, 2, 0, 0, 0, 0], [0] * 6, [3, 0, 0, 0, 0, 0]]


def simply(one: list[int], other: list[int]) -> int:
    """The edit distance by its definition."""
    if not one or not other:
        return len(one) + len(other)
    rest = simply(one[1:], other[1:]) + (one[0] != other[0])
    return min(rest, simply(one[1:], other) + 1, simply(one, other[1:]) + 1)


LABELS = st.lists(st.integers(1, 3), max_size=5)


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=4))
def test_the_edit_distance_is_that_of_its_definition(pairs: list[tuple[list[int], list[int]]]) -> None:
    one, other = (np.array([row + [0] * (5 - len(row)) for row in rows]) for rows in zip(*pairs, strict=True))
    assert distances(one, other).tolist() == [simply(*pair) for pair in pairs]


def spoken(rows: int) -> Rows:
    """Up to four symbols, each for one to three noisy steps with a pause after it; 12 steps, and 0 where none is."""
    rng = np.random.default_rng(3)
    x, y = np.zeros((rows, 24, 4), np.float32), np.zeros((rows, 4), np.int64)
    for one, labels in zip(x, y, strict=True):
        step = 0
        for place in range(rng.integers(1, 5)):
            labels[place] = rng.integers(1, 4)
            lasting = int(rng.integers(1, 4))
            one[step : step + lasting, labels[place]] = 1
            one[step + lasting, 0] = 1
            step += lasting + 1
        one[:step] += 0.1 * rng.standard_normal((step, 4))
    return Rows(x[: rows // 2], y[: rows // 2], x[rows // 2 :], y[rows // 2 :])


def a_speech() -> ATraining:
    """A net that hears what is spoken."""
    return ATraining(
        spoken(240),
        sequential(Masking(), Gru(units=16, return_sequences=True), Dense(units=4)),
        CTC,
        Adam(learning_rate=ConstantRate(learning_rate=0.02)),
        Training(epochs=12, batch_size=12, metrics=(EditDistance(),), seed=4),
    )


def test_a_net_learns_what_is_spoken_though_nobody_says_when() -> None:
    epochs = [item for item in a_speech().run() if isinstance(item, Epoch)]
    assert epochs[0].metrics["val_edit_distance"] > 0.3
    assert epochs[-1].metrics["val_edit_distance"] < 0.05
    assert epochs[-1].metrics["loss"] < epochs[0].metrics["loss"] / 10


def test_the_loss_of_an_epoch_is_the_mean_over_its_rows() -> None:
    training = a_speech()
    assert training.state is not None
    assert training.data.x_validation is not None
    run = PassContext(training=False)
    outputs, _ = training.network.forward(
        training.data.x_validation, training.network.views(training.weights, training.state.statistics), run
    )
    value, _ = CTC.forward(outputs, CTC.encode(training.data.y_validation, (24, 4)), run)
    slow = Adam(learning_rate=ConstantRate(learning_rate=1e-12))
    once = Training(epochs=1, batch_size=50, metrics=())
    *_, epoch = ATraining(training.data, training.architecture, CTC, slow, once, training.state).run()
    assert isinstance(epoch, Epoch)
    assert epoch.metrics["val_loss"] == pytest.approx(value, rel=1e-5)
