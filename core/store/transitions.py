"""Changes of a job's status: compare, set and record, in one transaction.

Each caller names the statuses that the job may leave; if it is in none of them, nothing changes.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.orm import Session

from core.jobs.states import TERMINAL, TRANSITIONS, Keep, Status
from core.store import totals
from core.store.clock import now
from core.store.errors import NoSuchJob
from core.store.scope import Scope
from core.store.tables import Checkpoint, Event, Job, Transition

WITHOUT_LEASE: dict[str, Any] = {"worker": None, "lease_until": None, "request": None}
COLUMNS_ON_ENTRY: Mapping[Status, Mapping[str, Any]] = MappingProxyType(
    {
        Status.QUEUED: WITHOUT_LEASE | {"due_at": now(), "notified_at": None},
        Status.PAUSED: WITHOUT_LEASE,
        **{status: WITHOUT_LEASE | {"ended_at": now()} for status in TERMINAL},
    },
)
"""The columns that entering a status sets."""


def change_status(
    s: Session,
    which: ColumnElement[bool],
    leaving: Collection[Status],
    target: Status,
    *,
    actor: str,
    message: str,
    **columns: Any,
) -> Job | None:
    """Move the one job that `which` selects from a status in `leaving` to `target`; return None if there is none."""
    assert all(target in TRANSITIONS[status] for status in leaving), f"no transition from {leaving} to {target}"  # noqa: S101
    statement = (
        update(Job)
        .where(which, Job.status.in_(sorted(leaving)))
        .values({"status": target, "last_seq": Job.last_seq + 1} | dict(COLUMNS_ON_ENTRY.get(target, {})) | columns)
        .returning(Job, now())
    )
    row = s.execute(statement).one_or_none()
    if row is None:
        return None
    job, at = row
    record_transition(s, job, at, actor, message)
    if job.status == Status.CANCELLED and job.keep == Keep.NONE:
        job = _delete_checkpoints(s, job)
    return totals.settle(s, job) if job.status in TERMINAL else job


def _delete_checkpoints(s: Session, job: Job) -> Job:
    """Delete all checkpoints of a job that was cancelled with `keep=none`, from whatever status."""
    s.execute(delete(Checkpoint).where(Checkpoint.job_id == job.id))
    statement = update(Job).where(Job.id == job.id).values(checkpoint_id=None, weights_sha256=None).returning(Job)
    return s.scalars(statement).one()


def record_transition(s: Session, job: Job, at: int, actor: str, message: str) -> None:
    """Insert the transition and the status event numbered by the job's `last_seq`."""
    s.execute(
        insert(Transition).values(
            job_id=job.id, seq=job.last_seq, status=job.status, at=at, actor=actor, message=message
        ),
    )
    data: dict[str, Any] = {"status": job.status, "actor": actor, "message": message}
    if job.stop_reason:
        data["stop_reason"] = job.stop_reason
    if job.error:
        data["error"] = job.error
    s.execute(
        insert(Event).values(
            job_id=job.id, seq=job.last_seq, kind="status", step=job.step, epoch=job.epoch, at=at, data=data
        ),
    )


def lock_job(s: Session, scope: Scope, job_id: str) -> Job:
    """Return the job's row, locked against changes until this transaction ends.

    Raises
    ------
    NoSuchJob
        If it does not exist in the scope.
    """
    statement = select(Job).where(Job.id == job_id, scope.includes(Job.owner)).with_for_update()
    job = s.scalars(statement).one_or_none()
    if job is None:
        raise NoSuchJob(job_id)
    return job
