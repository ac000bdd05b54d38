"""Guarded writes of a run over a database that is away, loses an answer, or has given the job to another worker."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.blobs.folder import FolderBlobs
from core.jobs.states import Request, Status, StopReason
from core.store import counts, jobs, leases
from core.store.database import Database
from core.store.errors import Fenced
from core.store.events import LogRow, MetricRow
from core.store.guards import token_of
from core.store.scope import EVERYTHING
from core.store.tables import Job
from tests.worker.jobs import a_database, a_spec, log_data, metric_rows, post, row
from tests.worker.run.test_progress import a_progress, a_step
from worker.run import writer as module
from worker.run.errors import DatabaseAway
from worker.run.leased_job import LeasedJob
from worker.run.outcomes import REQUESTED, Outcome, completed
from worker.run.write_batch import WorkDone, WriteBatch
from worker.run.writer import Writer

LEASE_SECONDS = 30.0
DEADLINE_SECONDS = 10.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = a_database(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def job(database: Database) -> Job:
    """Insert a job and claim it for this worker."""
    post(database, a_spec())
    with database.begin() as s:
        claimed = leases.claim(s, "me", LEASE_SECONDS)
    assert claimed is not None
    return claimed


@pytest.fixture
def leased_job(database: Database, job: Job, tmp_path: Path) -> LeasedJob:
    return LeasedJob(database, FolderBlobs(tmp_path / "blobs"), token_of(job), "me", LEASE_SECONDS)


def rows(*steps: int) -> list[MetricRow]:
    return [MetricRow(step, 1, "train", "loss", 0.5) for step in steps]


def away(*_: object) -> None:
    raise OperationalError("COMMIT", {}, Exception("the database is away"))


@contextmanager
def database_away(database: Database) -> Iterator[None]:
    """Let every transaction fail when it begins."""
    event.listen(database.engine, "begin", away)
    try:
        yield
    finally:
        event.remove(database.engine, "begin", away)


@contextmanager
def lost_answer(database: Database) -> Iterator[None]:
    """Let commits happen without an answer."""

    def commit(connection: Connection) -> None:
        connection.connection.driver_connection.execute("COMMIT")  # type: ignore[union-attr]  # SQLite's own
        away()

    event.listen(database.engine, "commit", commit)
    try:
        yield
    finally:
        event.remove(database.engine, "commit", commit)


def test_batch_stores_rows_logs_columns_and_work(leased_job: LeasedJob, database: Database, job: Job) -> None:
    log = LogRow("message", data={"code": "seen"})
    leased_job.write(WriteBatch(rows(1, 2), [log], {"step": 2, "epoch": 1}, WorkDone(2, 10, 0.5)))
    now = row(database, job.id)
    assert (now.step, now.epoch, now.recorded, now.writes) == (2, 1, 2, 1)
    assert metric_rows(database, job.id) == rows(1, 2)
    assert [found["code"] for found in log_data(database, job.id)] == ["seen"]
    with database.read() as s:
        total = counts.total(s)
    assert (total.steps, total.samples, total.train_seconds) == (2, 10, 0.5)


def test_commit_with_lost_answer_is_written_once(leased_job: LeasedJob, database: Database, job: Job) -> None:
    batch = WriteBatch(rows(1), work_done=WorkDone(1, 5, 0.1))
    with lost_answer(database), pytest.raises(OperationalError):
        leased_job.write(batch)
    leased_job.write(batch)
    leased_job.write(WriteBatch(rows(2)))
    assert metric_rows(database, job.id) == rows(1, 2)
    with database.read() as s:
        assert counts.total(s).steps == 1


def test_failed_commit_is_repeated(leased_job: LeasedJob, database: Database, job: Job) -> None:
    batch = WriteBatch(rows(1))
    with database_away(database), pytest.raises(OperationalError):
        leased_job.write(batch)
    leased_job.write(batch)
    assert metric_rows(database, job.id) == rows(1)


def test_doubtful_batch_must_be_written_before_others(leased_job: LeasedJob, database: Database) -> None:
    with database_away(database), pytest.raises(OperationalError):
        leased_job.write(WriteBatch(rows(1)))
    with pytest.raises(AssertionError):
        leased_job.write(WriteBatch(rows(2)))


def test_worker_without_the_lease_writes_nothing(leased_job: LeasedJob, database: Database, job: Job) -> None:
    with database.begin() as s:
        leases.requeue_lost(s, job.id, job.fence, message="lost")
    with pytest.raises(Fenced):
        leased_job.write(WriteBatch(rows(1)))
    with pytest.raises(Fenced):
        leased_job.renew()
    assert metric_rows(database, job.id) == []


def test_write_and_heartbeat_return_the_request(leased_job: LeasedJob, database: Database, job: Job) -> None:
    leased_job.write(WriteBatch())
    assert leased_job.request is None
    with database.begin() as s:
        jobs.pause(s, EVERYTHING, job.id)
    leased_job.renew()
    assert leased_job.request is Request.PAUSE
    with database.begin() as s:
        jobs.cancel(s, EVERYTHING, job.id)
    leased_job.write(WriteBatch())
    assert leased_job.request is Request.CANCEL


def test_heartbeat_renews_the_lease_without_counting_as_a_write(
    leased_job: LeasedJob, database: Database, job: Job
) -> None:
    leased_job.renewed_at -= LEASE_SECONDS
    assert leased_job.lease_left < 0.1
    leased_job.renew()
    assert leased_job.lease_left > 0.9
    assert row(database, job.id).writes == 0
    leased_job.write(WriteBatch(rows(1)))


@contextmanager
def a_writer(leased_job: LeasedJob, stopping: bool = False) -> Iterator[Writer]:
    with Writer(leased_job, lambda: stopping) as writer:
        yield writer


@pytest.fixture
def _no_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write only when `write` is called."""
    monkeypatch.setattr(module, "WRITE_SECONDS", 3600.0)


