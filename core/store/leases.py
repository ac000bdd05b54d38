"""How a worker holds a job: claim it, show the fence at every write, leave it; and how a lost one's job goes on.

Each function takes an open session and commits nothing. docs: "A job is never lost and never lies".
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from core.jobs.states import ACTIVE, TERMINAL, Request, Status, StopReason, sources
from core.store.clock import ahead, microseconds, now, past
from core.store.errors import Fenced, NoSuchJob, WrongState
from core.store.guards import FencingToken, GuardedWrite, token_is_valid
from core.store.scope import EVERYTHING
from core.store.tables import Job, Transition
from core.store.transitions import change, locked, tell

MAX_LOST_WORKERS = 3
"""Workers that one job may lose without progress; then it has failed."""

LOST: Mapping[Status, Status] = MappingProxyType(
    {Status.RUNNING: Status.QUEUED, Status.PAUSING: Status.PAUSED, Status.CANCELLING: Status.CANCELLED},
)
"""What becomes of a job whose worker is gone."""


MISFIT_AFTER = 10.0
"""Seconds that a job waits before it is said that it is too large: a larger worker would have it by then."""
MEMORY = "memory"
"""The actor of that remark."""


class Room(NamedTuple):
    """The memory that a worker's machine has in all, and has free now; its workers' names begin with `machine`."""

    machine: str
    total: int
    available: int


def claim(s: Session, worker: str, lease_seconds: float, room: Room | None = None) -> Job | None:
    """Take the job whose turn it is; None where none waits (the bell was stale), or none fits into the room.

    The order: priority, then the owner who has the fewest jobs at work, then the oldest.
    """
    return change(
        s,
        Job.id == _next_due(room),
        {Status.QUEUED},
        Status.RUNNING,
        actor=worker,
        message=f"claimed by {worker}",
        fence=Job.fence + 1,
        writes=0,
        worker=worker,
        request=None,
        started_at=func.coalesce(Job.started_at, now()),
        **_lease(lease_seconds),
    )


def guard(
    s: Session, token: FencingToken, *, lease_seconds: float, events: int = 0, recorded: int = 0, **columns: Any
) -> GuardedWrite:
    """Begin a worker's transaction: renew the lease, allot `events` numbers, set `columns`, hear what is wanted.

    `recorded` counts those of the events that belong to the training's own row stream.

    Raises
    ------
    Fenced
        the job is another's by now: write nothing, remove nothing.
    """
    shown = {"held_id": token.job_id, "held_fence": token.fence, "held_writes": token.writes}
    added = {"events": events, "rows": recorded, "lease": microseconds(lease_seconds)}
    row: Any = s.connection().execute(_guarding(frozenset(columns)), {**shown, **added, **columns}).one_or_none()
    if row is None:
        raise Fenced(token.job_id, token.fence)
    writes, *heard = row
    return GuardedWrite(FencingToken(token.job_id, token.fence, writes), *heard, events=events, rows=recorded)


def settle(s: Session, token: FencingToken) -> FencingToken | None:
    """After a commit whose answer was lost: the next hold if it happened, None if it did not (so do it again).

    A `leave` that happened is told by the next hold too.

    Raises
    ------
    Fenced
        the job is another's by now.
    """
    row = s.execute(select(Job.fence, Job.writes, Job.status).where(Job.id == token.job_id)).one_or_none()
    if row is None or row.fence != token.fence:
        raise Fenced(token.job_id, token.fence)
    if row.writes == token.writes + 1:
        return FencingToken(token.job_id, token.fence, row.writes)
    if row.writes == token.writes and row.status in ACTIVE:
        return None
    raise Fenced(token.job_id, token.fence)


def renew(s: Session, token: FencingToken, lease_seconds: float) -> Request | None:
    """The heartbeat: prolong the lease and hear what is wanted.

    Raises
    ------
    Fenced
        the job is another's by now.
    """
    statement = (
        update(Job)
        .where(Job.id == token.job_id, Job.fence == token.fence, Job.status.in_(sorted(ACTIVE)))
        .values(_lease(lease_seconds))
        .returning(Job.request)
    )
    row = s.execute(statement).one_or_none()
    if row is None:
        raise Fenced(token.job_id, token.fence)
    return row.request


def leave(
    s: Session,
    token: FencingToken,
    status: Status,
    *,
    message: str,
    actor: str,
    stop_reason: StopReason | None = None,
    error: dict[str, Any] | None = None,
) -> Job:
    """Give the job out of the worker's hands, in the transaction that `guard` began: ended, paused, or queued (yield).

    Raises
    ------
    Fenced
        the job is another's by now.
    WrongState
        no such way: look at the guard's status before.
    """
    columns = {"stop_reason": stop_reason, "error": error} if status in TERMINAL else {}
    ways = frozenset() if status in ACTIVE else sources(status) & ACTIVE
    mine = and_(Job.id == token.job_id, Job.fence == token.fence, Job.writes == token.writes)
    job = change(s, mine, ways, status, actor=actor, message=message, **columns)
    return job or _refuse(s, token, status)


def note(s: Session, token: FencingToken, message: str, actor: str) -> None:
    """Say something of the job that its status does not, as a transition; in the transaction that `guard` began.

    Raises
    ------
    Fenced
        the job is another's by now.
    """
    statement = update(Job).where(*token_is_valid(token)).values(last_seq=Job.last_seq + 1).returning(Job, now())
    row = s.execute(statement).one_or_none()
    if row is None:
        raise Fenced(token.job_id, token.fence)
    tell(s, row[0], row[1], actor, message)


def hand_back(
    s: Session,
    job_id: str,
    fence: int,
    *,
    message: str,
    actor: str = "sweep",
    detail: Mapping[str, Any] = MappingProxyType({}),
) -> Job | None:
    """Take the job from a worker that is lost, so that another may go on; None where it is not under `fence` any more.

    The third loss without progress ends it as failed, with `detail` in its error.
    """
    try:
        job = locked(s, EVERYTHING, job_id)
    except NoSuchJob:
        return None
    if job.fence != fence or job.status not in ACTIVE:
        return None
    target = LOST[job.status]
    columns: dict[str, Any] = {"fence": Job.fence + 1, "lost_workers": Job.lost_workers + 1}
    if target == Status.QUEUED and job.lost_workers + 1 >= MAX_LOST_WORKERS:
        target, message = Status.FAILED, f"{message}; {MAX_LOST_WORKERS} workers were lost in a row without progress"
        columns["error"] = {"code": "worker_lost", "message": message, **detail}
    if target == Status.CANCELLED:
        columns["stop_reason"] = StopReason.CANCELLED
    mine = and_(Job.id == job_id, Job.fence == fence)
    return change(s, mine, {job.status}, target, actor=actor, message=message, **columns)


def remark_misfits(s: Session, room: Room) -> None:
    """Say once of each job that waits, and needs more than this machine has in all, that it does."""
    waited = now() - microseconds(MISFIT_AFTER)
    large = select(Job.id).where(Job.status == Status.QUEUED, Job.memory_bytes > room.total, Job.due_at <= waited)
    for job_id in s.scalars(large.where(~_said(Job.id)).order_by(Job.id)).all():
        _remark_misfit(s, job_id, room)


def _remark_misfit(s: Session, job_id: str, room: Room) -> None:
    waiting = select(Job.memory_bytes).where(Job.id == job_id, Job.status == Status.QUEUED).with_for_update()
    need = s.execute(waiting).scalar_one_or_none()
    # Asked again behind the lock: two workers may have looked at the same moment.
    if need is None or s.execute(select(_said(job_id))).scalar_one():
        return
    job, at = s.execute(
        update(Job).where(Job.id == job_id).values(last_seq=Job.last_seq + 1).returning(Job, now())
    ).one()
    tell(
        s, job, at, MEMORY, f"needs {_size(need)} by its estimate, and a worker has {_size(room.total)}: waits for more"
    )


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB"


def _said(job_id: Any) -> Any:
    return select(Transition.seq).where(Transition.job_id == job_id, Transition.actor == MEMORY).exists()


def requeue_expired(s: Session, actor: str = "sweep") -> list[Job]:
    """Hand back every job whose lease ran out; ring after the commit where there are any.

    A heartbeat far ahead was made before the clock was set back, and says nothing of who is alive: a worker that is
    alive loses its job by that and no work, one that is dead would keep it until the clock is there again.
    """
    statement = (
        select(Job.id, Job.fence, Job.worker)
        .where(Job.status.in_(sorted(ACTIVE)), or_(Job.lease_until < now(), ahead(Job.heartbeat_at)))
        .order_by(Job.id)
        .with_for_update(skip_locked=True)
    )
    taken = [
        hand_back(s, row.id, row.fence, message=f"worker {row.worker} is silent: its lease ran out", actor=actor)
        for row in s.execute(statement).all()
    ]
    return [job for job in taken if job is not None]


def notification_due(s: Session, every_seconds: float) -> bool:
    """Whether to ring: a due job has waited so long, and nobody has rung for it meanwhile. One asker is told."""
    waited = now() - microseconds(every_seconds)
    oldest = (
        select(Job.id)
        .where(Job.status == Status.QUEUED, past(Job.due_at, waited))
        .order_by(Job.id)
        .limit(1)
        .scalar_subquery()
    )
    statement = (
        update(Job)
        .where(
            Job.id == oldest, Job.status == Status.QUEUED, or_(Job.notified_at.is_(None), past(Job.notified_at, waited))
        )
        .values(notified_at=now())
        .returning(Job.id)
    )
    return s.execute(statement).first() is not None


def claimed_by(s: Session, worker_prefix: str) -> list[Job]:
    """The jobs of the workers whose name begins so."""
    mine = Job.worker.startswith(worker_prefix, autoescape=True)
    return list(s.scalars(select(Job).where(Job.status.in_(sorted(ACTIVE)), mine).order_by(Job.id)))


def ask_to_yield(s: Session, worker_prefix: str) -> list[str]:
    """Ask the workers whose name begins so to checkpoint and give their jobs back; other requests stand."""
    mine = Job.worker.startswith(worker_prefix, autoescape=True)
    statement = (
        update(Job)
        .where(Job.status == Status.RUNNING, Job.request.is_(None), mine)
        .values(request=Request.YIELD)
        .returning(Job.id)
    )
    return sorted(s.scalars(statement))


def _next_due(room: Room | None) -> Any:
    atwork = aliased(Job)
    load = (
        select(atwork.owner, func.count().label("jobs"))
        .where(atwork.status.in_(sorted(ACTIVE)))
        .group_by(atwork.owner)
        .subquery()
    )
    return (
        select(Job.id)
        .join(load, load.c.owner == Job.owner, isouter=True)
        .where(Job.status == Status.QUEUED, past(Job.due_at, now()), *_fits(room))
        .order_by(Job.priority.desc(), func.coalesce(load.c.jobs, 0), Job.created_at, Job.id)
        .limit(1)
        .with_for_update(of=Job, skip_locked=True)
        .scalar_subquery()
    )


def _fits(room: Room | None) -> list[Any]:
    """What is free now, and what is left when all that this machine trains has taken what it was estimated to."""
    if room is None:
        return []
    atwork = aliased(Job)
    mine = atwork.worker.startswith(room.machine, autoescape=True)
    taken = select(func.coalesce(func.sum(atwork.memory_bytes), 0)).where(atwork.status.in_(sorted(ACTIVE)), mine)
    left = and_(Job.memory_bytes <= room.available, Job.memory_bytes <= room.total - taken.scalar_subquery())
    return [or_(Job.memory_bytes.is_(None), left)]


@cache
def _guarding(columns: frozenset[str]) -> Any:
    """The guard's statement, made once: made anew four times a second it would cost a training half a percent."""
    changed = {
        "writes": Job.writes + 1,
        "last_seq": Job.last_seq + bindparam("events"),
        "recorded": Job.recorded + bindparam("rows"),
        "heartbeat_at": now(),
        "lease_until": now() + bindparam("lease"),
        **{name: bindparam(name) for name in columns},
    }
    shown: list[Any] = [bindparam(f"held_{field}") for field in ("id", "fence", "writes")]
    heard = (Job.writes, Job.last_seq, Job.recorded, Job.heartbeat_at, Job.status, Job.request, Job.keep)
    return update(Job).where(*token_is_valid(FencingToken(*shown))).values(changed).returning(*heard)


def _lease(seconds: float) -> dict[str, Any]:
    return {"heartbeat_at": now(), "lease_until": now() + microseconds(seconds)}


def _refuse(s: Session, token: FencingToken, wanted: Status) -> Job:
    row = s.execute(select(Job.fence, Job.writes, Job.status).where(Job.id == token.job_id)).one_or_none()
    if row is None or (row.fence, row.writes) != (token.fence, token.writes):
        raise Fenced(token.job_id, token.fence)
    raise WrongState(token.job_id, row.status, wanted)
