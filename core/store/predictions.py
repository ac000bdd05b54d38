"""The query of a prediction: one statement, built once, since the network itself takes less time than building it."""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, select

from core.jobs.states import Keep, Status
from core.store.errors import NoSuchJob
from core.store.scope import Scope
from core.store.tables import Checkpoint, Job


class ServingCheckpoint(NamedTuple):
    """A job's status and the checkpoint that it predicts with; the checkpoint's fields are None if it has none."""

    job_id: str
    status: Status
    keep: Keep | None
    checkpoint_id: str | None
    sha256: str | None
    bytes: int | None
    step: int | None
    epoch: int | None


@lru_cache(maxsize=1024)
def _statement(scope: Scope) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Job.id,
            Job.status,
            Job.keep,
            Checkpoint.id,
            Checkpoint.sha256,
            Checkpoint.bytes,
            Checkpoint.step,
            Checkpoint.epoch,
        )
        .select_from(Job)
        .outerjoin(Checkpoint, Checkpoint.id == Job.checkpoint_id)
        .where(Job.id == bindparam("job_id"), scope.includes(Job.owner))
    )


def serving_checkpoint(connection: Connection, scope: Scope, job_id: str) -> ServingCheckpoint:
    """Return the checkpoint that this job predicts with.

    Raises
    ------
    NoSuchJob
        If it does not exist in the scope.
    """
    row = connection.execute(_statement(scope), {"job_id": job_id}).first()
    if row is None:
        raise NoSuchJob(job_id)
    return ServingCheckpoint._make(row)
