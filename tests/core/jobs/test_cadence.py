"""The selection of metric rows."""

import pytest

from core.jobs.cadence import MAX_EPOCHS_WITH_ROWS, MAX_STEP_ROWS, Cadence
from core.nn.training.options import Epoch, Step, Training


def test_epoch_writes_a_row_for_each_metric() -> None:
    epoch = Epoch(30, 3, {"loss": 0.5, "accuracy": 0.9, "val_loss": 0.6}, 0.01, None)
    assert Cadence(1, 1).rows([epoch]) == [
        (30, 3, "train", "epoch_loss", 0.5),
        (30, 3, "train", "accuracy", 0.9),
        (30, 3, "validation", "val_loss", 0.6),
        (30, 3, "train", "learning_rate", 0.01),
    ]


def test_short_training_writes_a_row_for_each_step() -> None:
    cadence = Cadence.of(Training(epochs=100, batch_size=5), 5)
    assert cadence == Cadence(1, 1)
    assert cadence.rows([Step(7, 2, 0.25, 0.1)]) == [(7, 2, "train", "loss", 0.25)]


@pytest.mark.parametrize(("epochs", "rows"), [(100, 5), (10**6, 7), (3, 10**6), (12_345, 321)])
def test_long_training_stays_within_the_limits(epochs: int, rows: int) -> None:
    training = Training(epochs=epochs, batch_size=5)
    cadence = Cadence.of(training, rows)
    assert len(range(0, training.steps(rows), cadence.steps)) <= MAX_STEP_ROWS
    assert len(range(0, epochs, cadence.epochs)) <= MAX_EPOCHS_WITH_ROWS


def test_first_step_and_last_epoch_always_write_rows() -> None:
    cadence = Cadence.of(Training(epochs=10**6, batch_size=1, log_every=500), 1)
    assert cadence.rows([Step(1, 1, 1.0, 0.1)])
    assert not cadence.rows([Step(2, 1, 1.0, 0.1)])
    assert cadence.rows([Step(501, 1, 1.0, 0.1)])
    assert not cadence.rows([Epoch(2, 2, {"loss": 1.0}, 0.1, None)])
    assert cadence.rows([Epoch(2, 2, {"loss": 1.0}, 0.1, "converged")])
