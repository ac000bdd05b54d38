"""A thread that says "still here" for a run, on a connection of its own, when its writer has long been silent.

A batch, a set-up or a checkpoint may take longer than a lease; the job is not lost by that.
"""

import threading
from typing import Self

from core.store.errors import Fenced
from worker.run.leased_job import AWAY
from worker.run.writer import Writer

SILENT = 2 / 3
"""The part of the lease that is left when a heartbeat is due: each third of a lease."""


class Heartbeat:
    """Renews the lease of the writer's job. Use as a context: it runs as long as the block."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        leased_job = self._writer.leased_job
        while not self._end.wait(leased_job.lease_seconds / 12):
            if leased_job.lease_left <= SILENT:
                self._beat()

    def _beat(self) -> None:
        try:
            self._writer.leased_job.renew()
        except AWAY:
            return  # the writer says so, and waits where it has to
        except Fenced as fenced:
            self._writer.fail(fenced)
