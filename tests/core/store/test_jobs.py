"""Clients' queries on jobs: every request in every status, and pagination."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.jobs.states import TERMINAL, Keep, Request, Status, StopReason
from core.store import checkpoints, events, jobs, leases, totals
from core.store.clock import read_clock
from core.store.database import Database
from core.store.errors import BadCursor, NoSuchDataset, NoSuchJob, WrongState
from core.store.pagination import page_of
from core.store.scope import EVERYTHING, Scope
from core.store.tables import Base, Job
from core.store.totals import Amounts
from tests.builders import LEASE_SECONDS, a_checkpoint, a_claim, a_dataset, a_guard, a_job

MISSING = "job_00000000000000000000000000"


def in_status(s: Session, status: Status) -> str:
    """Return a job that reached this status by the usual functions."""
    if status == Status.QUEUED:
        return a_job(s).id
    token = a_claim(s)
    requests: dict[Status, Callable[[], object]] = {
        Status.PAUSING: lambda: jobs.pause(s, EVERYTHING, token.job_id),
        Status.PAUSED: lambda: jobs.pause(s, EVERYTHING, token.job_id),
        Status.CANCELLING: lambda: jobs.cancel(s, EVERYTHING, token.job_id),
        Status.CANCELLED: lambda: jobs.cancel(s, EVERYTHING, token.job_id),
    }
    requests.get(status, lambda: None)()
    if status in TERMINAL | {Status.PAUSED}:
        leases.release(s, a_guard(s, token).token, status, message="so", actor="w1")
    assert jobs.get(s, EVERYTHING, token.job_id).status == status
    return token.job_id


def test_insert_makes_a_queued_due_job_with_one_event(database: Database) -> None:
    with database.begin() as s:
        before = read_clock(s)
        job = a_job(s, spec='{"x": 1}', metadata={"lesson": "1"}, epochs=3, steps=30, threads=2, priority=5)
    with database.read() as s:
        stored = jobs.get(s, EVERYTHING, job.id)
        assert stored.status is Status.QUEUED
        assert (stored.labels, stored.epochs, stored.steps, stored.threads) == ({"lesson": "1"}, 3, 30, 2)
        assert before <= stored.created_at <= read_clock(s)
        assert (stored.fence, stored.writes, stored.last_seq, stored.recorded) == (0, 0, 1, 0)
        assert jobs.spec(s, EVERYTHING, job.id).json == '{"x": 1}'
        assert [(t.status, t.actor, t.seq) for t in jobs.transitions(s, EVERYTHING, job.id)] == [
            (Status.QUEUED, "client", 1)
        ]
        (recorded,) = events.after(s, EVERYTHING, job.id, 0)
        assert (recorded.seq, recorded.kind, recorded.at) == (1, "status", stored.created_at)
        assert recorded.data == {"status": "queued", "actor": "client", "message": "accepted"}


def test_insert_in_a_failed_transaction_leaves_no_job(database: Database) -> None:
    def fail() -> None:
        with database.begin() as s:
            a_job(s)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        fail()
    with database.read() as s:
        assert jobs.page(s, EVERYTHING) == ([], None)


def test_functions_on_an_unknown_job_raise(database: Database) -> None:
    for send in (jobs.get, jobs.spec, jobs.cancel, jobs.pause, jobs.resume, jobs.delete):
        with database.begin() as s, pytest.raises(NoSuchJob, match=f"no job {MISSING}"):
            send(s, EVERYTHING, MISSING)


REQUESTS: dict[str, tuple[Callable[[Session, Scope, str], Job], dict[Status, Status]]] = {
    "cancelled": (
        jobs.cancel,
        {
            Status.QUEUED: Status.CANCELLED,
            Status.RUNNING: Status.CANCELLING,
            Status.PAUSING: Status.CANCELLING,
            Status.PAUSED: Status.CANCELLED,
            Status.CANCELLING: Status.CANCELLING,
            Status.CANCELLED: Status.CANCELLED,
        },
    ),
    "paused": (
        jobs.pause,
        {
            Status.QUEUED: Status.PAUSED,
            Status.RUNNING: Status.PAUSING,
            Status.PAUSING: Status.PAUSING,
            Status.PAUSED: Status.PAUSED,
        },
    ),
    "resumed": (jobs.resume, {Status.PAUSED: Status.QUEUED}),
}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("request_name", REQUESTS)
def test_request_changes_the_status_or_is_refused(database: Database, request_name: str, status: Status) -> None:
    send, targets = REQUESTS[request_name]
    with database.begin() as s:
        job_id = in_status(s, status)
        recorded = len(jobs.transitions(s, EVERYTHING, job_id))
        if status not in targets:
            with pytest.raises(WrongState, match=f"{job_id} is {status} and cannot be {request_name}"):
                send(s, EVERYTHING, job_id)
        else:
            assert send(s, EVERYTHING, job_id).status == targets[status]
        changed = targets.get(status, status) != status
        assert len(jobs.transitions(s, EVERYTHING, job_id)) == recorded + changed
        assert jobs.get(s, EVERYTHING, job_id).status == targets.get(status, status)


@pytest.mark.parametrize("status", Status)
def test_delete_is_refused_before_the_end(database: Database, status: Status) -> None:
    with database.begin() as s:
        job_id = in_status(s, status)
        if status in TERMINAL:
            jobs.delete(s, EVERYTHING, job_id)
            assert not jobs.exists(s, EVERYTHING, job_id)
        else:
            with pytest.raises(WrongState, match="cannot be deleted"):
                jobs.delete(s, EVERYTHING, job_id)
            assert jobs.exists(s, EVERYTHING, job_id)


def test_delete_leaves_no_row_in_any_table(database: Database) -> None:
    with database.begin() as s:
        token = a_claim(s, metadata={"a": "b"})
        guarded = a_guard(s, token)
        a_checkpoint(s, guarded.token)
        leases.release(s, guarded.token, Status.SUCCEEDED, message="done", actor="w1")
    with database.begin() as s:
        jobs.delete(s, EVERYTHING, token.job_id)
    with database.read() as s:
        counts = {
            table.name: s.scalar(select(func.count()).select_from(table)) for table in Base.metadata.sorted_tables
        }
        assert totals.stored(s) == {"": Amounts()}
    assert counts.pop("totals") == 1
    assert set(counts.values()) == {0}, counts


@pytest.mark.parametrize("status", [Status.QUEUED, Status.PAUSED])
@pytest.mark.parametrize("keep", Keep)
def test_cancel_of_a_waiting_job_keeps_the_requested_weights(database: Database, status: Status, keep: Keep) -> None:
    with database.begin() as s:
        guarded = a_guard(s, a_claim(s))
        a_checkpoint(s, guarded.token)
        if status is Status.PAUSED:
            jobs.pause(s, EVERYTHING, guarded.token.job_id)
        leases.release(s, guarded.token, status, message="later", actor="w1")
        job = jobs.cancel(s, EVERYTHING, guarded.token.job_id, keep)
        assert len(checkpoints.of_job(s, EVERYTHING, job.id)) == (keep is not Keep.NONE)
        assert (job.checkpoint_id is None, job.weights_sha256 is None) == (keep is Keep.NONE,) * 2


def test_request_on_a_running_job_is_stored_in_its_row(database: Database) -> None:
    with database.begin() as s:
        token = a_claim(s)
        assert jobs.pause(s, EVERYTHING, token.job_id).request is Request.PAUSE
        job = jobs.cancel(s, EVERYTHING, token.job_id, Keep.NONE, actor="ann")
        assert (job.request, job.keep, job.stop_reason) == (Request.CANCEL, Keep.NONE, None)
        assert jobs.transitions(s, EVERYTHING, token.job_id)[-1].actor == "ann"


def test_cancel_of_a_queued_job_ends_it(database: Database) -> None:
    with database.begin() as s:
        job = jobs.cancel(s, EVERYTHING, a_job(s).id, Keep.BEST)
        assert (job.status, job.keep, job.stop_reason) == (Status.CANCELLED, Keep.BEST, StopReason.CANCELLED)
        assert job.ended_at is not None


def test_second_cancel_does_not_change_keep(database: Database) -> None:
    with database.begin() as s:
        job_id = in_status(s, Status.CANCELLING)
        assert jobs.cancel(s, EVERYTHING, job_id, Keep.NONE).keep is Keep.LAST


def test_resume_makes_the_job_due(database: Database) -> None:
    with database.begin() as s:
        job_id = in_status(s, Status.PAUSED)
        s.execute(update(Job).where(Job.id == job_id).values(due_at=0, notified_at=1))
        job = jobs.resume(s, EVERYTHING, job_id)
        assert (job.worker, job.lease_until, job.request, job.notified_at) == (None, None, None, None)
        assert 0 < job.due_at <= read_clock(s)
        claimed = leases.claim(s, "w2", LEASE_SECONDS)
        assert claimed is not None
        assert claimed.id == job_id


def test_insert_with_an_unknown_dataset_raises(database: Database) -> None:
    with database.begin() as s:
        dataset = a_dataset(s)
        assert a_job(s, dataset_id=dataset.id).dataset_id == dataset.id
        with pytest.raises(NoSuchDataset, match="no dataset ds_gone"):
            a_job(s, dataset_id="ds_gone")


def test_pages_list_all_jobs_newest_first(database: Database) -> None:
    with database.begin() as s:
        made = [a_job(s).id for _ in range(7)]
    for limit in (1, 2, 3, 7, 100):
        assert all_pages(database, limit) == made[::-1]


def test_pages_are_stable_under_inserts(database: Database) -> None:
    with database.begin() as s:
        made = [a_job(s).id for _ in range(5)]
        first, cursor = jobs.page(s, EVERYTHING, limit=2)
        a_job(s)
        rest, end = jobs.page(s, EVERYTHING, limit=10, cursor=cursor)
    assert [job.id for job in first + rest] == made[::-1]
    assert end is None


def test_page_filters_by_status_name_and_metadata(database: Database) -> None:
    with database.begin() as s:
        odd = a_job(s, name="odd", metadata={"a": "1", 'quo"te': "2"})
        even = a_job(s, name="even", metadata={"a": "1"})
        jobs.cancel(s, EVERYTHING, even.id)

        def found(**filters: object) -> list[str]:
            return [job.id for job in jobs.page(s, EVERYTHING, **filters)[0]]  # type: ignore[arg-type]

        assert found(name="odd") == [odd.id]
        assert found(statuses=[Status.CANCELLED]) == [even.id]
        assert found(statuses=[Status.CANCELLED, Status.QUEUED]) == [even.id, odd.id]
        assert found(metadata={"a": "1"}) == [even.id, odd.id]
        assert found(metadata={"a": "1", 'quo"te': "2"}) == [odd.id]
        assert found(metadata={"a": "2"}) == []
        assert found(name="odd", statuses=[Status.CANCELLED]) == []


@pytest.mark.parametrize("cursor", ["", "x", "!!", "am9i", "zz zz", "é", "am9iXzAw" * 9])
def test_page_with_an_invalid_cursor_raises(database: Database, cursor: str) -> None:
    with database.read() as s, pytest.raises(BadCursor, match="start from the first page"):
        jobs.page(s, EVERYTHING, cursor=cursor)


@given(st.text())
def test_page_with_any_text_as_cursor_raises(text: str) -> None:
    with pytest.raises(BadCursor):
        page_of(Session(), select(Job), Job.id, "job", 1, text)


def test_concurrent_cancels_change_a_job_once(database: Database) -> None:
    with database.begin() as s:
        job_id = a_claim(s).job_id

    def cancel() -> None:
        with database.begin() as s:
            jobs.cancel(s, EVERYTHING, job_id)

    threads = [threading.Thread(target=cancel) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as s:
        recorded = [t.status for t in jobs.transitions(s, EVERYTHING, job_id)]
    assert recorded == [Status.QUEUED, Status.RUNNING, Status.CANCELLING]


def all_pages(database: Database, limit: int) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        with database.read() as s:
            page, cursor = jobs.page(s, EVERYTHING, limit=limit, cursor=cursor)
        found += [job.id for job in page]
        if cursor is None:
            return found
