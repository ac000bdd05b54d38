"""CTC: against the sum over all alignments and PyTorch, its masks, its decoding, and a training."""

import itertools
from typing import Any

import numpy as np
import pytest

from core.nn.layers.dense import Dense
from core.nn.layers.masking import Masking
from core.nn.layers.recurrent import Gru
from core.nn.losses.base import Targets
from core.nn.losses.ctc import Ctc, NoAlignment
from core.nn.metrics.sequences import EditDistance
from core.nn.optimizers.adam import Adam
from core.nn.schedules import ConstantRate
from core.nn.step.context import PassContext
from core.nn.training.options import Epoch, Training
from tests.core.nn.cases import sequential
from tests.core.nn.losses.test_sample_weights import context
from tests.core.nn.trainings import ATraining, Rows, peak_bytes

CTC = Ctc()


def loss_and_gradient(outputs: Any, labels: Any, ctx: PassContext, loss: Ctc = CTC) -> tuple[float, Any]:
    """Return the loss and its gradient."""
    value, backward = loss.forward(outputs, loss.encode(np.asarray(labels), outputs.shape[1:]), ctx)
    return value, backward().copy()


def labels_of(alignment: tuple[int, ...]) -> tuple[int, ...]:
    """Return the labels of an alignment: repetitions merged, blanks removed."""
    return tuple(label for label, _ in itertools.groupby(alignment) if label)


@pytest.mark.parametrize("labels", [(), (1,), (2, 1), (1, 1), (2, 2, 1)])
def test_ctc_is_the_sum_over_all_alignments(labels: tuple[int, ...]) -> None:
    outputs = np.random.default_rng(0).standard_normal((1, 5, 3))
    p = np.exp(outputs[0]) / np.exp(outputs[0]).sum(axis=1, keepdims=True)
    alignments = [path for path in itertools.product(range(3), repeat=5) if labels_of(path) == labels]
    expected = -np.log(sum(np.prod(p[np.arange(5), path]) for path in alignments))
    padded = np.zeros((1, 3), int)
    padded[0, : len(labels)] = labels
    value, _ = loss_and_gradient(outputs, padded, context())
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("zero_infinity", [False, True])
def test_ctc_matches_torch(torch: Any, masked: bool, zero_infinity: bool) -> None:
    rng = np.random.default_rng(1)
    outputs, labels = rng.standard_normal((6, 12, 5)), rng.integers(1, 5, (6, 4))
    labels[1], labels[2, 2:], labels[3], labels[4] = 2, 0, 0, [1, 1, 0, 0]
    steps = np.array([12, 9, 5, 3, 4, 2 if zero_infinity else 8]) if masked else np.full(6, 12)
    weights = np.array([1, 2, 0, 1, 0.5, 1])
    mask = np.arange(12) < steps[:, None] if masked else None
    value, gradient = loss_and_gradient(outputs, labels, context(mask, weights), Ctc(zero_infinity=zero_infinity))
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


def test_masked_steps_anywhere_are_ignored() -> None:
    rng = np.random.default_rng(2)
    outputs, labels = rng.standard_normal((1, 7, 4)), [[3, 1]]
    mask = np.array([[False, True, True, False, True, True, False]])
    value, gradient = loss_and_gradient(outputs, labels, context(mask))
    expected, gradients = loss_and_gradient(outputs[:, mask[0]], labels, context())
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(gradient[mask], gradients[0], rtol=1e-12, atol=1e-15)
    assert not gradient[~mask].any()


def test_rows_without_alignment_are_named_or_have_no_loss() -> None:
    outputs = np.zeros((3, 3, 3))
    labels = [[1, 2, 1], [1, 1, 2], [1, 0, 0]]  # two equal labels need a step between them
    with pytest.raises(NoAlignment, match="rows 1 of a batch have more labels than steps") as raised:
        loss_and_gradient(outputs, labels, context())
    assert raised.value.rows == [1]
    value, gradient = loss_and_gradient(outputs, labels, context(), Ctc(zero_infinity=True))
    remaining, _ = loss_and_gradient(outputs[[0, 2]], [labels[0], labels[2]], context())
    assert value == pytest.approx(remaining * 2 / 3, rel=1e-12)
    assert not gradient[1].any()


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_nan_is_not_taken_for_a_missing_alignment(zero_infinity: bool) -> None:
    outputs = np.zeros((2, 5, 3))
    outputs[1, 2] = np.nan
    with np.errstate(all="ignore"):
        value, _ = loss_and_gradient(outputs, [[1, 2], [1, 0]], context(), Ctc(zero_infinity=zero_infinity))
    assert np.isnan(value)


