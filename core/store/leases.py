"""Leases of workers on jobs: claim, guarded writes, heartbeat, release, and requeueing the jobs of lost workers.

Each function takes an open session and does not commit. All of them work across owners, without a scope.
The protocol and its guarantees are described in docs/internals/jobs.md.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, case, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from core.jobs.states import ACTIVE, TERMINAL, Request, Status, StopReason, sources
from core.store.clock import is_far_ahead, is_past, microseconds, now
from core.store.errors import Fenced, NoSuchJob, WrongState
from core.store.guards import FencingToken, GuardedWrite, token_is_valid
from core.store.scope import EVERYTHING
from core.store.tables import Job, Transition
from core.store.transitions import change_status, lock_job, record_transition
from core.versions import THIS, Release

MAX_LOST_WORKERS = 3
"""Workers that one job may lose without progress; the last of them fails it."""
AFTER_LOST_WORKER: Mapping[Status, Status] = MappingProxyType(
    {Status.RUNNING: Status.QUEUED, Status.PAUSING: Status.PAUSED, Status.CANCELLING: Status.CANCELLED},
)
"""The status of a job after its worker is lost, by its status before."""
TOO_LARGE_DELAY_SECONDS = 10.0
"""Seconds that a job waits before its log says that it needs more memory; a larger worker claims it by then."""
MEMORY_ACTOR = "memory"
"""The actor of the transition that says so."""


class AvailableMemory(NamedTuple):
    """Memory of a worker's machine in bytes, in total and free now; names of its workers begin with `machine`."""

    machine: str
    total: int
    available: int


def claim(
    s: Session, worker: str, lease_seconds: float, memory: AvailableMemory | None = None, release: Release = THIS
) -> Job | None:
    """Claim the next job that this release can train; return None if none is due or none fits into the memory.

    Order: priority, then the owner with the fewest active jobs, then age. The job gets the release's numbers: an older
    worker may not resume what this one has computed.
    """
    return change_status(
        s,
        Job.id == _next_due(memory, release),
        {Status.QUEUED},
        Status.RUNNING,
        actor=worker,
        message=f"claimed by {worker}",
        fence=Job.fence + 1,
        writes=0,
        worker=worker,
        request=None,
        started_at=func.coalesce(Job.started_at, now()),
        vocabulary=release.vocabulary,
        arithmetic=release.arithmetic,
        version=case((_is_older(release), release.version), else_=Job.version),
        **_lease(lease_seconds),
    )


def guard(
    s: Session, token: FencingToken, *, lease_seconds: float, events: int = 0, recorded: int = 0, **columns: Any
) -> GuardedWrite:
    """Begin a worker's transaction: renew the lease, allot `events` numbers, set `columns`, return what is requested.

    `recorded` is how many of the events belong to the training's row stream.

    Raises
    ------
    Fenced
        If the worker has lost the job: write nothing, delete nothing.
    """
    shown = {"token_id": token.job_id, "token_fence": token.fence, "token_writes": token.writes}
    added = {"events": events, "rows": recorded, "lease": microseconds(lease_seconds)}
    row: Any = s.connection().execute(_guard_statement(frozenset(columns)), {**shown, **added, **columns}).one_or_none()
    if row is None:
        raise Fenced(token.job_id, token.fence)
    writes, *fields = row
    return GuardedWrite(FencingToken(token.job_id, token.fence, writes), *fields, events=events, rows=recorded)


def resolve_commit(s: Session, token: FencingToken) -> FencingToken | None:
    """After a commit whose answer was lost, return the next token if it happened, None if it must be repeated.

    The commit may also be that of a `release`.

    Raises
    ------
    Fenced
        If the worker has lost the job.
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
    """Renew the lease (the heartbeat) and return what is requested.

    Raises
    ------
    Fenced
        If the worker has lost the job.
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


def release(
    s: Session,
    token: FencingToken,
    status: Status,
    *,
    message: str,
    actor: str,
    stop_reason: StopReason | None = None,
    error: dict[str, Any] | None = None,
) -> Job:
    """Release the job as ended, paused or queued (yield), in the transaction that `guard` began.

    Raises
    ------
    Fenced
        If the worker has lost the job.
    WrongState
        If no transition leads there from the status that `guard` returned.
    """
    columns = {"stop_reason": stop_reason, "error": error} if status in TERMINAL else {}
    leaving = frozenset() if status in ACTIVE else sources(status) & ACTIVE
    claimed = and_(Job.id == token.job_id, Job.fence == token.fence, Job.writes == token.writes)
    job = change_status(s, claimed, leaving, status, actor=actor, message=message, **columns)
    return job or _refuse(s, token, status)


