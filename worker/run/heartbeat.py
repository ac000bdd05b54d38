"""A thread that renews the lease of a run on a connection of its own, if the writer has not written for long.

A batch, the preparation or a checkpoint may take longer than a lease; the job must not be lost by that.
"""

import threading
from typing import Self

from core.store.errors import TRANSIENT_STORAGE_ERRORS, Fenced
from worker.run.writer import Writer

RENEW_BELOW = 2 / 3
"""Fraction of the lease below which it is renewed: after each third of a lease."""
CHECKS_PER_LEASE = 12
"""How often per lease the thread looks at the time left."""


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
        while not self._end.wait(leased_job.lease_seconds / CHECKS_PER_LEASE):
            if leased_job.lease_left <= RENEW_BELOW:
                self._renew()

    def _renew(self) -> None:
        try:
            self._writer.leased_job.renew()
        except TRANSIENT_STORAGE_ERRORS:
            return  # the writer logs it, and waits where it has to
        except Fenced as fenced:
            self._writer.fail(fenced)
