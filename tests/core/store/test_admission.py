"""The limit of queued jobs, also for concurrent requests."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from core.jobs.states import Status
from core.store import jobs, leases
from core.store.admission import QueueLimits, admit
from core.store.database import Database
from core.store.errors import TooManyJobs
from core.store.scope import EVERYTHING, Scope
from core.store.tables import Job
from tests.builders import LEASE_SECONDS, a_job


def test_admit_refuses_one_job_above_the_limit(database: Database) -> None:
    with database.begin() as s:
        for _ in range(3):
            admit(s, EVERYTHING, QueueLimits(3, 1_000), 2)
            a_job(s)
        with pytest.raises(TooManyJobs, match="queue is full with 3 jobs"):
            admit(s, EVERYTHING, QueueLimits(3, 1_000), 2)


def test_admit_counts_queued_jobs_only(database: Database) -> None:
    with database.begin() as s:
        for _ in range(3):
            a_job(s)
        claimed = leases.claim(s, "w1", LEASE_SECONDS)
        assert claimed is not None
        admit(s, EVERYTHING, QueueLimits(3, 1_000), 2)
        jobs.cancel(s, EVERYTHING, a_job(s).id)
        admit(s, EVERYTHING, QueueLimits(3, 1_000), 2)


def test_admit_counts_each_owner_separately(database: Database) -> None:
    with database.begin() as s:
        a_job(s, owner="ann")
        admit(s, Scope("bob"), QueueLimits(1, 1_000), 2)
        with pytest.raises(TooManyJobs):
            admit(s, Scope("ann"), QueueLimits(1, 1_000), 2)


def test_admit_of_concurrent_posts_keeps_the_limit(database: Database) -> None:
    start = threading.Barrier(8)

    def post() -> bool:
        start.wait(20)
        try:
            with database.begin() as s:
                admit(s, EVERYTHING, QueueLimits(5, 1_000), 2)
                a_job(s)
        except TooManyJobs:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        admitted = sum(pool.map(lambda _: post(), range(8)))
    with database.read() as s:
        queued = s.scalar(select(func.count()).where(Job.status == Status.QUEUED))
    assert admitted == queued == 5
