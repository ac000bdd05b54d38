"""What clients do with jobs: every wish in every state, and lists that neither skip nor repeat."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.jobs.states import TERMINAL, Keep, Request, Status, StopReason
from core.store import checkpoints, events, jobs, leases
from core.store.clock import read_clock
from core.store.database import Database
from core.store.errors import BadCursor, NoSuchDataset, NoSuchJob, WrongState
from core.store.pagination import page_of
from core.store.scope import EVERYTHING, Scope
from core.store.tables import Base, Job
from tests.builders import LEASE, a_checkpoint, a_claim, a_dataset, a_guard, a_job

MISSING = "job_00000000000000000000000000"


def in_status(s: Session, status: Status) -> str:
    """A job that got to `status` by the ways that there are."""
    if status == Status.QUEUED:
        return a_job(s).id
    token = a_claim(s)
    asked: dict[Status, Callable[[], object]] = {
        Status.PAUSING: lambda: jobs.pause(s, EVERYTHING, token.job_id),
        Status.PAUSED: lambda: jobs.pause(s, EVERYTHING, token.job_id),
        Status.CANCELLING: lambda: jobs.cancel(s, EVERYTHING, token.job_id),
        Status.CANCELLED: lambda: jobs.cancel(s, EVERYTHING, token.job_id),
    }
    asked.get(status, lambda: None)()
    if status in TERMINAL | {Status.PAUSED}:
        leases.release(s, a_guard(s, token).token, status, message="so", actor="w1")
    assert jobs.get(s, EVERYTHING, token.job_id).status == status
    return token.job_id


def test_a_new_job_is_queued_due_and_told_of(database: Database) -> None:
    with database.begin() as s:
        before = read_clock(s)
        job = a_job(s, spec='{"x": 1}', metadata={"lesson": "1"}, epochs=3, steps=30, threads=2, priority=5)
    with database.read() as s:
        stored = jobs.get(s, EVERYTHING, job.id)
        assert stored.status is Status.QUEUED
        assert (stored.labels, stored.epochs, stored.steps, stored.threads) == ({"lesson": "1"}, 3, 30, 2)
        assert before <= stored.created_at <= read_clock(s)
        assert (stored.fence, stored.writes, stored.last_seq, stored.recorded) == (0, 0, 1, 0)
        assert jobs.spec(s, EVERYTHING, job.id) == '{"x": 1}'
        assert [(t.status, t.actor, t.seq) for t in jobs.transitions(s, EVERYTHING, job.id)] == [
            (Status.QUEUED, "client", 1)
        ]
        (told,) = events.after(s, EVERYTHING, job.id, 0)
        assert (told.seq, told.kind, told.at) == (1, "status", stored.created_at)
        assert told.data == {"status": "queued", "actor": "client", "message": "accepted"}


def test_a_transaction_that_fails_leaves_no_job(database: Database) -> None:
    def fail() -> None:
        with database.begin() as s:
            a_job(s)
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        fail()
    with database.read() as s:
        assert jobs.page(s, EVERYTHING) == ([], None)


def test_a_missing_job_is_said(database: Database) -> None:
    for ask in (jobs.get, jobs.spec, jobs.cancel, jobs.pause, jobs.resume, jobs.delete):
        with database.begin() as s, pytest.raises(NoSuchJob, match=f"no job {MISSING}"):
            ask(s, EVERYTHING, MISSING)


WISHES: dict[str, tuple[Callable[[Session, Scope, str], Job], dict[Status, Status]]] = {
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
@pytest.mark.parametrize("wish", WISHES)
def test_a_wish_is_granted_where_the_state_allows_it(database: Database, wish: str, status: Status) -> None:
    ask, granted = WISHES[wish]
    with database.begin() as s:
        job_id = in_status(s, status)
        told = len(jobs.transitions(s, EVERYTHING, job_id))
        if status not in granted:
            with pytest.raises(WrongState, match=f"{job_id} is {status} and cannot be {wish}"):
                ask(s, EVERYTHING, job_id)
        else:
            assert ask(s, EVERYTHING, job_id).status == granted[status]
        changed = granted.get(status, status) != status
        assert len(jobs.transitions(s, EVERYTHING, job_id)) == told + changed
        assert jobs.get(s, EVERYTHING, job_id).status == granted.get(status, status)


@pytest.mark.parametrize("status", Status)
def test_only_an_ended_job_is_deleted(database: Database, status: Status) -> None:
    with database.begin() as s:
        job_id = in_status(s, status)
        if status in TERMINAL:
            jobs.delete(s, EVERYTHING, job_id)
            assert not jobs.exists(s, EVERYTHING, job_id)
        else:
            with pytest.raises(WrongState, match="cannot be deleted"):
                jobs.delete(s, EVERYTHING, job_id)
            assert jobs.exists(s, EVERYTHING, job_id)


def test_a_deleted_job_leaves_no_row_anywhere(database: Database) -> None:
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
    assert set(counts.values()) == {0}, counts


@pytest.mark.parametrize("status", [Status.QUEUED, Status.PAUSED])
@pytest.mark.parametrize("keep", Keep)
def test_a_waiting_job_that_is_cancelled_keeps_what_is_asked(database: Database, status: Status, keep: Keep) -> None:
    with database.begin() as s:
        guarded = a_guard(s, a_claim(s))
        a_checkpoint(s, guarded.token)
        if status is Status.PAUSED:
            jobs.pause(s, EVERYTHING, guarded.token.job_id)
        leases.release(s, guarded.token, status, message="later", actor="w1")
        job = jobs.cancel(s, EVERYTHING, guarded.token.job_id, keep)
        assert len(checkpoints.of_job(s, EVERYTHING, job.id)) == (keep is not Keep.NONE)
        assert (job.checkpoint_id is None, job.weights_sha256 is None) == (keep is Keep.NONE,) * 2


def test_a_running_job_hears_what_is_asked(database: Database) -> None:
    with database.begin() as s:
        token = a_claim(s)
        assert jobs.pause(s, EVERYTHING, token.job_id).request is Request.PAUSE
        job = jobs.cancel(s, EVERYTHING, token.job_id, Keep.NONE, actor="ann")
        assert (job.request, job.keep, job.stop_reason) == (Request.CANCEL, Keep.NONE, None)
        assert jobs.transitions(s, EVERYTHING, token.job_id)[-1].actor == "ann"


def test_a_waiting_job_is_cancelled_at_once(database: Database) -> None:
    with database.begin() as s:
        job = jobs.cancel(s, EVERYTHING, a_job(s).id, Keep.BEST)
        assert (job.status, job.keep, job.stop_reason) == (Status.CANCELLED, Keep.BEST, StopReason.CANCELLED)
        assert job.ended_at is not None


def test_the_first_cancel_decides_what_is_kept(database: Database) -> None:
    with database.begin() as s:
        job_id = in_status(s, Status.CANCELLING)
        assert jobs.cancel(s, EVERYTHING, job_id, Keep.NONE).keep is Keep.LAST


def test_a_resumed_job_is_due_at_once(database: Database) -> None:
    with database.begin() as s:
        job_id = in_status(s, Status.PAUSED)
        s.execute(update(Job).where(Job.id == job_id).values(due_at=0, notified_at=1))
        job = jobs.resume(s, EVERYTHING, job_id)
        assert (job.worker, job.lease_until, job.request, job.notified_at) == (None, None, None, None)
        assert 0 < job.due_at <= read_clock(s)
        claimed = leases.claim(s, "w2", LEASE)
        assert claimed is not None
        assert claimed.id == job_id


def test_a_job_holds_on_to_its_dataset(database: Database) -> None:
    with database.begin() as s:
        dataset = a_dataset(s)
        assert a_job(s, dataset_id=dataset.id).dataset_id == dataset.id
        with pytest.raises(NoSuchDataset, match="no dataset ds_gone"):
            a_job(s, dataset_id="ds_gone")


def test_pages_join_to_the_whole_newest_first(database: Database) -> None:
    with database.begin() as s:
        made = [a_job(s).id for _ in range(7)]
    for limit in (1, 2, 3, 7, 100):
        assert walk(database, limit) == made[::-1]


def test_pages_are_stable_under_inserts(database: Database) -> None:
    with database.begin() as s:
        made = [a_job(s).id for _ in range(5)]
        first, cursor = jobs.page(s, EVERYTHING, limit=2)
        a_job(s)
        rest, end = jobs.page(s, EVERYTHING, limit=10, cursor=cursor)
    assert [job.id for job in first + rest] == made[::-1]
    assert end is None


def test_jobs_are_found_by_status_name_and_metadata(database: Database) -> None:
    with database.begin() as s:
        odd = a_job(s, name="odd", metadata={"a": "1", 'quo"te': "2"})
        even = a_job(s, name="even", metadata={"a": "1"})
        jobs.cancel(s, EVERYTHING, even.id)

        def found(**asked: object) -> list[str]:
            return [job.id for job in jobs.page(s, EVERYTHING, **asked)[0]]  # type: ignore[arg-type]

        assert found(name="odd") == [odd.id]
        assert found(statuses=[Status.CANCELLED]) == [even.id]
        assert found(statuses=[Status.CANCELLED, Status.QUEUED]) == [even.id, odd.id]
        assert found(metadata={"a": "1"}) == [even.id, odd.id]
        assert found(metadata={"a": "1", 'quo"te': "2"}) == [odd.id]
        assert found(metadata={"a": "2"}) == []
        assert found(name="odd", statuses=[Status.CANCELLED]) == []


@pytest.mark.parametrize("cursor", ["", "x", "!!", "am9i", "zz zz", "é", "am9iXzAw" * 9])
def test_a_cursor_from_elsewhere_is_refused(database: Database, cursor: str) -> None:
    with database.read() as s, pytest.raises(BadCursor, match="start from the first page"):
        jobs.page(s, EVERYTHING, cursor=cursor)


@given(st.text())
def test_no_text_is_a_cursor(text: str) -> None:
    with pytest.raises(BadCursor):
        page_of(Session(), select(Job), Job.id, "job", 1, text)


def test_many_wishes_at_once_change_a_job_once(database: Database) -> None:
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
        told = [t.status for t in jobs.transitions(s, EVERYTHING, job_id)]
    assert told == [Status.QUEUED, Status.RUNNING, Status.CANCELLING]


def walk(database: Database, limit: int) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        with database.read() as s:
            page, cursor = jobs.page(s, EVERYTHING, limit=limit, cursor=cursor)
        found += [job.id for job in page]
        if cursor is None:
            return found
