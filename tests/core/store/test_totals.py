"""The totals of an owner: exact after every change, also by concurrent transactions."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import update

from core.jobs.states import Keep, Status
from core.store import datasets, events, jobs, leases, totals
from core.store.database import Database
from core.store.errors import LimitReached
from core.store.scope import EVERYTHING, Scope
from core.store.tables import Totals
from core.store.totals import Amounts
from tests.builders import LEASE_SECONDS, a_checkpoint, a_claim, a_dataset, a_guard, a_job, a_row, lapse, sha

NO_LIMITS = Amounts(*[10**12] * len(Amounts._fields))
NEEDS: dict[str, Any] = {"spec": "{}", "checkpoint_bytes": 100, "metric_rows": 50}


@contextmanager
def expecting(database: Database, amounts: Amounts, owner: str = "") -> Iterator[None]:
    """Check the totals after the block: these, and those that the rows have."""
    yield
    with database.read() as s:
        assert totals.stored(s)[owner] == amounts
        assert totals.counted(s).get(owner, Amounts()) == amounts


def test_job_counts_with_what_it_may_need_until_it_has_ended(database: Database) -> None:
    with expecting(database, Amounts(1, 2, 100, 50)), database.begin() as s:
        token = a_claim(s, **NEEDS)
    with expecting(database, Amounts(1, 2, 100, 50)), database.begin() as s:
        guarded = a_guard(s, token, events=1, recorded=1)
        events.append(s, guarded, [a_row()])
        a_checkpoint(s, guarded.token)
    with expecting(database, Amounts(1, 2, 3, 1)), database.begin() as s:
        leases.release(s, a_guard(s, guarded.token).token, Status.SUCCEEDED, message="done", actor="w1")
    with expecting(database, Amounts()), database.begin() as s:
        jobs.delete(s, EVERYTHING, token.job_id)


@pytest.mark.parametrize(("keep", "left"), [(Keep.LAST, 3), (Keep.NONE, 0)])
def test_cancelled_job_counts_with_what_it_keeps(database: Database, keep: Keep, left: int) -> None:
    with expecting(database, Amounts(1, 2, left, 0)), database.begin() as s:
        guarded = a_guard(s, a_claim(s, **NEEDS))
        a_checkpoint(s, guarded.token)
        leases.release(s, guarded.token, Status.QUEUED, message="later", actor="w1")
        jobs.cancel(s, EVERYTHING, guarded.token.job_id, keep)


def test_job_that_loses_its_workers_ends_with_what_it_has(database: Database) -> None:
    with expecting(database, Amounts(1, 2, 0, 0)), database.begin() as s:
        job_id = a_job(s, **NEEDS).id
        for _ in range(leases.MAX_LOST_WORKERS):
            assert leases.claim(s, "w1", LEASE_SECONDS)
            lapse(s, job_id)
            leases.requeue_expired(s)
        assert jobs.get(s, EVERYTHING, job_id).status is Status.FAILED


def test_dataset_counts_once_and_until_it_is_deleted(database: Database) -> None:
    with expecting(database, Amounts(datasets=2, dataset_bytes=8)), database.begin() as s:
        first = a_dataset(s)
        assert a_dataset(s).id == first.id
        a_dataset(s, sha256=sha("b"), bytes=5)
    with expecting(database, Amounts(datasets=1, dataset_bytes=5)), database.begin() as s:
        datasets.delete(s, EVERYTHING, first.id)


def test_owners_have_totals_of_their_own(database: Database) -> None:
    with expecting(database, Amounts(1, 2, 100, 50), "ann"), database.begin() as s:
        a_job(s, Scope("ann"), **NEEDS)
        totals.require_room(s, Scope("bob"), Amounts(1), Amounts(1))
        with pytest.raises(LimitReached):
            totals.require_room(s, Scope("ann"), Amounts(1), Amounts(1))
        assert totals.of_all(s) == Amounts(1, 2, 100, 50)


def test_rolled_back_change_is_not_counted(database: Database) -> None:
    with database.begin() as s:
        a_job(s, **NEEDS)
        s.rollback()
    with database.read() as s:
        assert totals.stored(s) == {}


def test_concurrent_inserts_keep_the_limit(database: Database) -> None:
    limits, start = NO_LIMITS._replace(datasets=5), threading.Barrier(8)

    def upload(letter: str) -> bool:
        start.wait(20)
        try:
            with database.begin() as s:
                dataset = a_dataset(s, sha256=sha(letter))
                totals.require_room(s, EVERYTHING, limits, totals.of_dataset(dataset), counted=True)
        except LimitReached:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        admitted = sum(pool.map(upload, "abcdef01"))
    with expecting(database, Amounts(datasets=5, dataset_bytes=15)):
        assert admitted == 5


def test_error_names_the_largest_ended_jobs(database: Database) -> None:
    with database.begin() as s:
        ended = [a_job(s, spec="x" * size).id for size in (5, 9, 7)]
        for job_id in ended:
            jobs.cancel(s, EVERYTHING, job_id)
        a_job(s, spec="x" * 20)
        with pytest.raises(LimitReached) as caught:
            totals.require_room(s, EVERYTHING, NO_LIMITS._replace(spec_bytes=42), Amounts(1, 2))
    first, second, third = ended[1], ended[2], ended[0]
    assert str(caught.value) == (
        f"41 of 42 bytes of job specs are in use, and this request needs 2: delete ended jobs, such as {first} (9), "
        f"{second} (7), {third} (5), or raise CHAINRULE_MAX_SPEC_BYTES."
    )


def test_error_names_the_largest_datasets_that_no_job_needs(database: Database) -> None:
    with database.begin() as s:
        used, free = a_dataset(s, bytes=9), a_dataset(s, sha256=sha("b"), bytes=4)
        a_job(s, dataset_id=used.id)
        with pytest.raises(LimitReached) as caught:
            totals.require_room(s, EVERYTHING, NO_LIMITS._replace(dataset_bytes=13), Amounts(dataset_bytes=1))
        assert f"such as {free.id} (4), or raise CHAINRULE_MAX_DATASET_BYTES" in str(caught.value)
        datasets.delete(s, EVERYTHING, free.id)
        with pytest.raises(LimitReached, match="wait until jobs have ended, or cancel some, or raise"):
            totals.require_room(s, EVERYTHING, NO_LIMITS._replace(dataset_bytes=9), Amounts(dataset_bytes=1))


def test_only_amounts_of_the_request_are_checked(database: Database) -> None:
    with database.begin() as s:
        a_job(s)
        totals.require_room(s, EVERYTHING, Amounts(datasets=1, dataset_bytes=1), Amounts(datasets=1, dataset_bytes=1))


def test_recount_corrects_wrong_and_missing_totals(database: Database) -> None:
    with database.begin() as s:
        a_job(s, **NEEDS)
        a_job(s, Scope("ann"), **NEEDS)
        a_dataset(s)
        s.execute(update(Totals).values(jobs=7, dataset_bytes=0))
        s.execute(Totals.__table__.delete().where(Totals.owner == "ann"))  # type: ignore[attr-defined]
        s.add(Totals(owner="gone", **Amounts(3, 3, 3)._asdict()))
        s.flush()
        totals.recount(s)
        assert totals.stored(s) == totals.counted(s) | {"gone": Amounts()}


def test_recount_does_not_lose_a_concurrent_insert(database: Database) -> None:
    with database.begin() as s:
        a_job(s, **NEEDS)
    counted = threading.Event()

    def recount() -> None:
        with database.begin() as s:
            totals.recount(s)
            counted.set()

    with expecting(database, Amounts(3, 6, 300, 150)), ThreadPoolExecutor(1) as pool:
        with database.begin() as s:
            a_job(s, **NEEDS)
            recounting = pool.submit(recount)  # waits for the lock of the totals; on SQLite, for the one writer
            assert not counted.wait(0.2)
            a_job(s, **NEEDS)
        recounting.result(20)
