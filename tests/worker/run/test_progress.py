"""The rows and columns of a run's progress."""

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest

from core.jobs.cadence import Cadence
from core.jobs.spec import JobSpec
from core.nn.network import Network
from core.nn.step.state import Best, State, start
from core.nn.training.options import Epoch, Step
from core.store.events import MetricRow
from tests.worker.jobs import a_spec
from worker.run.progress import MICROSECONDS, Progress, SampleCounter
from worker.run.warnings import RunWarnings


def a_state() -> State:
    spec = JobSpec.model_validate_json(json.dumps(a_spec()))
    return start(Network(spec.architecture, (1,)), spec.optimizer, 0)


def a_progress(
    stored: Sequence[tuple[object, ...]] = (), emitted: int = 0, tables: dict[str, Any] | None = None
) -> Progress:
    def read(first: int, count: int) -> list[MetricRow]:
        return [MetricRow(*row) for row in stored[first : first + count]]  # type: ignore[arg-type]

    return Progress(
        a_state(),
        Cadence(1, 1),
        SampleCounter(5, 2),
        emitted=emitted,
        recorded=len(stored),
        read_stored=read,
        runtime=3 * MICROSECONDS,
        warnings=RunWarnings([], lambda _name, _count: []),
        tables=tables or {},
    )


def a_step(step: int, loss: float = 0.5) -> Step:
    return Step(step, 1, loss, 0.1)


@pytest.mark.parametrize(("step", "samples"), [(0, 0), (1, 2), (2, 4), (3, 5), (4, 7), (6, 10), (8, 14)])
def test_samples_are_counted_with_a_smaller_last_batch(step: int, samples: int) -> None:
    assert SampleCounter(rows=5, batch_size=2).samples(step) == samples


def test_rows_are_collected_once() -> None:
    progress = a_progress()
    progress.items += [a_step(1), a_step(2)]
    rows, logs = progress.collect()
    assert rows == [MetricRow(1, 1, "train", "loss", 0.5), MetricRow(2, 1, "train", "loss", 0.5)]
    assert logs == []
    assert progress.collect() == ([], [])
    assert progress.emitted == 2


def test_columns_are_empty_before_the_first_step() -> None:
    assert a_progress().columns() == {}


def test_columns_hold_the_newest_value_of_each_metric() -> None:
    progress = a_progress()
    progress.items += [a_step(1, 9.0), Epoch(1, 1, {"loss": 9.0, "val_loss": 7.0}, 0.1, None), a_step(2, 4.0)]
    progress.collect()
    columns = progress.columns()
    assert (columns["step"], columns["epoch"]) == (2, 1)
    assert columns["latest"] == {"loss": 4.0, "val_loss": 7.0, "learning_rate": 0.1}
    assert columns["runtime"] >= 3 * MICROSECONDS


def test_table_of_an_epoch_is_kept_until_the_next_epoch() -> None:
    progress = a_progress()
    progress.items += [Epoch(1, 1, {"loss": 9.0}, 0.1, None, {"confusion_matrix": [[1, 0], [2, 3]]}), a_step(2, 4.0)]
    progress.collect()
    latest = progress.columns()["latest"]
    assert latest == {
        "loss": 4.0,
        "learning_rate": 0.1,
        "tables": {"confusion_matrix": [[1, 0], [2, 3]], "classes": []},
    }


def test_tables_of_the_best_epoch_stay_also_over_another_run() -> None:
    progress = a_progress()
    progress._state.best = Best(metric="loss", value=9.0, epoch=1, step=1)
    first, second = [[4, 0], [0, 2]], [[3, 1], [0, 2]]
    progress.items += [Epoch(1, 1, {"loss": 9.0}, 0.1, None, {"confusion_matrix": first})]
    progress.collect()
    progress.items += [Epoch(2, 2, {"loss": 9.5}, 0.1, None, {"confusion_matrix": second})]
    progress.collect()
    tables = progress.columns()["latest"]["tables"]
    assert tables == {"confusion_matrix": second, "classes": [], "best": {"epoch": 1, "confusion_matrix": first}}
    resumed = a_progress(tables=tables)
    resumed._state.best = progress._state.best
    resumed.items += [a_step(3)]
    resumed.collect()
    assert resumed.columns()["latest"]["tables"] == tables


def test_work_done_is_counted_once() -> None:
    progress = a_progress()
    progress.items += [a_step(1), a_step(2), a_step(3)]
    progress.collect()
    done = progress.take_work_done()
    assert (done.steps, done.samples) == (3, 5)
    assert done.seconds > 0
    assert progress.take_work_done().steps == 0


def test_stored_rows_are_compared_and_not_stored_again() -> None:
    stored = [MetricRow(1, 1, "train", "loss", 0.5), MetricRow(2, 1, "train", "loss", math.nan)]
    progress = a_progress(stored)
    progress.items += [a_step(1), a_step(2, math.nan), a_step(3)]
    rows, logs = progress.collect()
    assert rows == [MetricRow(3, 1, "train", "loss", 0.5)]
    assert logs == []


def test_first_row_that_differs_is_logged_once() -> None:
    stored = [MetricRow(step, 1, "train", "loss", 0.25) for step in (1, 2, 3)]
    progress = a_progress(stored)
    progress.items += [a_step(1), a_step(2)]
    rows, (log,) = progress.collect()
    assert rows == []
    assert log.data == {
        "code": "not_reproduced", "name": "loss", "split": "train", "stored": 0.25, "computed": 0.5,
    }  # fmt: skip
    assert log.step == 1
    progress.items += [a_step(3)]
    assert progress.collect() == ([], [])


def test_run_from_a_checkpoint_compares_the_rows_after_it() -> None:
    stored = [MetricRow(step, 1, "train", "loss", step / 10) for step in (1, 2, 3)]
    progress = a_progress(stored, emitted=2)
    progress.items += [a_step(3, 0.3), a_step(4)]
    rows, logs = progress.collect()
    assert rows == [MetricRow(4, 1, "train", "loss", 0.5)]
    assert logs == []
    assert progress.emitted == 4


def test_no_row_is_lost_when_stored_rows_cannot_be_read() -> None:
    progress = a_progress([MetricRow(1, 1, "train", "loss", 0.5)])
    read = progress._read_stored
    progress._read_stored = lambda *_: 1 / 0  # type: ignore[assignment]  # the database is away
    progress.items += [a_step(1), a_step(2)]
    with pytest.raises(ZeroDivisionError):
        progress.collect()
    progress._read_stored = read
    assert [step for step, *_ in progress.collect()[0]] == [2]
