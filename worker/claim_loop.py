"""The response of a worker process to a notification: claim the next job, train it, and repeat until none is queued.

A notification has no content. A lost, duplicate, late or stale one does no harm: the jobs table says what is next.
"""

import socket
import time

import structlog

from core.store import leases
from core.store.errors import TRANSIENT_STORAGE_ERRORS
from core.store.tables import Job
from worker.context import WorkerContext
from worker.memory import memory
from worker.run.run import run

DATABASE_WAIT_SECONDS = 60.0
"""Seconds to wait for a database that is away; if it comes back later, a lease collector sends a notification."""
DATABASE_RETRY_SECONDS = 0.5
"""Seconds between two attempts to claim while the database is away."""
NOTIFY_INTERVAL_SECONDS = 1.0
"""Least seconds between two notifications that more jobs are queued than this process can train."""

log = structlog.get_logger(__name__)


def run_queued_jobs(context: WorkerContext) -> None:
    """Train queued jobs one after the other until none is left or the worker shuts down."""
    with context.stop.on_sigterm():
        while not context.stop.asked:
            job = _claim_next(context)
            if job is None:
                break
            run(context, job)
        if context.stop.asked:
            context.notifier.notify()
            context.notifier.close()


def _claim_next(context: WorkerContext) -> Job | None:
    """Claim the next job, waiting for a database that is away; return None if none is queued."""
    until = time.monotonic() + DATABASE_WAIT_SECONDS
    in_doubt = False
    while True:
        try:
            return (_lost_claim(context) if in_doubt else None) or _claim(context)
        except TRANSIENT_STORAGE_ERRORS as error:
            log.warning("database is away: no job is claimed", error=str(error).splitlines()[0])
            if context.stop.asked or time.monotonic() > until:
                return None
            in_doubt = True
            time.sleep(DATABASE_RETRY_SECONDS)


def _claim(context: WorkerContext) -> Job | None:
    room = leases.AvailableMemory(f"{socket.gethostname()}:", *memory())
    with context.database.begin() as s:
        job = leases.claim(s, context.name, context.settings.lease_seconds, room)
        if job is None:
            leases.log_too_large(s, room)
        others_wait = job is not None and leases.notification_due(s, NOTIFY_INTERVAL_SECONDS)
    if others_wait:
        context.notifier.notify()
    return job


def _lost_claim(context: WorkerContext) -> Job | None:
    """Return a job that this process claimed in a commit whose answer was lost."""
    with context.database.read() as s:
        return next(iter(leases.claimed_by(s, context.name)), None)
