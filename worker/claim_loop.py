"""What a bell means to a child: take the next job, train it, and so on until none waits.

The bell carries nothing. One that is lost, doubled, late or stale does no harm: the table says what is next.
"""

import socket
import time

import structlog

from core.store import leases
from core.store.tables import Job
from worker.context import WorkerContext
from worker.memory import memory
from worker.run.leased_job import AWAY
from worker.run.run import run

PATIENCE = 60.0
"""Seconds to wait for a database that is away; the sweep rings when it is back later than that."""
CHAIN = 1.0
"""Seconds between two bells that pass on that more jobs wait than this child can take."""

log = structlog.get_logger(__name__)


def work(context: WorkerContext) -> None:
    """Train whatever waits, one job after the other, until nothing does or the worker ends."""
    with context.stop.by_signal():
        while not context.stop.asked:
            job = _next(context)
            if job is None:
                break
            run(context, job)
        if context.stop.asked:
            context.notifier.notify()
            context.notifier.close()


def _next(context: WorkerContext) -> Job | None:
    """Claim the next job, waiting a while for a database that is away; None where nothing waits."""
    until = time.monotonic() + PATIENCE
    in_doubt = False
    while True:
        try:
            return (_lost_claim(context) if in_doubt else None) or _claim(context)
        except AWAY as error:
            log.warning("database is away: no job is claimed", error=str(error).splitlines()[0])
            if context.stop.asked or time.monotonic() > until:
                return None
            in_doubt = True
            time.sleep(0.5)


def _claim(context: WorkerContext) -> Job | None:
    room = leases.Room(f"{socket.gethostname()}:", *memory())
    with context.database.begin() as s:
        job = leases.claim(s, context.name, context.settings.lease_seconds, room)
        if job is None:
            leases.remark_misfits(s, room)
        others_wait = job is not None and leases.notification_due(s, CHAIN)
    if others_wait:
        context.notifier.notify()
    return job


def _lost_claim(context: WorkerContext) -> Job | None:
    """A job that is this child's since a commit whose answer was lost."""
    with context.database.read() as s:
        return next(iter(leases.claimed_by(s, context.name)), None)
