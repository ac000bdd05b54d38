"""Celery's prefork pool, with an eye on the children that die.

Their jobs can be given back at once, with the signal that ended them, instead of when their leases run out.
"""

import fcntl
import os
import threading
from tempfile import TemporaryFile
from typing import Any, ClassVar

from billiard.pool import Pool as BlockingPool
from celery.concurrency.asynpool import AsynPool
from celery.concurrency.prefork import TaskPool

LOOK_EVERY = 0.2


class LostChildren:
    """The children that ended, by process id, and how: an exit code, or minus a signal's number."""

    def __init__(self) -> None:
        self.happened = threading.Event()
        self._codes: dict[int, int] = {}

    def note(self, pid: int, code: int | None) -> None:
        """Write down an end; the pool may tell it more than once."""
        if pid not in self._codes:
            self._codes[pid] = code or 0
            self.happened.set()

    def code(self, pid: int) -> int | None:
        """How the child ended, or None while it lives."""
        return self._codes.get(pid)


class _Watched:
    """What both pools of billiard share: each tells here of a child that it has found dead."""

    def process_flush_queues(self, child: Any) -> None:
        TrainingPool.lost_children.note(child.pid, child.exitcode)
        super().process_flush_queues(child)  # type: ignore[misc]  # the pools mixed in have it


class _Asynchronous(_Watched, AsynPool):  # type: ignore[misc]  # Celery ships no types
    """The pool under Redis."""

    @property
    def timers(self) -> dict[Any, float]:
        """How often to look for dead children, in seconds; Celery does each 5."""
        return {self.maintain_pool: LOOK_EVERY}


class Lock:
    """A lock among forked processes that opens when its holder is killed; a semaphore would stay shut for ever."""

    def __init__(self) -> None:
        with TemporaryFile() as file:
            self._file = os.dup(file.fileno())

    def acquire(self) -> bool:
        """Wait for it, and have it until `release` or this process's end."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        """Let another process have it."""
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class _Blocking(_Watched, BlockingPool):  # type: ignore[misc]  # Celery ships no types
    """The pool under the embedded broker, whose children share two queues: an idle one waits with the lock of one."""

    def _setup_queues(self) -> None:
        super()._setup_queues()
        self._inqueue._rlock = Lock()  # noqa: SLF001  billiard has no other door
        self._outqueue._wlock = Lock()  # noqa: SLF001


class TrainingPool(TaskPool):  # type: ignore[misc]  # Celery ships no types
    """One forked child for each job that may train at a time."""

    Pool = _Asynchronous
    BlockingPool = _Blocking
    lost_children: ClassVar[LostChildren] = LostChildren()
