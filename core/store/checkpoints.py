"""The checkpoints of jobs: which there are, and which to go on from."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import case, delete, func, insert, select, update
from sqlalchemy.orm import Session

from core.ids import new_id
from core.store.clock import now
from core.store.errors import Fenced, NoSuchCheckpoint
from core.store.guards import FencingToken, token_is_valid
from core.store.scope import EVERYTHING, Scope
from core.store.tables import Checkpoint, Job

KEPT = 2
"""Checkpoints of a job: the newest, and the one before it where that is damaged."""
START = "start"
"""The reason of another job's checkpoint whose weights alone are begun with: never one to go on from."""
CONTINUE = "continue"
"""The reason of another job's checkpoint that is gone on from."""
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
    """Record a checkpoint whose file is in its place, in the transaction that `guard` began; the job goes on from it.

    A later step than any before is progress: the lost workers are forgotten.

    Raises
    ------
    Fenced
        the job is another's by now.
    """
    furthest = select(func.coalesce(func.max(Checkpoint.step), 0)).where(*_own(token.job_id))
    lost_workers = case((furthest.scalar_subquery() < step, 0), else_=Job.lost_workers)
    name = new_id("ckpt")
    _point(s, token, checkpoint_id=name, weights_sha256=weights_sha256, lost_workers=lost_workers)
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
    """The checkpoints that a job can go on from, newest first."""
    return list(s.scalars(select(Checkpoint).where(*_own(job_id), scope.includes_job(job_id)).order_by(*NEWEST)))


def start_of(s: Session, job_id: str) -> Checkpoint | None:
    """Another job's checkpoint whose weights this job begins with, if it does."""
    mine = select(Checkpoint).where(Checkpoint.job_id == job_id, Checkpoint.reason == START)
    return s.scalars(mine).one_or_none()


def get(s: Session, scope: Scope, checkpoint_id: str) -> Checkpoint:
    """The checkpoint of that id.

    Raises
    ------
    NoSuchCheckpoint
        it was never made, or is gone.
    """
    mine = select(Checkpoint).where(Checkpoint.id == checkpoint_id, scope.includes_job(Checkpoint.job_id))
    found = s.scalars(mine).one_or_none()
    if found is None:
        raise NoSuchCheckpoint(checkpoint_id)
    return found


def latest(s: Session, job_id: str) -> Checkpoint | None:
    """The one that the job goes on from."""
    statement = select(Checkpoint).join(Job, Job.checkpoint_id == Checkpoint.id).where(Job.id == job_id)
    return s.scalars(statement).one_or_none()


def discard(s: Session, token: FencingToken, checkpoint_id: str) -> Checkpoint | None:
    """Forget a damaged checkpoint, in the transaction that `guard` began; the one before, which the job goes on from.

    Raises
    ------
    Fenced
        the job is another's by now.
    """
    _forget(s, [checkpoint_id])
    left = of_job(s, EVERYTHING, token.job_id)
    before = left[0] if left else None
    _point(s, token, checkpoint_id=before and before.id, weights_sha256=before and before.weights_sha256)
    return before


def prune(s: Session, job_id: str, kept: int = KEPT) -> None:
    """Forget all but the newest few and where the job began, in a guarded transaction."""
    _forget(s, [one.id for one in of_job(s, EVERYTHING, job_id)[kept:] if one.reason != CONTINUE])


def _own(job_id: str) -> tuple[Any, ...]:
    return Checkpoint.job_id == job_id, Checkpoint.reason != START


def _point(s: Session, token: FencingToken, **columns: Any) -> None:
    statement = update(Job).where(*token_is_valid(token)).values(columns).returning(Job.id)
    if s.execute(statement).first() is None:
        raise Fenced(token.job_id, token.fence)


def _forget(s: Session, ids: Collection[str]) -> None:
    if ids:
        s.execute(delete(Checkpoint).where(Checkpoint.id.in_(ids)))
