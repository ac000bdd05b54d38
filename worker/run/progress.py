"""Collected output of a training: rows to store, and the columns with the job's position.

After an interruption the first rows are already stored: they are compared with the stored ones and not stored again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from time import monotonic
from types import MappingProxyType
from typing import Any

from core.jobs.cadence import Cadence, Row
from core.nn.metrics.base import Table
from core.nn.step.state import State
from core.nn.training.options import Epoch, Step
from core.store.events import LogRow, MetricRow
from core.store.tables import BEST_TABLES, CLASSES, TABLES
from worker.run.warnings import RunWarnings
from worker.run.write_batch import WorkDone

MICROSECONDS = 1_000_000
"""Microseconds in a second."""
MAX_NAME_LENGTH = 256
"""Characters of a class name in the job's row; the checkpoint has all of it."""


@dataclass(frozen=True)
class SampleCounter:
    """Counts the samples of a number of training steps.

    Parameters
    ----------
    rows
        Rows of the training data.
    batch_size
        Rows of a batch; the last batch of an epoch may be smaller.
    """

    rows: int
    batch_size: int

    def samples(self, step: int) -> int:
        """Return the number of samples in the first `step` steps."""
        epochs, steps = divmod(step, -(-self.rows // self.batch_size))
        return epochs * self.rows + min(steps * self.batch_size, self.rows)


class Progress:
    """The rows and columns of one run. The training thread appends to `items`, the writer thread collects.

    Parameters
    ----------
    state
        The training's state; its best epoch is reported.
    cadence
        Which steps and epochs write rows.
    sample_counter
        Counts the samples of the steps.
    emitted
        Rows that the training had emitted when `state` was saved.
    recorded
        Rows that are stored.
    read_stored
        Reads `count` stored rows, beginning with row number `first`.
    runtime
        Microseconds of training before this run.
    warnings
        The warnings of the job.
    class_names
        The names of the classes that tables count, in the order of their rows and columns.
    tables
        The tables in the job's row, those from before this run.
    max_rows
        Rows that are stored; further rows are dropped, and `full` is set.
    """

    def __init__(
        self,
        state: State,
        cadence: Cadence,
        sample_counter: SampleCounter,
        *,
        emitted: int,
        recorded: int,
        read_stored: Callable[[int, int], list[MetricRow]],
        runtime: float,
        warnings: RunWarnings,
        class_names: Sequence[str] = (),
        tables: Mapping[str, Any] = MappingProxyType({}),
        max_rows: int | None = None,
    ) -> None:
        self.items: list[Step | Epoch] = []
        self.emitted = emitted
        """Rows that the training has emitted since its first step, including those that were already stored."""
        self.full = False
        """Whether the training emits more rows than are stored."""
        self.ended = False
        """Whether the training has emitted all of its rows, and does not resume."""
        self._max_rows = max_rows
        self._state = state
        self._cadence = cadence
        self._sample_counter = sample_counter
        self._recorded = recorded
        self._read_stored = read_stored
        self.latest: dict[str, float] = {}
        known = dict(tables)
        self.best_tables: dict[str, Any] = known.pop(BEST_TABLES, {})
        self.tables: dict[str, Table] = {name: table for name, table in known.items() if name != CLASSES}
        self._class_names = [name[:MAX_NAME_LENGTH] for name in class_names]
        self._last: Step | Epoch | None = None
        self._runtime_before = runtime
        self._began_at = monotonic()
        self._counted_step = state.step
        self._counted_seconds = 0.0
        self._differs = False
        self._warnings = warnings

    @property
    def begun(self) -> bool:
        """Whether anything was collected yet."""
        return self._last is not None

    @property
    def seconds(self) -> float:
        """Seconds of training so far, including earlier runs."""
        return self._runtime_before / MICROSECONDS + monotonic() - self._began_at

    def collect(self) -> tuple[list[Row], list[LogRow]]:
        """Return the rows to store of the items since the last call, and logs about them.

        If the database is away when stored rows are read, nothing is lost: call again.
        """
        items = self.items[:]
        self._warnings.see(items)
        if self.ended:
            self._warnings.end()
        rows = self._cadence.rows(items)
        if self._max_rows is not None and self.emitted + len(rows) > self._max_rows:
            rows, self.full = rows[: self._max_rows - self.emitted], True
        known = max(0, min(self._recorded - self.emitted, len(rows)))
        logs = self._compare(rows[:known]) if known else []
        del self.items[: len(items)]
        self.emitted += len(rows)
        if items:
            self._update_latest(items)
        return rows[known:], logs

    def columns(self) -> dict[str, Any]:
        """Return the progress columns of the job's row; empty before the first step."""
        if self._last is None:
            return {}
        best = self._state.best
        return {
            "epoch": self._last.epoch,
            "step": self._last.step,
            "latest": self._latest(),
            "best": asdict(best) if best else None,
            "runtime": self.seconds * MICROSECONDS,
            **self._warnings.columns(),
        }

    def _latest(self) -> dict[str, Any]:
        if not self.tables:
            return dict(self.latest)
        tables = {**self.tables, CLASSES: self._class_names}
        best = self._state.best
        if best is not None and self.best_tables.get("epoch") == best.epoch:
            tables[BEST_TABLES] = self.best_tables
        return {**self.latest, TABLES: tables}

    def take_work_done(self) -> WorkDone:
        """Return the training done since the last call."""
        step = self._last.step if self._last else self._counted_step
        seconds = monotonic() - self._began_at
        done = WorkDone(
            step - self._counted_step,
            self._sample_counter.samples(step) - self._sample_counter.samples(self._counted_step),
            seconds - self._counted_seconds,
        )
        self._counted_step, self._counted_seconds = step, seconds
        return done

    def _update_latest(self, items: list[Step | Epoch]) -> None:
        """Take the newest value of each metric: that of the last epoch, then that of the last step."""
        self._last = items[-1]
        epoch = next((item for item in reversed(items) if isinstance(item, Epoch)), None)
        if epoch is not None:
            self.latest |= epoch.metrics
            self.tables |= epoch.tables
            self._keep_best_tables(items)
        if isinstance(self._last, Step):
            self.latest["loss"] = self._last.loss
        self.latest["learning_rate"] = self._last.learning_rate

    def _keep_best_tables(self, items: list[Step | Epoch]) -> None:
        """Keep the tables of the best epoch, if it is among these items."""
        best = self._state.best
        for item in items:
            if isinstance(item, Epoch) and item.tables and best is not None and item.epoch == best.epoch:
                self.best_tables = {"epoch": item.epoch, **item.tables}

    def _compare(self, computed: list[Row]) -> list[LogRow]:
        """Compare rows with those that the previous worker stored; return a log for the first difference of a run."""
        if self._differs:
            return []
        for stored, row in zip(self._read_stored(self.emitted, len(computed)), computed, strict=True):
            if not _equal(stored, row):
                self._differs = True
                return [_not_reproduced(stored, row)]
        return []


def _equal(stored: MetricRow, row: Row) -> bool:
    """Return whether two rows are equal, to the last bit of their value; NaN equals NaN."""
    both_nan = stored[4] != stored[4] and row[4] != row[4]
    return tuple(stored[:4]) == tuple(row[:4]) and (stored[4] == row[4] or both_nan)


def _not_reproduced(stored: MetricRow, row: Row) -> LogRow:
    step, epoch, split, name, value = row
    message = (
        f"not reproduced: {name} at step {step} was {stored.value!r} before the interruption "
        f"and is {value!r} now; the stored rows are kept"
    )
    data = {"code": "not_reproduced", "name": name, "split": split, "stored": stored.value, "computed": value}
    return LogRow(message, step, epoch, data)
