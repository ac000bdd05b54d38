"""Every few seconds each process looks for jobs whose worker is gone and for jobs that nobody rang for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.queue.notifier import Notifier
from core.store import leases
from core.store.database import Database

log = structlog.get_logger("api")

NOTIFY_SECONDS = 5.0


def collect(database: Database, notifier: Notifier) -> None:
    """One round: plain statements that any number of processes may run at once."""
    with database.begin() as s:
        taken = leases.requeue_expired(s, actor="api")
        due = leases.notification_due(s, NOTIFY_SECONDS)
    for job in taken:
        log.warning("took a job back from a lost worker", job=job.id, status=job.status)
    if taken or due:
        notifier.notify()


@contextmanager
def collecting(database: Database, notifier: Notifier, seconds: float) -> Iterator[None]:
    """Sweep in a thread for as long as the block lasts."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.wait(seconds):
            try:
                collect(database, notifier)
            except SQLAlchemyError as error:
                log.warning("cannot sweep: will try again", reason=type(error).__name__)

    thread = threading.Thread(target=run, name="sweep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
