"""Consistency checks: none fires on intact rows, and each kind of damage is found."""

from collections.abc import Callable

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from core.jobs.states import Status, StopReason
from core.store import doctor, events, jobs, leases
from core.store.database import Database
from core.store.events import LogRow
from core.store.scope import EVERYTHING
from core.store.tables import Checkpoint, Dataset, Event, Job, Spec, Totals, Transition
from tests.builders import a_checkpoint, a_claim, a_dataset, a_guard, a_job, a_row


@pytest.fixture
def job(database: Database) -> str:
    """Insert a succeeded job with rows and a checkpoint, and jobs of other statuses."""
    with database.begin() as s:
        token = a_claim(s)
        guarded = a_guard(s, token, events=3, recorded=2)
        events.append(s, guarded, [a_row(), a_row(step=2)], logs=[LogRow("a message")])
        a_checkpoint(s, guarded.token)
        done = StopReason.EPOCHS_COMPLETED
        leases.release(s, guarded.token, Status.SUCCEEDED, message="done", actor="w1", stop_reason=done)
        a_claim(s)
        jobs.pause(s, EVERYTHING, a_claim(s).job_id)
        jobs.cancel(s, EVERYTHING, a_job(s).id)
        jobs.pause(s, EVERYTHING, a_job(s).id)
        a_job(s, dataset_id=a_dataset(s).id)
        return token.job_id


def test_intact_database_has_no_findings(database: Database, job: str) -> None:
    with database.read() as s:
        assert list(doctor.inconsistencies(s)) == []
    assert doctor.file_damage(database) == []


Damage = Callable[[Session, str], object]
EVENT: dict[str, object] = {"job_id": "job_gone", "seq": 1, "kind": "log", "at": 1}


def _set(**columns: object) -> Damage:
    return lambda s, job: s.execute(update(Job).where(Job.id == job).values(columns))


DAMAGES: list[tuple[str, Damage, str]] = [
    ("a total is wrong", lambda s, _: s.execute(update(Totals).values(spec_bytes=1)), "are not the sums"),
    ("the totals are missing", lambda s, _: s.execute(delete(Totals)), "has jobs and no totals"),
    (
        "an event is missing",
        lambda s, job: s.execute(delete(Event).where(Event.job_id == job, Event.seq == 5)),
        "has 6",
    ),
    (
        "the last event is missing",
        lambda s, job: s.execute(delete(Event).where(Event.job_id == job, Event.seq == 6)),
        "has 6 events by its row; 5 are stored, up to 5",
    ),
    (
        "all events are missing",
        lambda s, job: s.execute(delete(Event).where(Event.job_id == job)),
        "has 6 events by its row; 0 are stored",
    ),
    ("there are more events", _set(last_seq=3), "has 3 events by its row; 6 are stored, up to 6"),
    ("a row is missing", lambda s, _: s.execute(delete(Event).where(Event.recorded == 0)), "has 2 training rows"),
    ("there are more rows", _set(recorded=1), "has 1 training rows by its row; 2 are stored"),
    ("events without a job", lambda s, _: s.execute(insert(Event).values(EVENT)), "events of job job_gone, which does"),
    ("the spec is missing", lambda s, job: s.execute(delete(Spec).where(Spec.job_id == job)), "has no spec"),
    (
        "transitions are missing",
        lambda s, job: s.execute(delete(Transition).where(Transition.job_id == job)),
        "its last transition is to another status",
    ),
    (
        "the status differs from the last transition",
        _set(status=Status.FAILED, error={}),
        "is failed, but its last transition is to another status",
    ),
    ("an ended job without an end time", _set(ended_at=None), "contradicts its end time"),
    ("an ended job without a reason", _set(stop_reason=None), "is succeeded without a reason"),
    ("a failed job without an error", _set(status=Status.FAILED), "is failed without a reason"),
    ("an ended job with a lease", _set(worker="w1", lease_until=1), "contradicts its worker or lease"),
    (
        "an active job without a worker",
        lambda s, _: s.execute(update(Job).values(worker=None)),
        "contradicts its worker or lease",
    ),
    (
        "the checkpoint is missing",
        lambda s, job: s.execute(delete(Checkpoint).where(Checkpoint.job_id == job)),
        "resumes from checkpoint ckpt_",
    ),
    ("the dataset is missing", lambda s, _: s.execute(delete(Dataset)), "needs dataset ds_"),
]


@pytest.mark.parametrize(("what", "damage", "words"), DAMAGES, ids=[row[0] for row in DAMAGES])
def test_each_kind_of_damage_is_found(database: Database, job: str, what: str, damage: Damage, words: str) -> None:
    with database() as s:
        damage(s, job)
        found = [str(finding) for finding in doctor.inconsistencies(s)]
        s.rollback()
    assert any(words in line for line in found), found


def test_every_check_finds_some_damage(database: Database, job: str) -> None:
    found: set[str] = set()
    for _, damage, _ in DAMAGES:
        with database() as s:
            damage(s, job)
            found |= {check.what for check in doctor.CHECKS if s.execute(check.faults()).first()}
            s.rollback()
    assert found == {check.what for check in doctor.CHECKS}


def test_faults_beyond_the_listed_ones_are_counted(database: Database) -> None:
    with database.begin() as s:
        for _ in range(doctor.MAX_FAULTS_LISTED + 5):
            a_job(s)
        s.execute(delete(Spec))
    with database.read() as s:
        found = [str(finding) for finding in doctor.inconsistencies(s)]
    assert len(found) == doctor.MAX_FAULTS_LISTED + 1
    assert "and 5 more" in found[-1]


def test_missing_row_of_a_foreign_key_is_found_on_sqlite(database: Database, job: str) -> None:
    if database.engine.dialect.name != "sqlite":
        return
    with database.engine.connect() as connection:
        raw = connection.connection
        raw.rollback()
        cursor = raw.cursor()
        cursor.execute("PRAGMA foreign_keys = OFF")
        cursor.execute("UPDATE specs SET job_id = 'job_gone' WHERE job_id = ?", (job,))
        cursor.execute("PRAGMA foreign_keys = ON")
        connection.detach()
    found = [finding.what for finding in doctor.file_damage(database)]
    assert any("of table specs references a missing" in line for line in found), found
