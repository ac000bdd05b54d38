"""Counts for monitoring."""

from sqlalchemy import update

from core.jobs.states import Status
from core.store import counts, jobs
from core.store.clock import MICROSECONDS_PER_SECOND, read_clock
from core.store.counts import TrainingTotals
from core.store.database import Database
from core.store.scope import EVERYTHING
from core.store.tables import Job
from tests.builders import a_claim, a_job


def test_total_sums_over_workers(database: Database) -> None:
    with database.begin() as s:
        assert counts.total(s) == TrainingTotals(0, 0, 0.0)
        counts.add(s, "a", steps=1, samples=10, train_seconds=0.5)
        counts.add(s, "b", steps=2, samples=20, train_seconds=0.25)
        counts.add(s, "a", steps=4, samples=40, train_seconds=1.0)
        assert counts.total(s) == TrainingTotals(7, 70, 1.75)


def test_by_status_counts_every_status(database: Database) -> None:
    with database.begin() as s:
        a_job(s)
        a_job(s)
        jobs.pause(s, EVERYTHING, a_job(s).id)
        a_claim(s)
        found = counts.by_status(s, EVERYTHING)
    assert found == dict.fromkeys(Status, 0) | {Status.QUEUED: 2, Status.PAUSED: 1, Status.RUNNING: 1}


def test_queue_depth_counts_due_jobs_only(database: Database) -> None:
    with database.begin() as s:
        a_job(s)
        later = a_job(s)
        s.execute(update(Job).where(Job.id == later.id).values(due_at=read_clock(s) + 60 * MICROSECONDS_PER_SECOND))
        a_claim(s)
        assert counts.queue_depth(s, EVERYTHING) == 1
