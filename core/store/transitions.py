"""The one way in which a job's status changes: compare, set, and say so, in one transaction.

Who calls names the states that may be left; where the job stands in none of them nothing happens.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.orm import Session

from core.jobs.states import TERMINAL, TRANSITIONS, Keep, Status
from core.store.clock import now
from core.store.errors import NoSuchJob
from core.store.scope import Scope
from core.store.tables import Checkpoint, Event, Job, Transition

RELEASED: dict[str, Any] = {"worker": None, "lease_until": None, "request": None}
ENTERING: Mapping[Status, Mapping[str, Any]] = MappingProxyType(
    {
        Status.QUEUED: RELEASED | {"due_at": now(), "notified_at": None},
        Status.PAUSED: RELEASED,
        **{status: RELEASED | {"ended_at": now()} for status in TERMINAL},
    },
)
"""What a status brings with it."""


def change(
    s: Session,
    which: ColumnElement[bool],
    leaving: Collection[Status],
    target: Status,
    *,
    actor: str,
    message: str,
    **columns: Any,
) -> Job | None:
    """Move the one job that `which` names from a state of `leaving` to `target`; None where there is none such."""
    assert all(target in TRANSITIONS[status] for status in leaving), f"no way leads from {leaving} to {target}"  # noqa: S101
    statement = (
        update(Job)
        .where(which, Job.status.in_(sorted(leaving)))
        .values({"status": target, "last_seq": Job.last_seq + 1} | dict(ENTERING.get(target, {})) | columns)
        .returning(Job, now())
    )
    row = s.execute(statement).one_or_none()
    if row is None:
        return None
    job, at = row
    tell(s, job, at, actor, message)
    return _without_weights(s, job) if job.status == Status.CANCELLED and job.keep == Keep.NONE else job


def _without_weights(s: Session, job: Job) -> Job:
    """A client that cancels may want nothing kept, wherever the job stands."""
    s.execute(delete(Checkpoint).where(Checkpoint.job_id == job.id))
    statement = update(Job).where(Job.id == job.id).values(checkpoint_id=None, weights_sha256=None).returning(Job)
    return s.scalars(statement).one()


def tell(s: Session, job: Job, at: int, actor: str, message: str) -> None:
    """Write the transition and the status event that carry the job's `last_seq`."""
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


def locked(s: Session, scope: Scope, job_id: str) -> Job:
    """The job's row as it is now, which nobody else changes before this transaction ends.

    Raises
    ------
    NoSuchJob
        it was never made, or is deleted.
    """
    statement = select(Job).where(Job.id == job_id, scope.includes(Job.owner)).with_for_update()
    job = s.scalars(statement).one_or_none()
    if job is None:
        raise NoSuchJob(job_id)
    return job
