"""What a run has to say, written four times a second by a thread beside the one that trains.

The training thread only appends to a list and looks at a flag: a database that is slow or away costs it nothing until
the buffer is full or the lease is about to run out.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Self, TypeVar

import structlog

from core.store.events import LogRow
from worker.run.leased_job import AWAY, LeasedJob, Then, Work, WriteBatch
from worker.run.progress import Progress

PACE = 0.25
"""Seconds between two writes."""
FIRST_PACE = 0.005
"""Seconds between two looks for a run's first rows."""
ROWS = 20_000
"""Rows of one transaction at most."""
BUFFER = 500_000
"""Rows that wait for the database at most; then the training waits too."""
SHORT = 0.3
"""The part of the lease that has to be left for another batch to begin."""

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


class DatabaseAway(Exception):
    """The database cannot be reached and this worker has to end: the job is left to its lease."""


class Writer:
    """The thread that writes. Use as a context: it runs as long as the block.

    Parameters
    ----------
    held
        The job.
    stopping
        Whether this worker was asked to end.
    """

    def __init__(self, leased_job: LeasedJob, stopping: Callable[[], bool]) -> None:
        self.attention = False
        """Whether the training thread has to stop at the next batch boundary, to `check` and see what is wanted."""
        self.look_at = float("inf")
        """The moment (monotonic) at which the training thread wants its attention called."""
        self.leased_job = leased_job
        self._stopping = stopping
        self._progress: Progress | None = None
        self._portions: deque[WriteBatch] = deque()
        self._logs: list[LogRow] = []
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

    def follow(self, progress: Progress) -> None:
        """Training begins: write what it yields, the first rows as soon as they are there."""
        with self._lock:
            self._progress = progress
        self._wake.set()

    def remark(self, row: LogRow) -> None:
        """Say something in the job's log, with the next write."""
        with self._lock:
            self._logs.append(row)

    def fail(self, error: Exception) -> None:
        """Have `check` raise this in the training thread, at its next batch boundary."""
        self._failure = error
        self.attention = True

    def check(self) -> None:
        """Return where all is well, and else wait at this batch boundary until it is.

        Raises
        ------
        Fenced
            the job is another's by now.
        DatabaseAway
            it cannot be asked, and this worker has to end.
        """
        self.attention = False
        if self._failure is not None:
            raise self._failure
        if self._needs_answer():
            self.write()

    def emitted(self) -> int:
        """How many rows the training has emitted since its first step, here and on workers before."""
        self.patiently(self._cut)
        return self._progress.emitted if self._progress else 0

    def write(self, then: Then | None = None) -> None:
        """Write all there is, and do `then` in the last transaction; waits for the database.

        Raises
        ------
        Fenced, DatabaseAway
            as in `check`.
        """
        self.patiently(lambda: self._cut(then, force=True))
        self.patiently(self._push)

    def patiently(self, act: Callable[[], Answer]) -> Answer:
        """What `act` returns, tried again and again while the database is away. Raises `DatabaseAway` as `check`."""
        pause = 0.05
        while True:
            try:
                answer = act()
            except AWAY as error:
                self._say_away(error)
                if self._stopping() and self.leased_job.lease_left < SHORT:
                    raise DatabaseAway from error
            else:
                self._say_back()
                return answer
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _run(self) -> None:
        while self._open:
            self._wait()
            if self._open:
                self._tick()

    def _wait(self) -> None:
        """Until the next write is due: the first rows of a run are awaited, and wait for nothing."""
        until = monotonic() + PACE
        while self._open and (left := until - monotonic()) > 0:
            awaited = self._progress if self._progress and not self._progress.begun else None
            if awaited and awaited.items:
                return
            self._wake.wait(min(left, FIRST_PACE) if awaited else left)
            self._wake.clear()

    def _tick(self) -> None:
        try:
            if not self._portions:
                self._cut(force=True)
            self._push()
            self._say_back()
        except AWAY as error:
            self._say_away(error)
        except Exception as error:  # whatever it is, the training thread has to hear of it
            self.fail(error)
        full = self._progress is not None and self._progress.full
        if full or self.leased_job.request or self._stopping() or self._needs_answer() or monotonic() >= self.look_at:
            self.attention = True

    def _needs_answer(self) -> bool:
        waiting = len(self._progress.items) if self._progress else 0
        return (
            self.leased_job.lease_left < SHORT
            or waiting + sum(len(write_batch.rows) for write_batch in self._portions) > BUFFER
        )

    def _cut(self, then: Then | None = None, *, force: bool = False) -> None:
        """Cut what there is to say into portions of one transaction each; `force` makes one of nothing, too."""
        with self._lock:
            progress = self._progress
            rows, remarks = progress.collect() if progress else ([], [])
            self._logs += remarks
            while len(rows) > ROWS:
                self._portions.append(WriteBatch(rows[:ROWS]))
                rows = rows[ROWS:]
            if rows or self._logs or force:
                logs, self._logs = self._logs, []
                columns = progress.columns() if progress else {}
                work = progress.work() if progress else Work()
                self._portions.append(WriteBatch(rows, logs, columns, work, then))

    def _push(self) -> None:
        """Write the portions in their order."""
        with self._lock:
            while self._portions:
                self.leased_job.write(self._portions[0])
                self._portions.popleft()

    def _say_away(self, error: BaseException) -> None:
        if not self._away:
            log.warning("database or bucket is away: training goes on into a buffer", error=str(error).splitlines()[0])
        self._away = True

    def _say_back(self) -> None:
        if self._away:
            log.info("database or bucket is back")
        self._away = False
