"""Consistency checks of the database. Each check is a query whose every row is a fault.

A job, its events and its transitions are written in one transaction, so a running service shows no fault at any time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Select, and_, exists, func, not_, or_, select, text
from sqlalchemy.orm import Session, aliased

from core.jobs.states import ACTIVE, TERMINAL, Status
from core.store.database import Database
from core.store.tables import Checkpoint, Dataset, Event, Job, Spec, Totals, Transition

RESTORE = "restore a backup, or delete the job and keep the rest"
RECOUNT = "restart the API, which recounts them"
FaultQuery = Select[*tuple[Any, ...]]
MAX_FAULTS_LISTED = 20
"""Faults of one check that are listed one by one; the rest are counted."""


@dataclass(frozen=True)
class Finding:
    """A fault, and what to do about it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


@dataclass(frozen=True)
class Check:
    """A query whose rows are faults.

    `what` describes one row; `{name}` stands for a column of the query.
    """

    what: str
    remedy: str
    faults: Callable[[], FaultQuery]


@dataclass(frozen=True)
class BlobReference:
    """A row that references a blob."""

    kind: Literal["checkpoint", "dataset", "spec"]
    id: str
    sha256: str
    bytes: int


def file_damage(database: Database) -> list[Finding]:
    """Return what SQLite's own checks find in the file. PostgreSQL checks its pages itself, so there it is nothing."""
    if database.engine.dialect.name != "sqlite":
        return []
    with database.read_connection() as connection:
        pages = connection.execute(text("PRAGMA integrity_check")).scalars().all()
        rows = connection.execute(text("PRAGMA foreign_key_check")).all()
    damaged = [Finding(f"the database file is damaged ({line})", "restore a backup") for line in pages if line != "ok"]
    return damaged + [Finding(f"row {row[1]} of table {row[0]} references a missing {row[2]}", RESTORE) for row in rows]


def inconsistencies(s: Session) -> Iterator[Finding]:
    """Yield the faults that the `CHECKS` find."""
    for check in CHECKS:
        rows = s.execute(check.faults()).mappings().all()
        for row in rows[:MAX_FAULTS_LISTED]:
            yield Finding(check.what.format(**row), check.remedy)
        if len(rows) > MAX_FAULTS_LISTED:
            yield Finding(f"and {len(rows) - MAX_FAULTS_LISTED} more of these", check.remedy)


def blob_references(s: Session) -> list[BlobReference]:
    """Return every row that references a blob."""
    checkpoints = s.execute(select(Checkpoint.id, Checkpoint.sha256, Checkpoint.bytes).order_by(Checkpoint.id))
    datasets = s.execute(select(Dataset.id, Dataset.sha256, Dataset.bytes).order_by(Dataset.id))
    specs = select(Spec.job_id, Spec.sha256, Job.spec_bytes).join(Job, Job.id == Spec.job_id).order_by(Spec.job_id)
    return [
        *(BlobReference("checkpoint", *row) for row in checkpoints),
        *(BlobReference("dataset", *row) for row in datasets),
        *(BlobReference("spec", job_id, blob, size) for job_id, blob, size in s.execute(specs) if blob),
    ]


def is_referenced(s: Session, reference: BlobReference) -> bool:
    """Return whether that row still exists: a training prunes checkpoints while the doctor reads blobs."""
    ids = {"checkpoint": Checkpoint.id, "dataset": Dataset.id, "spec": Spec.job_id}[reference.kind]
    return s.execute(select(ids).where(ids == reference.id)).first() is not None


def count_jobs(s: Session) -> int:
    """Return the number of jobs."""
    return s.execute(select(func.count()).select_from(Job)).scalar_one()


def _event_counts() -> Any:
    return (
        select(
            Event.job_id,
            func.count().label("events"),
            func.max(Event.seq).label("newest"),
            func.count(Event.recorded).label("rows"),
            func.max(Event.recorded).label("furthest"),
        )
        .group_by(Event.job_id)
        .subquery()
    )


def _missing_events() -> FaultQuery:
    log = _event_counts()
    events, newest = func.coalesce(log.c.events, 0), func.coalesce(log.c.newest, 0)
    return (
        select(Job.id, Job.last_seq, events.label("events"), newest.label("newest"))
        .join(log, log.c.job_id == Job.id, isouter=True)
        .where(or_(events != Job.last_seq, newest != Job.last_seq))
    )


def _missing_rows() -> FaultQuery:
    log = _event_counts()
    rows, after = func.coalesce(log.c.rows, 0), func.coalesce(log.c.furthest + 1, 0)
    return (
        select(Job.id, Job.recorded, rows.label("rows"))
        .join(log, log.c.job_id == Job.id, isouter=True)
        .where(or_(rows != Job.recorded, after != Job.recorded))
    )