def test_outcome_of_a_batch_is_stored_and_returned(leased_job: LeasedJob, database: Database, job: Job) -> None:
    outcome = completed(StopReason.EPOCHS_COMPLETED)
    assert leased_job.write(WriteBatch(rows(1))) is None
    assert leased_job.write(WriteBatch(rows(2), outcome=outcome)) == outcome
    now = row(database, job.id)
    assert (now.status, now.stop_reason, now.recorded) == (Status.SUCCEEDED, "epochs_completed", 2)


@pytest.mark.parametrize("outcome", [REQUESTED[Request.PAUSE], completed(StopReason.MAX_RUNTIME)])
def test_cancel_that_arrives_meanwhile_replaces_only_an_interruption(
    leased_job: LeasedJob, database: Database, job: Job, outcome: Outcome
) -> None:
    with database.begin() as s:
        jobs.cancel(s, EVERYTHING, job.id)
    expected = outcome if outcome.status is Status.SUCCEEDED else REQUESTED[Request.CANCEL]
    assert leased_job.write(WriteBatch(outcome=outcome)) == expected
    assert row(database, job.id).status is expected.status


def test_outcome_is_known_after_a_lost_answer(leased_job: LeasedJob, database: Database, job: Job) -> None:
    batch = WriteBatch(outcome=REQUESTED[Request.YIELD])
    with database.begin() as s:
        jobs.pause(s, EVERYTHING, job.id)
    with lost_answer(database), pytest.raises(OperationalError):
        leased_job.write(batch)
    assert leased_job.write(batch) == REQUESTED[Request.PAUSE]
    assert row(database, job.id).status is Status.PAUSED


@pytest.mark.usefixtures("_no_ticks")
def test_everything_buffered_is_written_in_one_transaction(leased_job: LeasedJob, database: Database, job: Job) -> None:
    progress = a_progress()
    progress.items += [a_step(step) for step in range(1, 101)]
    with a_writer(leased_job) as writer:
        writer._progress = progress
        outcome = writer.write(WriteBatch(outcome=REQUESTED[Request.YIELD]))
    now = row(database, job.id)
    assert (now.writes, now.recorded, now.step) == (1, 100, 100)
    assert outcome == REQUESTED[Request.YIELD]
    assert now.status is Status.QUEUED


@pytest.mark.usefixtures("_no_ticks")
def test_outcome_is_written_with_the_last_of_many_batches(
    leased_job: LeasedJob, database: Database, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[int, Outcome | None]] = []
    write = LeasedJob.write

    def spy(self: LeasedJob, batch: WriteBatch) -> Outcome | None:
        outcome = write(self, batch)
        written.append((row(database, job.id).recorded, outcome))
        return outcome

    monkeypatch.setattr(LeasedJob, "write", spy)
    monkeypatch.setattr(module, "MAX_BATCH_ROWS", 10)
    progress = a_progress()
    progress.items += [a_step(step) for step in range(1, 26)]
    with a_writer(leased_job) as writer:
        writer._progress = progress
        outcome = writer.write(WriteBatch(outcome=REQUESTED[Request.YIELD]))
    assert row(database, job.id).writes == 3
    assert written == [(10, None), (20, None), (25, outcome)]
    assert outcome == REQUESTED[Request.YIELD]


