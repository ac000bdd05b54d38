"""Counts for monitoring: jobs by status, the queue, and the training of all workers."""

from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert  # compiles for SQLite too: the same ON CONFLICT
from sqlalchemy.orm import Session

from core.jobs.states import Status
from core.store.clock import now
from core.store.scope import Scope
from core.store.tables import Job, WorkerTotals


class TrainingTotals(NamedTuple):
    """What all workers have trained."""

    steps: int
    samples: int
    train_seconds: float


def add(s: Session, worker: str, *, steps: int, samples: int, train_seconds: float) -> None:
    """Add to the totals of a worker, in the transaction that `guard` began."""
    added = {"worker": worker, "steps": steps, "samples": samples, "train_seconds": train_seconds}
    s.connection().execute(_upsert(), added)


@cache
def _upsert() -> Any:
    new = insert(WorkerTotals).values(seen_at=now())
    sums = {name: getattr(WorkerTotals, name) + new.excluded[name] for name in TrainingTotals._fields}
    return new.on_conflict_do_update(index_elements=["worker"], set_={**sums, "seen_at": new.excluded.seen_at})


def total(s: Session) -> TrainingTotals:
    """Return the sum over all workers, past and present."""
    steps, samples, seconds = s.execute(
        select(*(func.sum(getattr(WorkerTotals, name)) for name in TrainingTotals._fields))
    ).one()
    return TrainingTotals(int(steps or 0), int(samples or 0), float(seconds or 0.0))


def by_status(s: Session, scope: Scope) -> dict[Status, int]:
    """Return the number of jobs in each status, zeros included."""
    counted = s.execute(select(Job.status, func.count()).where(scope.includes(Job.owner)).group_by(Job.status))
    return dict.fromkeys(Status, 0) | dict(counted.all())


def queue_depth(s: Session, scope: Scope) -> int:
    """Return the number of jobs that are due and wait for a worker."""
    due = select(func.count()).where(Job.status == Status.QUEUED, Job.due_at <= now(), scope.includes(Job.owner))
    return s.execute(due).scalar_one()
