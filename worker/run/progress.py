"""What a training has yielded, as rows to store and as the columns that say how far the job is.

After an interruption the first rows are there already: those are compared with what is stored, and not stored again.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Any

from core.jobs.cadence import Cadence, Row
from core.nn.metrics.base import Table
from core.nn.step.state import State
from core.nn.training.options import Epoch, Step
from core.store.events import LogRow, MetricRow
from core.store.tables import TABLES
from worker.run.leased_job import Work

SECOND = 1_000_000
"""Microseconds in a second."""


@dataclass(frozen=True)
class Portions:
    """How the steps of a training cut its data."""

    rows: int
    batch_size: int

    def samples(self, step: int) -> int:
        """How many rows the first `step` steps have seen."""
        epochs, steps = divmod(step, -(-self.rows // self.batch_size))
        return epochs * self.rows + min(steps * self.batch_size, self.rows)


class Progress:
    """The rows and columns of one run. The training thread appends to `items`, the writer collects.

    Parameters
    ----------
    state
        The training's state, watched for its best epoch.
    cadence
        Which steps and epochs leave rows.
    portions
        How the data is cut into steps.
    emitted
        Rows that the training had emitted when `state` was saved.
    recorded
        Rows that are stored.
    stored
        Reads `count` stored rows from number `first` on.
    runtime
        Microseconds of training before this run.
    most
        Rows that the training may emit; those beyond are dropped, and it is `full`.
    """

    def __init__(
        self,
        state: State,
        cadence: Cadence,
        portions: Portions,
        *,
        emitted: int,
        recorded: int,
        stored: Callable[[int, int], list[MetricRow]],
        runtime: float,
        most: int | None = None,
    ) -> None:
        self.items: list[Step | Epoch] = []
        self.emitted = emitted
        """Rows that the training has emitted since its first step, those not stored again included."""
        self.full = False
        """Whether the training has more rows to leave than it may."""
        self._most = most
        self._state = state
        self._cadence = cadence
        self._portions = portions
        self._recorded = recorded
        self._stored = stored
        self.latest: dict[str, float] = {}
        self.tables: dict[str, Table] = {}
        self._last: Step | Epoch | None = None
        self._runtime_before = runtime
        self._began_at = monotonic()
        self._counted = state.step
        self._counted_seconds = 0.0
        self._differs = False

    @property
    def begun(self) -> bool:
        """Whether anything was collected yet."""
        return self._last is not None

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those of earlier runs included."""
        return self._runtime_before / SECOND + monotonic() - self._began_at

    def collect(self) -> tuple[list[Row], list[LogRow]]:
        """The rows to store of what was yielded since the last call, and remarks on them.

        Where the database is away while it is asked for older rows, nothing is lost: collect again.
        """
        fresh = self.items[:]
        found = self._cadence.rows(fresh)
        if self._most is not None and self.emitted + len(found) > self._most:
            found, self.full = found[: self._most - self.emitted], True
        known = max(0, min(self._recorded - self.emitted, len(found)))
        remarks = self._compare(found[:known]) if known else []
        del self.items[: len(fresh)]
        self.emitted += len(found)
        if fresh:
            self._note(fresh)
        return found[known:], remarks

    def columns(self) -> dict[str, Any]:
        """What the job's row says of how far it is; nothing where nothing was trained yet."""
        if self._last is None:
            return {}
        best = self._state.best
        return {
            "epoch": self._last.epoch,
            "step": self._last.step,
            "latest": {**self.latest, TABLES: self.tables} if self.tables else dict(self.latest),
            "best": asdict(best) if best else None,
            "runtime": self.seconds * SECOND,
        }

    def work(self) -> Work:
        """What was trained since the last call."""
        step = self._last.step if self._last else self._counted
        seconds = monotonic() - self._began_at
        done = Work(
            step - self._counted,
            self._portions.samples(step) - self._portions.samples(self._counted),
            seconds - self._counted_seconds,
        )
        self._counted, self._counted_seconds = step, seconds
        return done

    def _note(self, fresh: list[Step | Epoch]) -> None:
        """Take the newest value of each metric: the last epoch's, and after it the last step's."""
        self._last = fresh[-1]
        epoch = next((item for item in reversed(fresh) if isinstance(item, Epoch)), None)
        if epoch is not None:
            self.latest |= epoch.metrics
            self.tables |= epoch.tables
        if isinstance(self._last, Step):
            self.latest["loss"] = self._last.loss
        self.latest["learning_rate"] = self._last.learning_rate

    def _compare(self, computed: list[Row]) -> list[LogRow]:
        """Hold rows against those stored by the worker before; the first difference of a run is told."""
        if self._differs:
            return []
        for was, now in zip(self._stored(self.emitted, len(computed)), computed, strict=True):
            if not _same(was, now):
                self._differs = True
                return [_not_reproduced(was, now)]
        return []


def _same(was: MetricRow, now: Row) -> bool:
    """Whether two rows say the same; no number equals another that is not, and NaN equals itself."""
    return tuple(was[:4]) == tuple(now[:4]) and (was[4] == now[4] or (was[4] != was[4] and now[4] != now[4]))


def _not_reproduced(was: MetricRow, now: Row) -> LogRow:
    step, epoch, split, name, value = now
    message = (
        f"not reproduced: {name} at step {step} was {was.value!r} before the interruption "
        f"and is {value!r}; the first rows stay"
    )
    data = {"code": "not_reproduced", "name": name, "split": split, "stored": was.value, "computed": value}
    return LogRow(message, step, epoch, data)
