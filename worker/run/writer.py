"""A thread that writes a run's rows four times a second, beside the thread that trains.

The training thread only appends to a list and reads a flag: a database that is slow or away costs it nothing until
the buffer is full or the lease is about to run out.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import monotonic
from typing import Any, Self, TypeVar

import structlog

from core.store.errors import TRANSIENT_STORAGE_ERRORS
from core.store.events import LogRow
from worker.run.errors import DatabaseAway
from worker.run.leased_job import LeasedJob
from worker.run.outcomes import Outcome
from worker.run.progress import Progress
from worker.run.write_batch import WorkDone, WriteBatch

WRITE_SECONDS = 0.25
"""Seconds between two writes."""
FIRST_ROWS_SECONDS = 0.005
"""Seconds between two checks for a run's first rows."""
MAX_BATCH_ROWS = 20_000
"""Rows that one transaction writes at most."""
MAX_BUFFERED_ROWS = 500_000
"""Rows that wait for the database at most; beyond that the training waits too."""
MIN_LEASE_LEFT = 0.3
"""Fraction of the lease that must remain for another training step to begin."""

Result = TypeVar("Result")

log = structlog.get_logger(__name__)


class Writer:
    """The thread that writes. Use as a context: it runs as long as the block.

    Parameters
    ----------
    leased_job
        The job.
    stopping
        Returns whether this worker was asked to shut down.
    """

    def __init__(self, leased_job: LeasedJob, stopping: Callable[[], bool]) -> None:
        self.needs_check = False
        """Whether the training thread must call `check` at the next batch boundary."""
        self.check_at = float("inf")
        """The time (monotonic) at which the training thread wants `needs_check` set."""
        self.leased_job = leased_job
        self._stopping = stopping
        self._progress: Progress | None = None
        self._batches: deque[WriteBatch] = deque()
        self._logs: list[LogRow] = []
        self._columns: dict[str, Any] = {}
        self._outcome: Outcome | None = None
        self._failure: Exception | None = None
        self._away = False
        self._open = True
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._wake.set()
        self._thread.join()

    def attach(self, progress: Progress) -> None:
        """Begin to write the rows of a training, the first ones as soon as they exist."""
        with self._lock:
            self._progress = progress
        self._wake.set()

    def add_log(self, row: LogRow) -> None:
        """Add a row to the job's log, with the next write."""
        with self._lock:
            self._logs.append(row)

    def set_columns(self, columns: Mapping[str, Any]) -> None:
        """Set columns of the job's row, with the next write."""
        with self._lock:
            self._columns |= columns

    def fail(self, error: Exception) -> None:
        """Make `check` raise this error in the training thread, at its next batch boundary."""
        self._failure = error
        self.needs_check = True

    def check(self) -> None:
        """Return if the training may continue; otherwise wait at this batch boundary until it may.

        Raises
        ------
        Fenced
            The lease belongs to another worker.
        DatabaseAway
            The database cannot be reached and this worker has to end.
        """
        self.needs_check = False
        if self._failure is not None:
            raise self._failure
        if self._must_wait():
            self.write()

    def emitted_rows(self) -> int:
        """Return the number of rows that the training has emitted since its first step, in all runs of the job."""
        self.retry(self._buffer)
        return self._progress.emitted if self._progress else 0

    def write(self, last: WriteBatch | None = None) -> Outcome | None:
        """Write everything that is buffered, and `last` in the last transaction; wait for the database.

        Returns the stored outcome, if `last` has one.

        Raises
        ------
        Fenced, DatabaseAway
            As in `check`.
        """
        self.retry(lambda: self._buffer(last or WriteBatch()))
        self.retry(self._flush)
        return self._outcome

    def retry(self, act: Callable[[], Result]) -> Result:
        """Return the result of `act`, retrying while the database is away. Raises `DatabaseAway` as `check` does."""
        pause = 0.05
        while True:
            try:
                result = act()
            except TRANSIENT_STORAGE_ERRORS as error:
                self._log_away(error)
                if self._stopping() and self.leased_job.lease_left < MIN_LEASE_LEFT:
                    raise DatabaseAway from error
            else:
                self._log_back()
                return result
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _run(self) -> None:
        while self._open:
            self._wait()
            if self._open:
                self._tick()

    def _wait(self) -> None:
        """Wait until the next write is due; the first rows of a run are due immediately."""
        until = monotonic() + WRITE_SECONDS
        while self._open and (left := until - monotonic()) > 0:
            beginning = self._progress if self._progress and not self._progress.begun else None
            if beginning and beginning.items:
                return
            self._wake.wait(min(left, FIRST_ROWS_SECONDS) if beginning else left)
            self._wake.clear()

    def _tick(self) -> None:
        try:
            if not self._batches:
                self._buffer(WriteBatch())
            self._flush()
            self._log_back()
        except TRANSIENT_STORAGE_ERRORS as error:
            self._log_away(error)
        except Exception as error:  # any error must reach the training thread
            self.fail(error)
        full = self._progress is not None and self._progress.full
        if full or self.leased_job.request or self._stopping() or self._must_wait() or monotonic() >= self.check_at:
            self.needs_check = True

    def _must_wait(self) -> bool:
        buffered = len(self._progress.items) if self._progress else 0
        buffered += sum(len(batch.rows) for batch in self._batches)
        return self.leased_job.lease_left < MIN_LEASE_LEFT or buffered > MAX_BUFFERED_ROWS

    def _buffer(self, last: WriteBatch | None = None) -> None:
        """Turn collected rows and logs into batches of one transaction each, the last one merged with `last`."""
        with self._lock:
            progress = self._progress
            rows, logs = progress.collect() if progress else ([], [])
            self._logs += logs
            while len(rows) > MAX_BATCH_ROWS:
                self._batches.append(WriteBatch(rows[:MAX_BATCH_ROWS]))
                rows = rows[MAX_BATCH_ROWS:]
            if rows or self._logs or last:
                logs, self._logs = self._logs, []
                given, self._columns = self._columns | dict(last.columns if last else {}), {}
                columns = given | (progress.columns() if progress else {})
                done = progress.take_work_done() if progress else WorkDone()
                batch = replace(last or WriteBatch(), rows=rows, logs=logs, columns=columns, work_done=done)
                self._batches.append(batch)

    def _flush(self) -> None:
        """Write the batches in order."""
        with self._lock:
            while self._batches:
                self._outcome = self.leased_job.write(self._batches[0])
                self._batches.popleft()

    def _log_away(self, error: BaseException) -> None:
        if not self._away:
            message = "database or bucket is away: the training continues and its rows are buffered"
            log.warning(message, error=str(error).splitlines()[0])
        self._away = True

    def _log_back(self) -> None:
        if self._away:
            log.info("database or bucket is back")
        self._away = False