@pytest.mark.parametrize(("steps", "classes", "labels"), [(100, 30, 20), (50, 200, 10), (60, 3, 30)])
def test_peak_memory_of_a_batch_is_within_scratch_bytes(steps: int, classes: int, labels: int) -> None:
    rng = np.random.default_rng(5)
    outputs = rng.standard_normal((128, steps, classes)).astype(np.float32)
    targets: Any = rng.integers(1, classes, (128, labels))

    def passes() -> Any:
        _, backward = CTC.forward(outputs, targets, PassContext(training=True))
        return backward()

    peak = peak_bytes(passes)
    estimated = CTC.scratch_bytes(128, (steps, classes), Targets(shape=(labels,)))
    assert estimated / 1.6 < peak < estimated


def test_link_merges_repetitions_and_removes_blanks() -> None:
    classes = np.array([[1, 1, 0, 1, 2, 2], [0, 0, 0, 0, 0, 0], [2, 0, 0, 3, 3, 1]])
    outputs = np.eye(4)[classes]
    assert CTC.link(outputs).tolist() == [[1, 1, 2, 0, 0, 0], [0] * 6, [2, 3, 1, 0, 0, 0]]
    mask = np.array([[1, 1, 0, 1, 1, 0], [1] * 6, [0, 1, 1, 1, 1, 0]], bool)
    assert CTC.link(outputs, mask).tolist() == [[1, 2, 0, 0, 0, 0], [0] * 6, [3, 0, 0, 0, 0, 0]]


def noisy_symbols(rows: int) -> Rows:
    """Return rows of up to four symbols, each for one to three noisy steps with a pause after it, padded with 0."""
    rng = np.random.default_rng(3)
    x, y = np.zeros((rows, 24, 4), np.float32), np.zeros((rows, 4), np.int64)
    for row, labels in zip(x, y, strict=True):
        step = 0
        for index in range(rng.integers(1, 5)):
            labels[index] = rng.integers(1, 4)
            duration = int(rng.integers(1, 4))
            row[step : step + duration, labels[index]] = 1
            row[step + duration, 0] = 1
            step += duration + 1
        row[:step] += 0.1 * rng.standard_normal((step, 4))
    return Rows(x[: rows // 2], y[: rows // 2], x[rows // 2 :], y[rows // 2 :])


def symbol_training() -> ATraining:
    """Return a training of a recurrent network on noisy symbols."""
    return ATraining(
        noisy_symbols(240),
        sequential(Masking(), Gru(units=16, return_sequences=True), Dense(units=4)),
        CTC,
        Adam(learning_rate=ConstantRate(learning_rate=0.02)),
        Training(epochs=12, batch_size=12, metrics=(EditDistance(),), seed=4),
    )


def test_training_without_aligned_labels_reaches_a_small_edit_distance() -> None:
    epochs = [item for item in symbol_training().run() if isinstance(item, Epoch)]
    assert epochs[0].metrics["val_edit_distance"] > 0.3
    assert epochs[-1].metrics["val_edit_distance"] < 0.05
    assert epochs[-1].metrics["loss"] < epochs[0].metrics["loss"] / 10


def test_validation_loss_of_an_epoch_is_the_mean_over_its_rows() -> None:
    training = symbol_training()
    assert training.state is not None
    assert training.data.x_validation is not None
    ctx = PassContext(training=False)
    outputs, _ = training.network.forward(
        training.data.x_validation, training.network.views(training.weights, training.state.statistics), ctx
    )
    value, _ = CTC.forward(outputs, CTC.encode(training.data.y_validation, (24, 4)), ctx)
    tiny_steps = Adam(learning_rate=ConstantRate(learning_rate=1e-12))
    one_epoch = Training(epochs=1, batch_size=50, metrics=())
    *_, epoch = ATraining(training.data, training.architecture, CTC, tiny_steps, one_epoch, training.state).run()
    assert isinstance(epoch, Epoch)
    assert epoch.metrics["val_loss"] == pytest.approx(value, rel=1e-5)
