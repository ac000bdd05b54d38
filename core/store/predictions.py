"""What a prediction asks of the store: one statement, built once, since the net itself answers in less time."""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, select

from core.jobs.states import Keep, Status
from core.store.errors import NoSuchJob
from core.store.scope import Scope
from core.store.tables import Checkpoint, Job


class Serving(NamedTuple):
    """Where a job stands, and the checkpoint that it would go on from; None for all of that where it has none."""

    job_id: str
    status: Status
    keep: Keep | None
    checkpoint_id: str | None
    sha256: str | None
    step: int | None
    epoch: int | None


@lru_cache(maxsize=1024)
def _serving(scope: Scope) -> Select[*tuple[Any, ...]]:
    return (
        select(Job.id, Job.status, Job.keep, Checkpoint.id, Checkpoint.sha256, Checkpoint.step, Checkpoint.epoch)
        .select_from(Job)
        .outerjoin(Checkpoint, Checkpoint.id == Job.checkpoint_id)
        .where(Job.id == bindparam("job_id"), scope.includes(Job.owner))
    )


def serving(connection: Connection, scope: Scope, job_id: str) -> Serving:
    """The checkpoint with which this job answers.

    Raises
    ------
    NoSuchJob
        it was never made, or is deleted.
    """
    row = connection.execute(_serving(scope), {"job_id": job_id}).first()
    if row is None:
        raise NoSuchJob(job_id)
    return Serving._make(row)
