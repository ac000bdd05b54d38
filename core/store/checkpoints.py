"""Checkpoints of jobs: record, list, choose the one to resume from, and prune.

Clients list and get checkpoints in a scope; the other functions are a worker's, guarded by its fencing token.
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import case, delete, func, insert, select, update
from sqlalchemy.orm import Session

from core.ids import new_id
from core.jobs.estimate import CHECKPOINTS_KEPT
from core.store.clock import now
from core.store.errors import Fenced, NoSuchCheckpoint
from core.store.guards import FencingToken, token_is_valid
from core.store.scope import EVERYTHING, Scope
from core.store.tables import Checkpoint, Job

START = "start"
"""The reason of a checkpoint copied from another job for its weights only; the job never resumes from it."""
CONTINUE = "continue"
"""The reason of a checkpoint copied from another job whose training this job continues."""
NEWEST = (Checkpoint.step.desc(), Checkpoint.created_at.desc(), Checkpoint.id.desc())


def record(
    s: Session,
    token: FencingToken,
    *,
    step: int,
    epoch: int,
    sha256: str,
    bytes: int,  # noqa: A002 - the column's name
    weights_sha256: str,
    metrics: Mapping[str, Any],
    reason: str,
) -> Checkpoint:
    """Record a checkpoint whose blob is stored, in the transaction that `guard` began; the job resumes from it.

    A step beyond all earlier checkpoints is progress, and resets the count of lost workers.

    Raises
    ------
    Fenced
        If the worker has lost the job.
    """
    furthest = select(func.coalesce(func.max(Checkpoint.step), 0)).where(*_resumable(token.job_id))
    lost_workers = case((furthest.scalar_subquery() < step, 0), else_=Job.lost_workers)
    name = new_id("ckpt")
    _update_job(s, token, checkpoint_id=name, weights_sha256=weights_sha256, lost_workers=lost_workers)
    statement = insert(Checkpoint).values(
        id=name,
        job_id=token.job_id,
        step=step,
        epoch=epoch,
        sha256=sha256,
        bytes=bytes,
        weights_sha256=weights_sha256,
        metrics=dict(metrics),
        reason=reason,
        created_at=now(),
    )
    return s.scalars(statement.returning(Checkpoint)).one()


def of_job(s: Session, scope: Scope, job_id: str) -> list[Checkpoint]:
    """Return the checkpoints that a job can resume from, newest first."""
    rows = select(Checkpoint).where(*_resumable(job_id), scope.includes_job(job_id))
    return list(s.scalars(rows.order_by(*NEWEST)))


def get(s: Session, scope: Scope, checkpoint_id: str) -> Checkpoint:
    """Return a checkpoint.

    Raises
    ------
    NoSuchCheckpoint
        If it does not exist in the scope.
    """
    row = select(Checkpoint).where(Checkpoint.id == checkpoint_id, scope.includes_job(Checkpoint.job_id))
    found = s.scalars(row).one_or_none()
    if found is None:
        raise NoSuchCheckpoint(checkpoint_id)
    return found


def warm_start_of(s: Session, job_id: str) -> Checkpoint | None:
    """Return the checkpoint of another job whose weights this job starts with, or None."""
    row = select(Checkpoint).where(Checkpoint.job_id == job_id, Checkpoint.reason == START)
    return s.scalars(row).one_or_none()


def latest(s: Session, job_id: str) -> Checkpoint | None:
    """Return the checkpoint that the job resumes from, or None."""
    statement = select(Checkpoint).join(Job, Job.checkpoint_id == Checkpoint.id).where(Job.id == job_id)
    return s.scalars(statement).one_or_none()


def discard(s: Session, token: FencingToken, checkpoint_id: str) -> Checkpoint | None:
    """Delete a damaged checkpoint, in the transaction that `guard` began, and return the one to resume from instead.

    Raises
    ------
    Fenced
        If the worker has lost the job.
    """
    _delete(s, [checkpoint_id])
    left = of_job(s, EVERYTHING, token.job_id)
    previous = left[0] if left else None
    _update_job(s, token, checkpoint_id=previous and previous.id, weights_sha256=previous and previous.weights_sha256)
    return previous


def prune(s: Session, job_id: str, kept: int = CHECKPOINTS_KEPT) -> None:
    """Delete all but the `kept` newest checkpoints and the one that the job continues, in a guarded transaction."""
    _delete(s, [one.id for one in of_job(s, EVERYTHING, job_id)[kept:] if one.reason != CONTINUE])


def _resumable(job_id: str) -> tuple[Any, ...]:
    return Checkpoint.job_id == job_id, Checkpoint.reason != START


def _update_job(s: Session, token: FencingToken, **columns: Any) -> None:
    statement = update(Job).where(*token_is_valid(token)).values(columns).returning(Job.id)
    if s.execute(statement).first() is None:
        raise Fenced(token.job_id, token.fence)


def _delete(s: Session, ids: Collection[str]) -> None:
    if ids:
        s.execute(delete(Checkpoint).where(Checkpoint.id.in_(ids)))
