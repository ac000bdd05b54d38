"""Every few seconds each process looks for jobs whose worker is gone and for jobs that nobody rang for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.queue.notifier import Bell
from core.store import leases
from core.store.database import Sessions

log = structlog.get_logger("api")

RING_SECONDS = 5.0


def sweep(sessions: Sessions, bell: Bell) -> None:
    """One round: plain statements that any number of processes may run at once."""
    with sessions.begin() as s:
        taken = leases.sweep(s, actor="api")
        due = leases.ring_due(s, RING_SECONDS)
    for job in taken:
        log.warning("took a job back from a lost worker", job=job.id, status=job.status)
    if taken or due:
        bell.ring()


@contextmanager
def sweeping(sessions: Sessions, bell: Bell, seconds: float) -> Iterator[None]:
    """Sweep in a thread for as long as the block lasts."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.wait(seconds):
            try:
                sweep(sessions, bell)
            except SQLAlchemyError as error:
                log.warning("cannot sweep: will try again", reason=type(error).__name__)

    thread = threading.Thread(target=run, name="sweep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
