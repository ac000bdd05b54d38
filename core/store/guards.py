"""The fencing token that a worker shows at every write, and the result of a guarded write."""

from dataclasses import KW_ONLY, dataclass

from sqlalchemy import ColumnElement

from core.jobs.states import ACTIVE, Keep, Request, Status
from core.store.tables import Job


@dataclass(frozen=True)
class FencingToken:
    """The fence of a worker's claim, and the number of guarded commits it made under it."""

    job_id: str
    fence: int
    writes: int


@dataclass(frozen=True)
class GuardedWrite:
    """The job's row as `guard` left it; true until its transaction ends, since the row is locked.

    `token` is the token of the next write. The event numbers `last_seq - events + 1` to `last_seq` are the caller's,
    and so are the places `recorded - rows` to `recorded - 1` of the training's row stream. `at` is the database's
    time in microseconds.
    """

    token: FencingToken
    last_seq: int
    recorded: int
    at: int
    status: Status
    request: Request | None
    keep: Keep | None
    _: KW_ONLY
    events: int
    rows: int


def token_of(job: Job) -> FencingToken:
    """Return the token of the worker that claimed this row."""
    return FencingToken(job.id, job.fence, job.writes)


def token_is_valid(token: FencingToken) -> tuple[ColumnElement[bool], ...]:
    """Return the SQL conditions under which a write with this token counts."""
    return (
        Job.id == token.job_id,
        Job.fence == token.fence,
        Job.writes == token.writes,
        Job.status.in_(sorted(ACTIVE)),
    )