def test_first_rows_are_written_immediately(
    leased_job: LeasedJob, database: Database, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = threading.Event()
    write = LeasedJob.write

    def spy(self: LeasedJob, batch: WriteBatch) -> Outcome | None:
        outcome = write(self, batch)
        if batch.rows:
            written.set()
        return outcome

    monkeypatch.setattr(LeasedJob, "write", spy)
    monkeypatch.setattr(module, "WRITE_SECONDS", 3600.0)
    progress = a_progress()
    with a_writer(leased_job) as writer:
        writer.attach(progress)
        progress.items.append(a_step(1))
        assert written.wait(DEADLINE_SECONDS)


def test_rows_wait_for_a_database_that_is_away_and_keep_their_order(
    leased_job: LeasedJob, database: Database, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = a_progress()
    tried = threading.Event()
    with a_writer(leased_job) as writer:
        writer.attach(progress)
        with database_away(database):
            monkeypatch.setattr(Writer, "_log_away", lambda *_: tried.set())
            progress.items += [a_step(1), a_step(2)]
            assert tried.wait(DEADLINE_SECONDS)
            progress.items.append(a_step(3))
            writer.check()  # returns: the training continues
        writer.write()
    assert metric_rows(database, job.id) == rows(1, 2, 3)


def test_check_waits_when_the_lease_is_about_to_expire(leased_job: LeasedJob, database: Database) -> None:
    leased_job.renewed_at -= 0.9 * LEASE_SECONDS
    with a_writer(leased_job) as writer:
        writer.check()
        assert leased_job.lease_left > 0.9


def test_check_waits_when_the_buffer_is_full(
    leased_job: LeasedJob, database: Database, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BUFFERED_ROWS", 5)
    monkeypatch.setattr(module, "WRITE_SECONDS", 3600.0)
    progress = a_progress()
    with a_writer(leased_job) as writer:
        writer._progress = progress
        progress.items += [a_step(step) for step in range(1, 7)]
        writer.check()
        assert row(database, job.id).recorded == 6


def test_worker_that_shuts_down_stops_waiting_for_the_database(leased_job: LeasedJob, database: Database) -> None:
    leased_job.renewed_at -= LEASE_SECONDS
    with database_away(database), a_writer(leased_job, stopping=True) as writer, pytest.raises(DatabaseAway):
        writer.write()


def test_check_raises_fenced_after_the_lease_is_lost(leased_job: LeasedJob, database: Database, job: Job) -> None:
    with database.begin() as s:
        leases.requeue_lost(s, job.id, job.fence, message="lost")
    with a_writer(leased_job) as writer:
        writer.attach(a_progress())
        assert _check_needed(writer)
        with pytest.raises(Fenced):
            writer.check()


def test_request_makes_the_writer_ask_for_a_check(leased_job: LeasedJob, database: Database, job: Job) -> None:
    with a_writer(leased_job) as writer:
        with database.begin() as s:
            jobs.pause(s, EVERYTHING, job.id)
        assert _check_needed(writer)
        writer.check()
        assert leased_job.request is Request.PAUSE


def test_failed_transaction_is_repeated_with_its_outcome(
    leased_job: LeasedJob, database: Database, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []
    leave = leases.release

    def fail_once(s: Session, *arguments: Any, **options: Any) -> Job:
        left = leave(s, *arguments, **options)
        attempts.append(left.last_seq)
        if len(attempts) == 1:
            away()
        return left

    monkeypatch.setattr(leases, "release", fail_once)
    with a_writer(leased_job) as writer:
        assert writer.write(WriteBatch(outcome=REQUESTED[Request.YIELD])) == REQUESTED[Request.YIELD]
    assert len(attempts) == 2
    assert attempts[0] == attempts[1]
    assert row(database, job.id).status is Status.QUEUED


def _check_needed(writer: Writer) -> bool:
    """Return whether the writer asks for a check before the deadline."""
    deadline = threading.Event()
    timer = threading.Timer(DEADLINE_SECONDS, deadline.set)
    timer.start()
    while not (writer.needs_check or deadline.wait(0.005)):
        pass
    timer.cancel()
    return writer.needs_check
