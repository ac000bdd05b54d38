"""The guarded writes of a run, over a database that goes away, forgets to answer, or gives the job to another."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.jobs.states import Request, Status
from core.store import counts, jobs, leases
from core.store.database import Database
from core.store.errors import Fenced
from core.store.events import LogRow, MetricRow
from core.store.guards import GuardedWrite, token_of
from core.store.scope import EVERYTHING
from core.store.tables import Job
from tests.worker.jobs import a_database, a_spec, post, remarks, row, stream
from tests.worker.run.test_progress import a_progress, a_step
from worker.run import writer as module
from worker.run.leased_job import LeasedJob, Work, WriteBatch
from worker.run.writer import DatabaseAway, Writer

LEASE = 30.0
PATIENCE = 10.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = a_database(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def job(database: Database) -> Job:
    """A job that this worker has claimed."""
    post(database, a_spec())
    with database.begin() as s:
        claimed = leases.claim(s, "me", LEASE)
    assert claimed is not None
    return claimed


@pytest.fixture
def leased_job(database: Database, job: Job) -> LeasedJob:
    return LeasedJob(database, token_of(job), "me", LEASE)


def rows(*steps: int) -> list[MetricRow]:
    return [MetricRow(step, 1, "train", "loss", 0.5) for step in steps]


def away(*_: object) -> None:
    raise OperationalError("COMMIT", {}, Exception("the database is away"))


@contextmanager
def a_database_that_is_away(database: Database) -> Iterator[None]:
    """Every transaction fails as it begins."""
    event.listen(database.engine, "begin", away)
    try:
        yield
    finally:
        event.remove(database.engine, "begin", away)


@contextmanager
def an_answer_that_is_lost(database: Database) -> Iterator[None]:
    """The next commit happens, and its answer does not arrive."""

    def commit(connection: Connection) -> None:
        connection.connection.driver_connection.execute("COMMIT")  # type: ignore[union-attr]  # SQLite's own
        away()

    event.listen(database.engine, "commit", commit)
    try:
        yield
    finally:
        event.remove(database.engine, "commit", commit)


def test_a_portion_is_written_with_its_columns_remarks_and_work(
    leased_job: LeasedJob, database: Database, job: Job
) -> None:
    said = LogRow("look", data={"code": "seen"})
    leased_job.write(WriteBatch(rows(1, 2), [said], {"step": 2, "epoch": 1}, Work(2, 10, 0.5)))
    now = row(database, job.id)
    assert (now.step, now.epoch, now.recorded, now.writes) == (2, 1, 2, 1)
    assert stream(database, job.id) == rows(1, 2)
    assert [found["code"] for found in remarks(database, job.id)] == ["seen"]
    with database.read() as s:
        total = counts.total(s)
    assert (total.steps, total.samples, total.train_seconds) == (2, 10, 0.5)


def test_a_commit_whose_answer_was_lost_counts_once(leased_job: LeasedJob, database: Database, job: Job) -> None:
    write_batch = WriteBatch(rows(1), work=Work(1, 5, 0.1))
    with an_answer_that_is_lost(database), pytest.raises(OperationalError):
        leased_job.write(write_batch)
    leased_job.write(write_batch)
    leased_job.write(WriteBatch(rows(2)))
    assert stream(database, job.id) == rows(1, 2)
    with database.read() as s:
        assert counts.total(s).steps == 1


def test_a_commit_that_did_not_happen_is_made_again(leased_job: LeasedJob, database: Database, job: Job) -> None:
    write_batch = WriteBatch(rows(1))
    with a_database_that_is_away(database), pytest.raises(OperationalError):
        leased_job.write(write_batch)
    leased_job.write(write_batch)
    assert stream(database, job.id) == rows(1)


def test_a_portion_in_doubt_comes_first(leased_job: LeasedJob, database: Database) -> None:
    with a_database_that_is_away(database), pytest.raises(OperationalError):
        leased_job.write(WriteBatch(rows(1)))
    with pytest.raises(AssertionError):
        leased_job.write(WriteBatch(rows(2)))


def test_who_has_lost_the_job_writes_nothing(leased_job: LeasedJob, database: Database, job: Job) -> None:
    with database.begin() as s:
        leases.hand_back(s, job.id, job.fence, message="lost")
    with pytest.raises(Fenced):
        leased_job.write(WriteBatch(rows(1)))
    with pytest.raises(Fenced):
        leased_job.renew()
    assert stream(database, job.id) == []


def test_what_is_wanted_comes_with_a_write_and_with_a_heartbeat(
    leased_job: LeasedJob, database: Database, job: Job
) -> None:
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


def test_a_heartbeat_is_no_write(leased_job: LeasedJob, database: Database, job: Job) -> None:
    leased_job.renewed_at -= LEASE
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
def _slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written but when it is asked for."""
    monkeypatch.setattr(module, "PACE", 3600.0)