def _orphaned_events() -> FaultQuery:
    return select(Event.job_id.label("id")).where(not_(exists().where(Job.id == Event.job_id))).distinct()


def _missing_spec() -> FaultQuery:
    return select(Job.id).where(not_(exists().where(Spec.job_id == Job.id)))


def _status_without_transition() -> FaultQuery:
    later = aliased(Transition)
    newer = exists().where(later.job_id == Transition.job_id, later.seq > Transition.seq)
    recorded = exists().where(Transition.job_id == Job.id, Transition.status == Job.status, not_(newer))
    return select(Job.id, Job.status).where(not_(recorded))


def _wrong_end_time() -> FaultQuery:
    ended = Job.status.in_(sorted(TERMINAL))
    return select(Job.id, Job.status).where(ended != Job.ended_at.is_not(None))


def _missing_reason() -> FaultQuery:
    failed = and_(Job.status == Status.FAILED, Job.error.is_(None))
    stopped = and_(Job.status.in_([Status.SUCCEEDED, Status.CANCELLED]), Job.stop_reason.is_(None))
    return select(Job.id, Job.status).where(or_(failed, stopped))


def _wrong_lease() -> FaultQuery:
    leased = and_(Job.worker.is_not(None), Job.lease_until.is_not(None))
    return select(Job.id, Job.status).where(Job.status.in_(sorted(ACTIVE)) != leased)


def _missing_checkpoint() -> FaultQuery:
    present = exists().where(Checkpoint.id == Job.checkpoint_id, Checkpoint.job_id == Job.id)
    return select(Job.id, Job.checkpoint_id).where(Job.checkpoint_id.is_not(None), not_(present))


def _missing_dataset() -> FaultQuery:
    present = exists().where(Dataset.id == Job.dataset_id)
    return select(Job.id, Job.dataset_id).where(
        Job.dataset_id.is_not(None), Job.status.not_in(sorted(TERMINAL)), not_(present)
    )


def _wrong_totals() -> FaultQuery:
    """Select each owner whose totals differ from the sums over the rows; one statement sees one moment."""
    jobs, datasets = (Job.owner == Totals.owner), (Dataset.owner == Totals.owner)
    sums = {
        Totals.jobs: select(func.count()).select_from(Job).where(jobs),
        Totals.spec_bytes: select(func.coalesce(func.sum(Job.spec_bytes), 0)).where(jobs),
        Totals.checkpoint_bytes: select(func.coalesce(func.sum(Job.checkpoint_bytes), 0)).where(jobs),
        Totals.metric_rows: select(func.coalesce(func.sum(Job.metric_rows), 0)).where(jobs),
        Totals.datasets: select(func.count()).select_from(Dataset).where(datasets),
        Totals.dataset_bytes: select(func.coalesce(func.sum(Dataset.bytes), 0)).where(datasets),
    }
    differs = [column != query.scalar_subquery() for column, query in sums.items()]
    return select(Totals.owner).where(or_(*differs))


def _missing_totals() -> FaultQuery:
    counted = exists().where(Totals.owner == Job.owner)
    return select(Job.owner).where(not_(counted)).distinct()


CHECKS = (
    Check("job {id} has {last_seq} events by its row; {events} are stored, up to {newest}", RESTORE, _missing_events),
    Check("job {id} has {recorded} training rows by its row; {rows} are stored", RESTORE, _missing_rows),
    Check("there are events of job {id}, which does not exist", "restore a backup; they do no harm", _orphaned_events),
    Check("job {id} has no spec", RESTORE, _missing_spec),
    Check("job {id} is {status}, but its last transition is to another status", RESTORE, _status_without_transition),
    Check("job {id} is {status}, which contradicts its end time", RESTORE, _wrong_end_time),
    Check("job {id} is {status} without a reason", RESTORE, _missing_reason),
    Check("job {id} is {status}, which contradicts its worker or lease", RESTORE, _wrong_lease),
    Check("job {id} resumes from checkpoint {checkpoint_id}, which does not exist", RESTORE, _missing_checkpoint),
    Check(
        "job {id} needs dataset {dataset_id}, which does not exist",
        "cancel the job, upload the dataset and post the job again",
        _missing_dataset,
    ),
    Check("the totals of owner {owner!r} are not the sums of its rows", RECOUNT, _wrong_totals),
    Check("owner {owner!r} has jobs and no totals", RECOUNT, _missing_totals),
)