def record_message(s: Session, token: FencingToken, message: str, actor: str) -> None:
    """Record a message as a transition to the same status, in the transaction that `guard` began.

    Raises
    ------
    Fenced
        If the worker has lost the job.
    """
    statement = update(Job).where(*token_is_valid(token)).values(last_seq=Job.last_seq + 1).returning(Job, now())
    row = s.execute(statement).one_or_none()
    if row is None:
        raise Fenced(token.job_id, token.fence)
    record_transition(s, row[0], row[1], actor, message)


def requeue_lost(
    s: Session,
    job_id: str,
    fence: int,
    *,
    message: str,
    actor: str = "lease_collector",
    detail: Mapping[str, Any] = MappingProxyType({}),
) -> Job | None:
    """Take a job from its lost worker so that another can claim it; return None if it has another fence by now.

    The third loss without progress fails the job, with `detail` in its error.
    """
    try:
        job = lock_job(s, EVERYTHING, job_id)
    except NoSuchJob:
        return None
    if job.fence != fence or job.status not in ACTIVE:
        return None
    target = AFTER_LOST_WORKER[job.status]
    columns: dict[str, Any] = {"fence": Job.fence + 1, "lost_workers": Job.lost_workers + 1}
    if target == Status.QUEUED and job.lost_workers + 1 >= MAX_LOST_WORKERS:
        target, message = Status.FAILED, f"{message}; {MAX_LOST_WORKERS} workers were lost in a row without progress"
        columns["error"] = {"code": "worker_lost", "message": message, **detail}
    if target == Status.CANCELLED:
        columns["stop_reason"] = StopReason.CANCELLED
    lost = and_(Job.id == job_id, Job.fence == fence)
    return change_status(s, lost, {job.status}, target, actor=actor, message=message, **columns)


def log_too_large(s: Session, memory: AvailableMemory) -> None:
    """Record once for each waiting job that it needs more memory than this machine has in total."""
    waited = now() - microseconds(TOO_LARGE_DELAY_SECONDS)
    large = select(Job.id).where(Job.status == Status.QUEUED, Job.memory_bytes > memory.total, Job.due_at <= waited)
    for job_id in s.scalars(large.where(~_is_logged(Job.id)).order_by(Job.id)).all():
        _log_too_large(s, job_id, memory)


def _log_too_large(s: Session, job_id: str, memory: AvailableMemory) -> None:
    waiting = select(Job.memory_bytes).where(Job.id == job_id, Job.status == Status.QUEUED).with_for_update()
    need = s.execute(waiting).scalar_one_or_none()
    # Checked again under the row's lock: two workers may have selected the job at the same moment.
    if need is None or s.execute(select(_is_logged(job_id))).scalar_one():
        return
    job, at = s.execute(
        update(Job).where(Job.id == job_id).values(last_seq=Job.last_seq + 1).returning(Job, now())
    ).one()
    message = f"needs an estimated {_gib(need)}, a worker has {_gib(memory.total)}: waiting for a worker with more"
    record_transition(s, job, at, MEMORY_ACTOR, message)