@pytest.mark.usefixtures("_slow")
def test_all_there_is_goes_into_one_transaction(leased_job: LeasedJob, database: Database, job: Job) -> None:
    progress = a_progress()
    progress.items += [a_step(step) for step in range(1, 101)]
    done: list[Status] = []
    with a_writer(leased_job) as writer:
        writer._progress = progress
        writer.write(lambda _, guarded: done.append(guarded.status))
    now = row(database, job.id)
    assert (now.writes, now.recorded, now.step) == (1, 100, 100)
    assert done == [Status.RUNNING]


@pytest.mark.usefixtures("_slow")
def test_the_last_of_many_portions_does_what_is_asked(
    leased_job: LeasedJob, database: Database, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", 10)
    progress = a_progress()
    progress.items += [a_step(step) for step in range(1, 26)]
    recorded: list[int] = []
    with a_writer(leased_job) as writer:
        writer._progress = progress
        writer.write(lambda _, guarded: recorded.append(guarded.recorded))
    assert (row(database, job.id).writes, recorded) == (3, [25])


def test_the_first_rows_are_written_at_once(
    leased_job: LeasedJob, database: Database, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = threading.Event()
    write = LeasedJob.write

    def told(self: LeasedJob, write_batch: WriteBatch) -> None:
        write(self, write_batch)
        if write_batch.rows:
            written.set()

    monkeypatch.setattr(LeasedJob, "write", told)
    monkeypatch.setattr(module, "PACE", 3600.0)
    progress = a_progress()
    with a_writer(leased_job) as writer:
        writer.follow(progress)
        progress.items.append(a_step(1))
        assert written.wait(PATIENCE)


def test_rows_wait_for_a_database_that_is_away_and_come_in_their_order(
    leased_job: LeasedJob, database: Database, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = a_progress()
    tried = threading.Event()
    with a_writer(leased_job) as writer:
        writer.follow(progress)
        with a_database_that_is_away(database):
            monkeypatch.setattr(Writer, "_say_away", lambda *_: tried.set())
            progress.items += [a_step(1), a_step(2)]
            assert tried.wait(PATIENCE)
            progress.items.append(a_step(3))
            writer.check()  # training goes on
        writer.write()
    assert stream(database, job.id) == rows(1, 2, 3)


def test_training_waits_at_a_batch_boundary_when_the_lease_is_short(leased_job: LeasedJob, database: Database) -> None:
    leased_job.renewed_at -= 0.9 * LEASE
    with a_writer(leased_job) as writer:
        writer.check()
        assert leased_job.lease_left > 0.9


def test_training_waits_when_the_buffer_is_full(
    leased_job: LeasedJob, database: Database, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUFFER", 5)
    monkeypatch.setattr(module, "PACE", 3600.0)
    progress = a_progress()
    with a_writer(leased_job) as writer:
        writer._progress = progress
        progress.items += [a_step(step) for step in range(1, 7)]
        writer.check()
        assert row(database, job.id).recorded == 6


def test_a_worker_that_has_to_end_does_not_wait_for_ever(leased_job: LeasedJob, database: Database) -> None:
    leased_job.renewed_at -= LEASE
    with a_database_that_is_away(database), a_writer(leased_job, stopping=True) as writer, pytest.raises(DatabaseAway):
        writer.write()


def test_the_training_thread_hears_that_the_job_is_anothers(
    leased_job: LeasedJob, database: Database, job: Job
) -> None:
    with database.begin() as s:
        leases.hand_back(s, job.id, job.fence, message="lost")
    with a_writer(leased_job) as writer:
        writer.follow(a_progress())
        assert _attention(writer)
        with pytest.raises(Fenced):
            writer.check()


def test_attention_is_called_for_a_wish(leased_job: LeasedJob, database: Database, job: Job) -> None:
    with a_writer(leased_job) as writer:
        with database.begin() as s:
            jobs.pause(s, EVERYTHING, job.id)
        assert _attention(writer)
        writer.check()
        assert leased_job.request is Request.PAUSE


def test_what_is_done_in_a_transaction_that_failed_is_done_again(
    leased_job: LeasedJob, database: Database, job: Job
) -> None:
    failures = iter([True, False])
    done: list[int] = []

    def then(_: Session, guarded: GuardedWrite) -> None:
        done.append(guarded.last_seq)
        if next(failures):
            away()

    with a_writer(leased_job) as writer:
        writer.write(then)
    assert len(done) == 2
    assert done[0] == done[1]


def _attention(writer: Writer) -> bool:
    """Whether the flag is raised before patience ends."""
    deadline = threading.Event()
    timer = threading.Timer(PATIENCE, deadline.set)
    timer.start()
    while not (writer.attention or deadline.wait(0.005)):
        pass
    timer.cancel()
    return writer.attention
