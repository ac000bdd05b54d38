"""The lease collector: requeues jobs of lost workers, and notifies workers of jobs that are still unclaimed.

It runs in a thread of each API process, every few seconds.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.queue.notifier import Notifier
from core.store import leases
from core.store.database import Database

log = structlog.get_logger("api")

NOTIFY_INTERVAL_SECONDS = 5.0


def collect_leases(database: Database, notifier: Notifier) -> None:
    """Run one round. Any number of processes may run it at the same time."""
    with database.begin() as s:
        requeued = leases.requeue_expired(s, actor="api")
        due = leases.notification_due(s, NOTIFY_INTERVAL_SECONDS)
    for job in requeued:
        log.warning("requeued a job of a lost worker", job=job.id, status=job.status)
    if requeued or due:
        notifier.notify()


@contextmanager
def lease_collector(database: Database, notifier: Notifier, seconds: float) -> Iterator[None]:
    """Run `collect_leases` in a thread every `seconds` for the duration of the block."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.wait(seconds):
            try:
                collect_leases(database, notifier)
            except SQLAlchemyError as error:
                log.warning("cannot collect expired leases: trying again", reason=type(error).__name__)

    thread = threading.Thread(target=run, name="lease-collector", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
