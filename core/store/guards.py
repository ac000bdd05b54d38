"""What a worker shows to write, and what it hears when it does."""

from dataclasses import KW_ONLY, dataclass

from sqlalchemy import ColumnElement

from core.jobs.states import ACTIVE, Keep, Request, Status
from core.store.tables import Job


@dataclass(frozen=True)
class FencingToken:
    """What a writer shows: the fence of its claim, and how many guarded commits it made under it."""

    job_id: str
    fence: int
    writes: int


@dataclass(frozen=True)
class GuardedWrite:
    """What a guard answers; true until its transaction ends, for the row is locked.

    `token` is the one to show next. `events` numbers up to `last_seq` are the caller's, and of the training's own
    stream the `rows` places before `recorded`. `at` is the database's time, in microseconds.
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
    """The hold of who claimed this row."""
    return FencingToken(job.id, job.fence, job.writes)


def token_is_valid(token: FencingToken) -> tuple[ColumnElement[bool], ...]:
    """The condition under which a write of this hold counts."""
    return (
        Job.id == token.job_id,
        Job.fence == token.fence,
        Job.writes == token.writes,
        Job.status.in_(sorted(ACTIVE)),
    )