def _gib(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB"


def _is_logged(job_id: Any) -> Any:
    return select(Transition.seq).where(Transition.job_id == job_id, Transition.actor == MEMORY_ACTOR).exists()


def requeue_expired(s: Session, actor: str = "lease_collector") -> list[Job]:
    """Requeue every job whose lease expired, and return them; the caller notifies the queue after its commit.

    A heartbeat far in the future was written before the clock was set back, and its lease would last until the clock
    is there again. A worker that is alive loses its job by this, and no work.
    """
    statement = (
        select(Job.id, Job.fence, Job.worker)
        .where(Job.status.in_(sorted(ACTIVE)), or_(Job.lease_until < now(), is_far_ahead(Job.heartbeat_at)))
        .order_by(Job.id)
        .with_for_update(skip_locked=True)
    )
    requeued = [
        requeue_lost(s, row.id, row.fence, message=f"the lease of worker {row.worker} expired", actor=actor)
        for row in s.execute(statement).all()
    ]
    return [job for job in requeued if job is not None]


def notification_due(s: Session, every_seconds: float) -> bool:
    """Return whether to notify: a due job has waited so long, and nobody has notified meanwhile.

    Of several callers at the same moment, one gets True.
    """
    waited = now() - microseconds(every_seconds)
    oldest = (
        select(Job.id)
        .where(Job.status == Status.QUEUED, is_past(Job.due_at, waited))
        .order_by(Job.id)
        .limit(1)
        .scalar_subquery()
    )
    not_notified = or_(Job.notified_at.is_(None), is_past(Job.notified_at, waited))
    statement = (
        update(Job)
        .where(Job.id == oldest, Job.status == Status.QUEUED, not_notified)
        .values(notified_at=now())
        .returning(Job.id)
    )
    return s.execute(statement).first() is not None


def claimed_by(s: Session, worker_prefix: str) -> list[Job]:
    """Return the active jobs of the workers whose names begin with this prefix."""
    claimed = Job.worker.startswith(worker_prefix, autoescape=True)
    return list(s.scalars(select(Job).where(Job.status.in_(sorted(ACTIVE)), claimed).order_by(Job.id)))


def ask_to_yield(s: Session, worker_prefix: str) -> list[str]:
    """Request the workers whose names begin with this prefix to checkpoint and release their jobs; return the jobs.

    Jobs with another request keep that.
    """
    claimed = Job.worker.startswith(worker_prefix, autoescape=True)
    statement = (
        update(Job)
        .where(Job.status == Status.RUNNING, Job.request.is_(None), claimed)
        .values(request=Request.YIELD)
        .returning(Job.id)
    )
    return sorted(s.scalars(statement))


def _is_older(release: Release) -> Any:
    return or_(Job.vocabulary < release.vocabulary, Job.arithmetic < release.arithmetic)


def _next_due(memory: AvailableMemory | None, release: Release) -> Any:
    active = aliased(Job)
    load = (
        select(active.owner, func.count().label("jobs"))
        .where(active.status.in_(sorted(ACTIVE)))
        .group_by(active.owner)
        .subquery()
    )
    return (
        select(Job.id)
        .join(load, load.c.owner == Job.owner, isouter=True)
        .where(Job.status == Status.QUEUED, is_past(Job.due_at, now()), *_fits(memory))
        .where(Job.vocabulary <= release.vocabulary, Job.arithmetic <= release.arithmetic)
        .order_by(Job.priority.desc(), func.coalesce(load.c.jobs, 0), Job.created_at, Job.id)
        .limit(1)
        .with_for_update(of=Job, skip_locked=True)
        .scalar_subquery()
    )


def _fits(memory: AvailableMemory | None) -> list[Any]:
    """Return the conditions that a job fits into what is free now, and into the total less the machine's estimates."""
    if memory is None:
        return []
    active = aliased(Job)
    on_machine = active.worker.startswith(memory.machine, autoescape=True)
    reserved = select(func.coalesce(func.sum(active.memory_bytes), 0)).where(
        active.status.in_(sorted(ACTIVE)), on_machine
    )
    fits = and_(Job.memory_bytes <= memory.available, Job.memory_bytes <= memory.total - reserved.scalar_subquery())
    return [or_(Job.memory_bytes.is_(None), fits)]


@cache
def _guard_statement(columns: frozenset[str]) -> Any:
    """Return the statement of `guard`, built once: built four times a second, it costs a training half a percent."""
    changed = {
        "writes": Job.writes + 1,
        "last_seq": Job.last_seq + bindparam("events"),
        "recorded": Job.recorded + bindparam("rows"),
        "heartbeat_at": now(),
        "lease_until": now() + bindparam("lease"),
        **{name: bindparam(name) for name in columns},
    }
    shown: list[Any] = [bindparam(f"token_{field}") for field in ("id", "fence", "writes")]
    returned = (Job.writes, Job.last_seq, Job.recorded, Job.heartbeat_at, Job.status, Job.request, Job.keep)
    return update(Job).where(*token_is_valid(FencingToken(*shown))).values(changed).returning(*returned)


def _lease(seconds: float) -> dict[str, Any]:
    return {"heartbeat_at": now(), "lease_until": now() + microseconds(seconds)}


def _refuse(s: Session, token: FencingToken, wanted: Status) -> Job:
    row = s.execute(select(Job.fence, Job.writes, Job.status).where(Job.id == token.job_id)).one_or_none()
    if row is None or (row.fence, row.writes) != (token.fence, token.writes):
        raise Fenced(token.job_id, token.fence)
    raise WrongState(token.job_id, row.status, wanted)
