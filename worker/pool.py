"""Celery's prefork pool, which also records how its children end.

The jobs of a child that died can then be requeued at once, with the signal that ended it, instead of when their
leases run out.
"""

import fcntl
import os
import threading
from tempfile import TemporaryFile
from typing import Any, ClassVar

from billiard.pool import Pool as BlockingPool
from celery.concurrency.asynpool import AsynPool
from celery.concurrency.prefork import TaskPool

CHILD_CHECK_SECONDS = 0.2
"""Seconds between two checks for children that died; Celery checks every 5."""


class ChildExits:
    """The exit codes of the children that ended, by process id; minus the number of a signal."""

    def __init__(self) -> None:
        self.happened = threading.Event()
        self._codes: dict[int, int] = {}

    def record(self, pid: int, code: int | None) -> None:
        """Record an exit; the pool may report it more than once."""
        if pid not in self._codes:
            self._codes[pid] = code or 0
            self.happened.set()

    def code(self, pid: int) -> int | None:
        """Return the exit code of a child, or None while it runs."""
        return self._codes.get(pid)


class _RecordsExits:
    """Mixin for billiard's pools: record the exit of each child that the pool finds dead."""

    def process_flush_queues(self, child: Any) -> None:
        TrainingPool.child_exits.record(child.pid, child.exitcode)
        super().process_flush_queues(child)  # type: ignore[misc]  # the pools that use the mixin have it


class _AsynchronousPool(_RecordsExits, AsynPool):  # type: ignore[misc]  # Celery ships no types
    """The pool used with Redis."""

    @property
    def timers(self) -> dict[Any, float]:
        """Seconds between two calls of a function."""
        return {self.maintain_pool: CHILD_CHECK_SECONDS}


class ProcessLock:
    """A lock among forked processes that is released when its holder is killed; a semaphore would stay locked."""

    def __init__(self) -> None:
        with TemporaryFile() as file:
            self._file = os.dup(file.fileno())

    def acquire(self) -> bool:
        """Wait for the lock and take it, until `release` or the end of this process."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        """Release the lock."""
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class _BlockingPool(_RecordsExits, BlockingPool):  # type: ignore[misc]  # Celery ships no types
    """The pool used with the embedded broker: its children share two queues, and an idle child holds a queue's lock."""

    def _setup_queues(self) -> None:
        super()._setup_queues()
        self._inqueue._rlock = ProcessLock()  # noqa: SLF001  billiard offers no other way
        self._outqueue._wlock = ProcessLock()  # noqa: SLF001


class TrainingPool(TaskPool):  # type: ignore[misc]  # Celery ships no types
    """A pool with one forked child for each job that may train at a time."""

    Pool = _AsynchronousPool
    BlockingPool = _BlockingPool
    child_exits: ClassVar[ChildExits] = ChildExits()
