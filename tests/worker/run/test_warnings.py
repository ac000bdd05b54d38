"""Tests of worker/run/warnings.py."""

import math
from typing import Any

from core.nn.training.options import Epoch, Step
from core.warnings import MAX_WARNINGS, WarningMessage
from worker.run.warnings import RunWarnings


def an_epoch(number: int, loss: float, stop: str | None = None, **metrics: float) -> Epoch:
    return Epoch(10 * number, number, {"loss": loss, **metrics}, 0.1, stop)


def codes(warnings: RunWarnings) -> list[str]:
    return [code for code, _, _ in warnings.columns().get("warnings", [])]


def a_step(number: int, loss: float) -> Step:
    return Step(number, 1, loss, 0.1)


def never(name: str, count: int) -> list[float]:
    raise AssertionError("the first losses are known")


def test_metric_that_is_undefined_is_told_once() -> None:
    warnings = RunWarnings([], never)
    for number in (1, 2, 3):
        warnings.see([an_epoch(number, 1.0, val_roc_auc=math.nan, val_accuracy=0.5)])
    assert codes(warnings) == ["metric_undefined"]
    assert "val_roc_auc is not defined" in warnings.columns()["warnings"][0][2]


def test_loss_that_is_no_number_is_no_undefined_metric() -> None:
    warnings = RunWarnings([], never)
    warnings.see([an_epoch(1, 1.0, val_loss=math.nan)])
    assert warnings.columns() == {}


def test_loss_that_grew_is_told_at_the_end() -> None:
    warnings = RunWarnings([], never)
    warnings.see([an_epoch(1, 27.0), an_epoch(2, 900.0), an_epoch(3, 482138.0)])
    assert warnings.columns() == {}
    warnings.end()
    assert codes(warnings) == ["loss_grew"]
    assert "grew from 27 in the first epoch to 482138" in warnings.columns()["warnings"][0][2]


def test_loss_that_grew_is_told_however_many_warnings_there_are() -> None:
    stored = [["column_left_out", f"/data/features/{number}", "…"] for number in range(MAX_WARNINGS)]
    warnings = RunWarnings(stored, never, "/optimizer/optimizer/learning_rate")
    warnings.see([an_epoch(1, 1.0), an_epoch(2, 5.0)])
    warnings.end()
    found = warnings.columns()["warnings"]
    assert len(found) == MAX_WARNINGS
    assert found[-1][:2] == ["loss_grew", "/optimizer/optimizer/learning_rate"]


def test_first_losses_of_a_resumed_run_are_read() -> None:
    asked = []

    def read(name: str, count: int) -> list[float]:
        asked.append((name, count))
        return [1.0] * count

    epochs = RunWarnings([], read)
    epochs.see([an_epoch(8, 3.0), an_epoch(9, 4.0)])
    epochs.end()
    steps = RunWarnings([], read)
    steps.see([a_step(number, 11.0) for number in range(30, 40)])
    steps.end()
    assert (codes(epochs), codes(steps)) == (["loss_grew"], ["loss_grew"])
    assert asked == [("epoch_loss", 1), ("loss", 5)]
    without = RunWarnings([], lambda _name, _count: [])
    without.see([an_epoch(9, 4.0)])
    without.end()
    assert without.columns() == {}


def test_loss_that_grew_within_the_only_epoch_is_told() -> None:
    warnings = RunWarnings([], never)
    steps = [a_step(number, 2.0**number) for number in range(1, 11)]
    warnings.see([*steps, an_epoch(1, 300.0)])
    warnings.see(steps)  # a write is tried again
    warnings.end()
    assert codes(warnings) == ["loss_grew"]
    assert "from 12.4 in the first steps to 396.8 in the last ones" in warnings.columns()["warnings"][0][2]


def test_loss_that_fell_or_varies_is_fine() -> None:
    for losses in ([1.0, 1.9], [1.0, math.inf]):
        warnings = RunWarnings([], never)
        warnings.see([an_epoch(number, loss) for number, loss in enumerate(losses, 1)])
        warnings.end()
        assert warnings.columns() == {}
    batches = RunWarnings([], never)
    batches.see([a_step(number, 0.5 + number % 4) for number in range(1, 30)])
    batches.end()
    assert batches.columns() == {}


def test_stored_warnings_stay_and_are_not_repeated() -> None:
    stored: list[Any] = [["metric_undefined", "/training/metrics", "as before"], ["small_class", "/data/y", "…"]]
    warnings = RunWarnings(stored, never)
    warnings.see([an_epoch(5, 1.0, val_r2=math.nan)])
    assert warnings.columns() == {}
    warnings.add([WarningMessage("leaking_column", "/data/features", "…")])
    assert codes(warnings) == ["metric_undefined", "small_class", "leaking_column"]
