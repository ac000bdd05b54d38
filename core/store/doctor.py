"""What can be found wrong in the database by looking alone: each check is a question whose every answer is a fault.

A job, its log and its changes are written in one transaction, so at no moment does a running service show a fault.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Select, and_, exists, func, not_, or_, select, text
from sqlalchemy.orm import Session, aliased

from core.jobs.states import ACTIVE, TERMINAL, Status
from core.store.database import Database
from core.store.tables import Checkpoint, Dataset, Event, Job, Spec, Transition

RESTORE = "restore a backup, or keep the rest and delete the job"
Faults = Select[*tuple[Any, ...]]
SHOWN = 20
"""Faults of one kind that are told one by one."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and what to do about it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


@dataclass(frozen=True)
class Check:
    """A question whose rows are faults.

    `what` tells of one row, by its columns' names.
    """

    what: str
    remedy: str
    faults: Callable[[], Faults]


@dataclass(frozen=True)
class Named:
    """A row that names a blob."""

    kind: Literal["checkpoint", "dataset"]
    id: str
    sha256: str
    bytes: int


def damage(database: Database) -> list[Finding]:
    """What SQLite's own checks say of the file. PostgreSQL looks after its pages itself, so there it is nothing."""
    if database.engine.dialect.name != "sqlite":
        return []
    with database.ask() as connection:
        pages = connection.execute(text("PRAGMA integrity_check")).scalars().all()
        rows = connection.execute(text("PRAGMA foreign_key_check")).all()
    torn = [Finding(f"the database file is damaged ({line})", "restore a backup") for line in pages if line != "ok"]
    return torn + [Finding(f"table {row[0]} has a row {row[1]} whose {row[2]} is gone", RESTORE) for row in rows]


def contradictions(s: Session) -> Iterator[Finding]:
    """Rows that cannot be true together."""
    for check in CHECKS:
        rows = s.execute(check.faults()).mappings().all()
        for row in rows[:SHOWN]:
            yield Finding(check.what.format(**row), check.remedy)
        if len(rows) > SHOWN:
            yield Finding(f"and {len(rows) - SHOWN} more of these", check.remedy)


def named(s: Session) -> list[Named]:
    """Every row that names a blob."""
    checkpoints = s.execute(select(Checkpoint.id, Checkpoint.sha256, Checkpoint.bytes).order_by(Checkpoint.id))
    datasets = s.execute(select(Dataset.id, Dataset.sha256, Dataset.bytes).order_by(Dataset.id))
    return [Named("checkpoint", *row) for row in checkpoints] + [Named("dataset", *row) for row in datasets]


def still_named(s: Session, one: Named) -> bool:
    """Whether that row is there yet: checkpoints are forgotten while a job trains."""
    names = {"checkpoint": Checkpoint.id, "dataset": Dataset.id}[one.kind]
    return s.execute(select(names).where(names == one.id)).first() is not None


def count_jobs(s: Session) -> int:
    """How many jobs there are."""
    return s.execute(select(func.count()).select_from(Job)).scalar_one()


def _logs() -> Any:
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


def _holes() -> Faults:
    log = _logs()
    events, newest = func.coalesce(log.c.events, 0), func.coalesce(log.c.newest, 0)
    return (
        select(Job.id, Job.last_seq, events.label("events"), newest.label("newest"))
        .join(log, log.c.job_id == Job.id, isouter=True)
        .where(or_(events != Job.last_seq, newest != Job.last_seq))
    )


def _lost_rows() -> Faults:
    log = _logs()
    rows, after = func.coalesce(log.c.rows, 0), func.coalesce(log.c.furthest + 1, 0)
    return (
        select(Job.id, Job.recorded, rows.label("rows"))
        .join(log, log.c.job_id == Job.id, isouter=True)
        .where(or_(rows != Job.recorded, after != Job.recorded))
    )


def _orphans() -> Faults:
    return select(Event.job_id.label("id")).where(not_(exists().where(Job.id == Event.job_id))).distinct()


def _without_spec() -> Faults:
    return select(Job.id).where(not_(exists().where(Spec.job_id == Job.id)))


def _unsaid() -> Faults:
    later = aliased(Transition)
    newer = exists().where(later.job_id == Transition.job_id, later.seq > Transition.seq)
    told = exists().where(Transition.job_id == Job.id, Transition.status == Job.status, not_(newer))
    return select(Job.id, Job.status).where(not_(told))


def _unended() -> Faults:
    ended = Job.status.in_(sorted(TERMINAL))
    return select(Job.id, Job.status).where(ended != Job.ended_at.is_not(None))


def _unexplained() -> Faults:
    failed = and_(Job.status == Status.FAILED, Job.error.is_(None))
    stopped = and_(Job.status.in_([Status.SUCCEEDED, Status.CANCELLED]), Job.stop_reason.is_(None))
    return select(Job.id, Job.status).where(or_(failed, stopped))


def _unheld() -> Faults:
    token_is_valid = and_(Job.worker.is_not(None), Job.lease_until.is_not(None))
    return select(Job.id, Job.status).where(Job.status.in_(sorted(ACTIVE)) != token_is_valid)


def _astray() -> Faults:
    mine = exists().where(Checkpoint.id == Job.checkpoint_id, Checkpoint.job_id == Job.id)
    return select(Job.id, Job.checkpoint_id).where(Job.checkpoint_id.is_not(None), not_(mine))


def _without_data() -> Faults:
    there = exists().where(Dataset.id == Job.dataset_id)
    return select(Job.id, Job.dataset_id).where(
        Job.dataset_id.is_not(None), Job.status.not_in(sorted(TERMINAL)), not_(there)
    )


CHECKS = (
    Check("job {id} says that its log ends at {last_seq}; it has {events} events up to {newest}", RESTORE, _holes),
    Check("job {id} says that {recorded} rows of its training are stored, and has {rows}", RESTORE, _lost_rows),
    Check("there are events of a job {id} that is gone", "restore a backup; they do no harm", _orphans),
    Check("job {id} has no spec", RESTORE, _without_spec),
    Check("job {id} is {status}, and its last change says otherwise", RESTORE, _unsaid),
    Check("job {id} is {status}, and the time of its end says otherwise", RESTORE, _unended),
    Check("job {id} is {status} and does not say why", RESTORE, _unexplained),
    Check("job {id} is {status}, and its worker or lease says otherwise", RESTORE, _unheld),
    Check("job {id} is to go on from checkpoint {checkpoint_id}, which is gone", RESTORE, _astray),
    Check("job {id} needs dataset {dataset_id}, which is gone", "cancel the job and post it anew", _without_data),
)
