"""Leases: claims, guarded writes, heartbeats, releases, and jobs of lost workers."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from core.jobs.states import ACTIVE, TRANSITIONS, Keep, Request, Status, StopReason
from core.store import events, jobs, leases
from core.store.clock import MICROSECONDS_PER_SECOND, microseconds, read_clock
from core.store.database import Database
from core.store.errors import Fenced, WrongState
from core.store.guards import FencingToken, token_of
from core.store.leases import AvailableMemory
from core.store.scope import EVERYTHING
from core.store.tables import Job
from tests.builders import LEASE_SECONDS, a_checkpoint, a_claim, a_guard, a_job, lapse


def test_claim_leases_the_job(database: Database) -> None:
    with database.begin() as s:
        job = a_job(s)
        before = read_clock(s)
        claimed = leases.claim(s, "w1", 30.0)
        after = read_clock(s)
    assert claimed is not None
    assert (claimed.id, claimed.status, claimed.worker) == (job.id, Status.RUNNING, "w1")
    assert token_of(claimed) == FencingToken(job.id, 1, 0)
    assert claimed.lease_until is not None
    assert before + 30 * MICROSECONDS_PER_SECOND <= claimed.lease_until <= after + 30 * MICROSECONDS_PER_SECOND
    assert claimed.started_at is not None


def test_claim_without_a_due_job_returns_none(database: Database) -> None:
    with database.begin() as s:
        assert leases.claim(s, "w1", LEASE_SECONDS) is None
        later = a_job(s)
        s.execute(update(Job).where(Job.id == later.id).values(due_at=read_clock(s) + 60 * MICROSECONDS_PER_SECOND))
        assert leases.claim(s, "w1", LEASE_SECONDS) is None


def test_claim_orders_by_priority_then_load_of_the_owner_then_age(database: Database) -> None:
    with database.begin() as s:
        old, older = a_job(s, owner="ann"), a_job(s, owner="ann")
        other, urgent = a_job(s, owner="bob"), a_job(s, owner="ann", priority=1)
        for age, job in enumerate((other, old, older, urgent)):  # the oldest has the lowest
            s.execute(update(Job).where(Job.id == job.id).values(created_at=10 - age))
        order = [claimed.id for claimed in (leases.claim(s, "w1", LEASE_SECONDS) for _ in range(4)) if claimed]
    assert order == [urgent.id, other.id, older.id, old.id]


def test_claim_skips_a_job_that_does_not_fit_into_free_memory(database: Database) -> None:
    memory = AvailableMemory("here:", total=100, available=50)
    with database.begin() as s:
        large, fits, unknown = (
            a_job(s, memory_bytes=51, priority=2),
            a_job(s, memory_bytes=50, priority=1),
            a_job(s, memory_bytes=None),
        )
        order = [
            claimed.id for claimed in (leases.claim(s, f"here:{n}", LEASE_SECONDS, memory) for n in range(3)) if claimed
        ]
        assert order == [fits.id, unknown.id]
        assert leases.claim(s, "there:1", LEASE_SECONDS, AvailableMemory("there:", 100, 51)).id == large.id  # type: ignore[union-attr]


def test_claim_reserves_the_estimates_of_active_jobs(database: Database) -> None:
    memory = AvailableMemory("here:", total=100, available=100)  # as while the claimed jobs have not yet allocated
    with database.begin() as s:
        for size in (60, 60, 40):
            a_job(s, memory_bytes=size)
        claims = [leases.claim(s, f"here:{n}", LEASE_SECONDS, memory) for n in range(3)]
        sizes = [claimed.memory_bytes for claimed in claims if claimed]
        assert sizes == [60, 40]
        assert leases.claim(s, "there:1", LEASE_SECONDS, memory._replace(machine="there:")) is not None


def test_log_too_large_records_each_job_once(database: Database) -> None:
    memory = AvailableMemory("here:", total=2**30, available=0)
    with database.begin() as s:
        large, small = a_job(s, memory_bytes=3 * 2**30), a_job(s, memory_bytes=2**30)
        leases.log_too_large(s, memory)
        assert len(jobs.transitions(s, EVERYTHING, large.id)) == 1, "a larger worker may claim it first"
        s.execute(update(Job).values(due_at=1))

    def log() -> None:
        with database.begin() as s:
            leases.log_too_large(s, memory)

    together(*[log] * 4)
    with database.begin() as s:
        _, logged = jobs.transitions(s, EVERYTHING, large.id)
        assert logged.message == "needs an estimated 3.0 GiB, a worker has 1.0 GiB: waiting for a worker with more"
        assert (logged.status, logged.seq, jobs.get(s, EVERYTHING, large.id).last_seq) == (Status.QUEUED, 2, 2)
        assert [event.seq for event in events.after(s, EVERYTHING, large.id, 0)] == [1, 2]
        assert len(jobs.transitions(s, EVERYTHING, small.id)) == 1


def test_second_claim_keeps_the_first_start_time(database: Database) -> None:
    with database.begin() as s:
        token = a_claim(s)
        started = jobs.get(s, EVERYTHING, token.job_id).started_at
        leases.release(s, a_guard(s, token).token, Status.QUEUED, message="yield", actor="w1")
        again = leases.claim(s, "w2", LEASE_SECONDS)
        assert again is not None
        assert (again.started_at, again.fence, again.writes) == (started, 2, 0)


def test_concurrent_claims_never_return_the_same_job(database: Database) -> None:
    with database.begin() as s:
        made = {a_job(s).id for _ in range(12)}
    claimed_ids: list[str] = []

    def claim_all(worker: str) -> None:
        while True:
            with database.begin() as s:
                job = leases.claim(s, worker, LEASE_SECONDS)
            if job is None:
                return
            claimed_ids.append(job.id)

    together(*[lambda worker=f"w{n}": claim_all(worker) for n in range(4)])
    assert sorted(claimed_ids) == sorted(made)


def test_guard_allots_numbers_renews_the_lease_and_sets_columns(database: Database) -> None:
    with database.begin() as s:
        token = a_claim(s)
        lapse(s, token.job_id)
        guarded = leases.guard(s, token, lease_seconds=30.0, events=3, recorded=2, step=7, latest={"loss": 0.5})
        assert guarded.token == FencingToken(token.job_id, 1, 1)
        assert (guarded.last_seq, guarded.recorded, guarded.events, guarded.rows) == (5, 2, 3, 2)
        assert (guarded.status, guarded.request, guarded.keep) == (Status.RUNNING, None, None)
        job = jobs.get(s, EVERYTHING, token.job_id)
        assert (job.step, job.latest, job.heartbeat_at) == (7, {"loss": 0.5}, guarded.at)
        assert job.lease_until is not None
        assert abs(job.lease_until - guarded.at - 30 * MICROSECONDS_PER_SECOND) < MICROSECONDS_PER_SECOND / 10
        assert abs(guarded.at - read_clock(s)) < 5 * MICROSECONDS_PER_SECOND


def test_guard_returns_a_clients_request_and_stays_valid(database: Database) -> None:
    with database.begin() as s:
        token = a_claim(s)
        jobs.cancel(s, EVERYTHING, token.job_id, Keep.BEST)
        guarded = a_guard(s, token)
        assert (guarded.status, guarded.request, guarded.keep) == (Status.CANCELLING, Request.CANCEL, Keep.BEST)


def test_guard_stores_values_that_are_not_finite_by_name(database: Database) -> None:
    with database.begin() as s:
        token = a_claim(s)
        a_guard(s, token, latest={"loss": float("nan"), "a": [float("inf"), -1.5]}, best={"value": float("-inf")})
    with database.read() as s:
        job = jobs.get(s, EVERYTHING, token.job_id)
        assert (job.latest, job.best) == ({"loss": "nan", "a": ["inf", -1.5]}, {"value": "-inf"})


def requeue(database: Database, token: FencingToken) -> None:
    with database.begin() as s:
        assert leases.requeue_lost(s, token.job_id, token.fence, message="gone")


def requeue_and_claim(database: Database, token: FencingToken) -> None:
    requeue(database, token)
    with database.begin() as s:
        assert leases.claim(s, "w2", LEASE_SECONDS)


def write_again(database: Database, token: FencingToken) -> None:
    with database.begin() as s:
        a_guard(s, token)


def finish(database: Database, token: FencingToken) -> None:
    with database.begin() as s:
        leases.release(s, a_guard(s, token).token, Status.SUCCEEDED, message="done", actor="w1")


def delete(database: Database, token: FencingToken) -> None:
    finish(database, token)
    with database.begin() as s:
        jobs.delete(s, EVERYTHING, token.job_id)


WRITES: dict[str, Callable[[Any, FencingToken], object]] = {
    "guard": a_guard,
    "record_message": lambda s, token: leases.record_message(s, token, "hm", "w1"),
    "release": lambda s, token: leases.release(s, token, Status.SUCCEEDED, message="done", actor="w1"),
    "checkpoint": a_checkpoint,
}


@pytest.mark.parametrize("lose", [requeue, requeue_and_claim, write_again, finish, delete])
@pytest.mark.parametrize("write", WRITES)
def test_write_with_an_invalid_token_raises_and_changes_nothing(
    database: Database, lose: Callable[[Database, FencingToken], None], write: str
) -> None:
    with database.begin() as s:
        token = a_claim(s)
    lose(database, token)
    before = all_columns_and_events(database, token.job_id)
    with database.begin() as s, pytest.raises(Fenced, match="stop, write nothing"):
        WRITES[write](s, token)
    assert all_columns_and_events(database, token.job_id) == before


@pytest.mark.parametrize("lose", [requeue, requeue_and_claim, finish, delete])
def test_renew_after_losing_the_job_raises(database: Database, lose: Callable[[Database, FencingToken], None]) -> None:
    with database.begin() as s:
        token = a_claim(s)
    lose(database, token)
    with database.begin() as s, pytest.raises(Fenced):
        leases.renew(s, token, LEASE_SECONDS)


def test_renew_extends_the_lease_and_counts_no_write(database: Database) -> None:
    with database.begin() as s:
        token = a_claim(s)
        lapse(s, token.job_id)
        assert leases.renew(s, token, LEASE_SECONDS) is None
        assert leases.requeue_expired(s) == []
        jobs.pause(s, EVERYTHING, token.job_id)
        assert leases.renew(s, token, LEASE_SECONDS) is Request.PAUSE
        assert a_guard(s, token).token.writes == 1


def test_resolve_commit_tells_whether_the_commit_happened(database: Database) -> None:
    with database.begin() as s:
        token = a_claim(s)
        assert leases.resolve_commit(s, token) is None
        following = a_guard(s, token).token
        assert leases.resolve_commit(s, token) == following
        assert leases.resolve_commit(s, following) is None
        last = a_guard(s, following).token
        with pytest.raises(Fenced):
            leases.resolve_commit(s, token)
        leases.release(s, last, Status.SUCCEEDED, message="done", actor="w1")
        assert leases.resolve_commit(s, following) == last
        with pytest.raises(Fenced):
            leases.resolve_commit(s, last)


def test_resolve_commit_after_losing_the_job_raises(database: Database) -> None:
    with database.begin() as s:
        token = a_claim(s)
        a_guard(s, token)
    requeue(database, token)
    with database.read() as s, pytest.raises(Fenced):
        leases.resolve_commit(s, token)


@pytest.mark.parametrize("target", Status)
@pytest.mark.parametrize("status", sorted(ACTIVE))
def test_release_allows_the_transitions_of_the_table_only(database: Database, status: Status, target: Status) -> None:
    with database.begin() as s:
        token = a_claim(s)
        if status != Status.RUNNING:
            (jobs.pause if status == Status.PAUSING else jobs.cancel)(s, EVERYTHING, token.job_id)
        guarded = a_guard(s, token)
        if target in TRANSITIONS[status] - ACTIVE:
            job = leases.release(s, guarded.token, target, message="so", actor="w1")
            assert (job.status, job.worker, job.lease_until, job.request) == (target, None, None, None)
            assert jobs.transitions(s, EVERYTHING, token.job_id)[-1].message == "so"
        else:
            with pytest.raises(WrongState, match=f"is {status} and cannot be {target}"):
                leases.release(s, guarded.token, target, message="so", actor="w1")


def test_release_stores_stop_reason_and_error(database: Database) -> None:
    with database.begin() as s:
        guarded = a_guard(s, a_claim(s))
        error = {"code": "diverged", "step": 3}
        reason = StopReason.DIVERGED
        leases.release(s, guarded.token, Status.FAILED, message="no", actor="w1", stop_reason=reason, error=error)
    with database.read() as s:
        job = jobs.get(s, EVERYTHING, guarded.token.job_id)
        assert (job.stop_reason, job.error) == (reason, error)
        assert job.ended_at is not None
        recorded = events.after(s, EVERYTHING, job.id, job.last_seq - 1)[-1].data
        assert recorded == {
            "status": "failed",
            "actor": "w1",
            "message": "no",
            "stop_reason": "diverged",
            "error": error,
        }


def test_record_message_keeps_the_status(database: Database) -> None:
    with database.begin() as s:
        guarded = a_guard(s, a_claim(s))
        leases.record_message(s, guarded.token, "other BLAS", "w1")
        leases.record_message(s, guarded.token, "really", "w1")
        recorded = jobs.transitions(s, EVERYTHING, guarded.token.job_id)
        assert [(t.status, t.message) for t in recorded[-2:]] == [
            (Status.RUNNING, "other BLAS"),
            (Status.RUNNING, "really"),
        ]


@pytest.mark.parametrize(
    ("call", "status"),
    [(None, Status.QUEUED), (jobs.pause, Status.PAUSED), (jobs.cancel, Status.CANCELLED)],
)
def test_expired_lease_moves_the_job_by_its_request(
    database: Database, call: Callable[..., Job] | None, status: Status
) -> None:
    with database.begin() as s:
        token = a_claim(s, worker="w7")
        if call:
            call(s, EVERYTHING, token.job_id)
        assert leases.requeue_expired(s) == []
        lapse(s, token.job_id)
        (job,) = leases.requeue_expired(s)
        assert (job.status, job.fence, job.worker, job.request) == (status, 2, None, None)
        assert "w7" in jobs.transitions(s, EVERYTHING, token.job_id)[-1].message
        assert leases.requeue_expired(s) == []


def test_requeue_lost_of_a_cancelling_job_ends_it_as_cancelled(database: Database) -> None:
    with database.begin() as s:
        token = a_claim(s)
        jobs.cancel(s, EVERYTHING, token.job_id, Keep.BEST)
        job = leases.requeue_lost(s, token.job_id, token.fence, message="killed")
        assert job is not None
        assert (job.stop_reason, job.keep) == (StopReason.CANCELLED, Keep.BEST)


def test_requeue_lost_with_another_fence_changes_nothing(database: Database) -> None:
    with database.begin() as s:
        token = a_claim(s)
        assert leases.requeue_lost(s, token.job_id, token.fence + 1, message="no") is None
        assert leases.requeue_lost(s, "job_gone", 1, message="no") is None
        assert leases.requeue_lost(s, token.job_id, token.fence, message="killed")
        assert leases.requeue_lost(s, token.job_id, token.fence, message="killed") is None
        assert leases.requeue_lost(s, token.job_id, token.fence + 1, message="is queued") is None


def test_third_lost_worker_without_progress_fails_the_job(database: Database) -> None:
    with database.begin() as s:
        job_id = a_job(s).id
        for loss in range(1, leases.MAX_LOST_WORKERS + 1):
            claimed = leases.claim(s, f"w{loss}", LEASE_SECONDS)
            assert claimed is not None
            job = leases.requeue_lost(s, job_id, claimed.fence, message="killed by 9", detail={"signal": 9})
            assert job is not None
            assert job.lost_workers == loss
            assert (job.status == Status.FAILED) == (loss == leases.MAX_LOST_WORKERS)
        job = jobs.get(s, EVERYTHING, job_id)
        assert job.error is not None
        assert (job.error["code"], job.error["signal"]) == ("worker_lost", 9)
        assert "killed by 9" in job.error["message"]


def test_progress_resets_the_count_of_lost_workers(database: Database) -> None:
    with database.begin() as s:
        job_id = a_job(s).id
        for round_ in range(2 * leases.MAX_LOST_WORKERS):
            claimed = leases.claim(s, "w", LEASE_SECONDS)
            assert claimed is not None
            a_checkpoint(s, a_guard(s, token_of(claimed)).token, step=round_ + 1)
            job = leases.requeue_lost(s, job_id, claimed.fence, message="killed")
            assert job is not None
            assert (job.status, job.lost_workers) == (Status.QUEUED, 1)


def test_checkpoint_of_the_same_step_is_no_progress(database: Database) -> None:
    with database.begin() as s:
        job_id = a_job(s).id
        seen = []
        for _ in range(leases.MAX_LOST_WORKERS):
            claimed = leases.claim(s, "w", LEASE_SECONDS)
            assert claimed is not None
            a_checkpoint(s, a_guard(s, token_of(claimed)).token, step=0)
            job = leases.requeue_lost(s, job_id, claimed.fence, message="killed")
            assert job is not None
            seen.append(job.status)
    assert seen == [Status.QUEUED, Status.QUEUED, Status.FAILED]


def test_concurrent_collectors_requeue_each_job_once(database: Database) -> None:
    with database.begin() as s:
        tokens = [a_claim(s) for _ in range(6)]
        for token in tokens:
            lapse(s, token.job_id)
    claimed_ids: list[str] = []

    def requeue_expired() -> None:
        with database.begin() as s:
            requeued = [job.id for job in leases.requeue_expired(s)]
        claimed_ids.extend(requeued)

    together(*[requeue_expired] * 4)
    assert sorted(claimed_ids) == sorted(token.job_id for token in tokens)
    with database.read() as s:
        assert {jobs.get(s, EVERYTHING, token.job_id).fence for token in tokens} == {2}


def test_timestamps_before_a_set_back_clock_delay_nothing(database: Database) -> None:
    with database.begin() as s:
        job, hour = a_job(s), read_clock(s) + 3600 * MICROSECONDS_PER_SECOND
        s.execute(update(Job).where(Job.id == job.id).values(due_at=hour, notified_at=hour))
        assert leases.notification_due(s, 5.0)
        assert not leases.notification_due(s, 5.0), "it was notified just now"
        claimed = leases.claim(s, "w1", LEASE_SECONDS)
        assert claimed is not None
        assert leases.requeue_expired(s) == []
        s.execute(
            update(Job)
            .where(Job.id == job.id)
            .values(heartbeat_at=hour, lease_until=hour + microseconds(LEASE_SECONDS))
        )
        assert [requeued.id for requeued in leases.requeue_expired(s)] == [job.id]


def test_notification_due_is_true_for_one_of_concurrent_callers(database: Database) -> None:
    with database.begin() as s:
        assert not leases.notification_due(s, 0.0)
        job = a_job(s)
        assert not leases.notification_due(s, 5.0), "it has not waited long enough"
        s.execute(update(Job).where(Job.id == job.id).values(due_at=1))
    answers: list[bool] = []

    def call() -> None:
        with database.begin() as s:
            answer = leases.notification_due(s, 60.0)
        answers.append(answer)

    together(*[call] * 6)
    assert sorted(answers) == [False] * 5 + [True]
    with database.begin() as s:
        s.execute(update(Job).where(Job.id == job.id).values(notified_at=1))
        assert leases.notification_due(s, 60.0), "the notification was lost"


def test_notification_due_of_a_running_job_is_false(database: Database) -> None:
    with database.begin() as s:
        a_claim(s)
        assert not leases.notification_due(s, 0.0)


def test_claimed_by_matches_the_prefix_literally(database: Database) -> None:
    with database.begin() as s:
        mine, other = a_claim(s, worker="host:1:7"), a_claim(s, worker="host:10:7")
        assert [job.id for job in leases.claimed_by(s, "host:1:")] == [mine.job_id]
        assert [job.id for job in leases.claimed_by(s, "%")] == []
        assert {job.id for job in leases.claimed_by(s, "host")} == {mine.job_id, other.job_id}


def test_ask_to_yield_keeps_other_requests(database: Database) -> None:
    with database.begin() as s:
        mine, asked, other = a_claim(s, worker="a:1"), a_claim(s, worker="a:2"), a_claim(s, worker="b:1")
        jobs.cancel(s, EVERYTHING, asked.job_id)
        assert leases.ask_to_yield(s, "a:") == [mine.job_id]
        requests = [a_guard(s, token).request for token in (mine, asked, other)]
        assert requests == [Request.YIELD, Request.CANCEL, None]


def test_yield_counts_no_lost_worker(database: Database) -> None:
    with database.begin() as s:
        token = a_claim(s)
        leases.ask_to_yield(s, "w1")
        job = leases.release(s, a_guard(s, token).token, Status.QUEUED, message="yield", actor="w1")
        assert (job.lost_workers, job.request) == (0, None)


def all_columns_and_events(database: Database, job_id: str) -> Any:
    with database.read() as s:
        job = s.get(Job, job_id)
        columns = None if job is None else {c.key: getattr(job, c.key) for c in Job.__mapper__.column_attrs}
        return (
            columns,
            events.after(s, EVERYTHING, job_id, 0),
            [t.message for t in jobs.transitions(s, EVERYTHING, job_id)],
        )


def together(*calls: Callable[[], None]) -> None:
    """Make the calls at once, each in a thread; fail if any of them raised."""
    start = threading.Barrier(len(calls))
    raised: list[BaseException] = []

    def run(call: Callable[[], None]) -> None:
        start.wait()
        try:
            call()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not raised
