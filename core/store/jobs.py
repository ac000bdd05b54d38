"""What clients do with jobs: make, find, cancel, pause, resume and delete them. The workers' half is in `leases.py`.

Each function takes an open session and commits nothing; the queue is rung after the caller's commit.
"""

from collections.abc import Collection, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from sqlalchemy import Select, bindparam, literal, select
from sqlalchemy import delete as delete_from
from sqlalchemy import insert as insert_into
from sqlalchemy.orm import Session

from core.ids import new_id
from core.jobs.states import TERMINAL, Keep, Request, Status, StopReason
from core.store.clock import now
from core.store.datasets import hold_still
from core.store.errors import NoSuchJob, WrongState
from core.store.pagination import page_of
from core.store.scope import Scope
from core.store.tables import Checkpoint, Event, Job, Label, Spec, Transition
from core.store.transitions import change, locked, tell
from core.store.warm_starts import WarmStart, adopt

Ways = Mapping[Status, Status]
CANCEL: Ways = MappingProxyType(
    {
        Status.QUEUED: Status.CANCELLED,
        Status.PAUSED: Status.CANCELLED,
        Status.RUNNING: Status.CANCELLING,
        Status.PAUSING: Status.CANCELLING,
        Status.CANCELLING: Status.CANCELLING,
        Status.CANCELLED: Status.CANCELLED,
    },
)
PAUSE: Ways = MappingProxyType(
    {
        Status.QUEUED: Status.PAUSED,
        Status.RUNNING: Status.PAUSING,
        Status.PAUSING: Status.PAUSING,
        Status.PAUSED: Status.PAUSED,
    },
)
RESUME: Ways = MappingProxyType({Status.PAUSED: Status.QUEUED})
"""What a client's wish makes of each state; the same again is no change, and a state that is missing refuses."""

NEW: Mapping[str, Any] = MappingProxyType(
    {"fence": 0, "writes": 0, "last_seq": 1, "recorded": 0, "lost_workers": 0, "epoch": 0, "step": 0, "runtime": 0.0},
)


def insert(
    s: Session,
    scope: Scope,
    *,
    name: str | None,
    spec: str,
    metadata: Mapping[str, str],
    epochs: int | None,
    steps: int | None,
    threads: int,
    memory_bytes: int | None = None,
    actor: str = "client",
    dataset_id: str | None = None,
    owner: str | None = None,
    priority: int = 0,
    origin: WarmStart | None = None,
) -> Job:
    """Make a job, queued and due at once. `spec` is what the client posted, as JSON text.

    One with an `origin` begins with a checkpoint of another job, which has to be held still.

    Raises
    ------
    NoSuchDataset
        the dataset that it names is gone.
    """
    if dataset_id is not None:
        hold_still(s, scope, dataset_id)
    given = {"name": name, "labels": dict(metadata), "epochs": epochs, "steps": steps, "threads": threads}
    place = {
        "memory_bytes": memory_bytes,
        "dataset_id": dataset_id,
        "owner": scope.owner_of_new(owner),
        "priority": priority,
        "created_at": now(),
        "due_at": now(),
    }
    values = {"id": new_id("job"), "status": Status.QUEUED} | dict(NEW) | given | place
    values |= origin.columns if origin else {}
    job = s.scalars(insert_into(Job).returning(Job).values(values)).one()
    if origin:
        adopt(s, job, origin)
    s.execute(insert_into(Spec).values(job_id=job.id, json=spec))
    if metadata:
        s.execute(insert_into(Label), [{"job_id": job.id, "key": k, "value": v} for k, v in metadata.items()])
    tell(s, job, job.created_at, actor, f"accepted, {origin.told}" if origin else "accepted")
    return job


def get(s: Session, scope: Scope, job_id: str) -> Job:
    """The job of that id.

    Raises
    ------
    NoSuchJob
        it was never made, or is deleted.
    """
    job = s.scalars(select(Job).where(Job.id == job_id, scope.includes(Job.owner))).one_or_none()
    if job is None:
        raise NoSuchJob(job_id)
    return job


def with_spec(s: Session, scope: Scope, job_id: str) -> tuple[Job, str]:
    """The job of that id and what the client posted, as JSON text, asked for at once.

    Raises
    ------
    NoSuchJob
        it was never made, or is deleted.
    """
    row = s.execute(_with_spec(scope), {"job_id": job_id}).one_or_none()
    if row is None:
        raise NoSuchJob(job_id)
    return row.Job, row.json


@lru_cache(maxsize=1024)
def _with_spec(scope: Scope) -> Select[Job, str]:
    """Return the statement of `with_spec`, built once: that halves the time of the query."""
    rows = select(Job, Spec.json).join(Spec, Spec.job_id == Job.id)
    return rows.where(Job.id == bindparam("job_id"), scope.includes(Job.owner))


def spec(s: Session, scope: Scope, job_id: str) -> str:
    """What the client posted, as JSON text.

    Raises
    ------
    NoSuchJob
        it was never made, or is deleted.
    """
    text = s.scalars(select(Spec.json).where(Spec.job_id == job_id, scope.includes_job(job_id))).one_or_none()
    if text is None:
        raise NoSuchJob(job_id)
    return text


def page(
    s: Session,
    scope: Scope,
    *,
    statuses: Collection[Status] = (),
    name: str | None = None,
    metadata: Mapping[str, str] = MappingProxyType({}),
    limit: int = 20,
    cursor: str | None = None,
) -> tuple[list[Job], str | None]:
    """A page of jobs, newest first, and the cursor of the next: of any of `statuses`, and with all of `metadata`.

    Raises
    ------
    BadCursor
        no page gave that one.
    """
    rows = select(Job).where(scope.includes(Job.owner))
    if statuses:
        rows = rows.where(Job.status.in_(sorted(statuses)))
    if name is not None:
        rows = rows.where(Job.name == name)
    for key, value in metadata.items():
        rows = rows.where(Job.id.in_(select(Label.job_id).where(Label.key == key, Label.value == value)))
    return page_of(s, rows, Job.id, "job", limit, cursor)


def transitions(s: Session, scope: Scope, job_id: str, up_to: int = 2**63 - 1) -> list[Transition]:
    """All that happened to the job, in order; up to its event `up_to`, so that it fits a row that was read before."""
    return list(s.scalars(_transitions(scope), {"job_id": job_id, "up_to": up_to}))


@lru_cache(maxsize=1024)
def _transitions(scope: Scope) -> Select[Transition]:
    """Return the statement of `transitions`, built once: that halves the time of the query."""
    mine = Transition.job_id == bindparam("job_id"), scope.includes_job(Transition.job_id)
    return select(Transition).where(*mine, Transition.seq <= bindparam("up_to")).order_by(Transition.seq)


def cancel(s: Session, scope: Scope, job_id: str, keep: Keep = Keep.LAST, actor: str = "client") -> Job:
    """End the job: at once where it waits, within a batch where it trains; `keep` names the weights that stay.

    Raises
    ------
    NoSuchJob, WrongState
        it is gone, or has ended by itself.
    """
    asked: Mapping[Status, Mapping[str, Any]] = {
        Status.CANCELLED: {"stop_reason": StopReason.CANCELLED},
        Status.CANCELLING: {"request": Request.CANCEL},
    }
    return _wish(s, scope, job_id, CANCEL, "cancelled", actor, asked, keep=keep)


def pause(s: Session, scope: Scope, job_id: str, actor: str = "client") -> Job:
    """Let the job keep its state and give its worker back.

    Raises
    ------
    NoSuchJob, WrongState
        it is gone, has ended, or is being cancelled.
    """
    return _wish(s, scope, job_id, PAUSE, "paused", actor, {Status.PAUSING: {"request": Request.PAUSE}})


def resume(s: Session, scope: Scope, job_id: str, actor: str = "client") -> Job:
    """Queue a paused job again; ring after the commit.

    Raises
    ------
    NoSuchJob, WrongState
        it is gone, or not paused.
    """
    return _wish(s, scope, job_id, RESUME, "resumed", actor, {})


def delete(s: Session, scope: Scope, job_id: str) -> None:
    """Remove an ended job with all its rows; its blobs are garbage then, unless another row names them.

    Raises
    ------
    NoSuchJob, WrongState
        it is gone already, or has not ended.
    """
    job = locked(s, scope, job_id)
    if job.status not in TERMINAL:
        raise WrongState(job_id, job.status, "deleted")
    for table in (Event, Transition, Label, Checkpoint, Spec):
        s.execute(delete_from(table).where(table.job_id == job_id))
    s.execute(delete_from(Job).where(Job.id == job_id))
    s.expunge(job)


def exists(s: Session, scope: Scope, job_id: str) -> bool:
    """Whether there is such a job."""
    return s.execute(select(literal(1)).where(Job.id == job_id, scope.includes(Job.owner))).first() is not None


def _wish(
    s: Session,
    scope: Scope,
    job_id: str,
    ways: Ways,
    wanted: str,
    actor: str,
    columns: Mapping[Status, Mapping[str, Any]],
    **always: Any,
) -> Job:
    job = locked(s, scope, job_id)
    if job.status not in ways:
        raise WrongState(job_id, job.status, wanted)
    target = ways[job.status]
    if target == job.status:
        return job
    message = f"{wanted} by request" if target not in columns or target in TERMINAL else f"asked to be {wanted}"
    changed = change(
        s, Job.id == job_id, {job.status}, target, actor=actor, message=message, **always, **columns.get(target, {})
    )
    assert changed is not None, "the row is locked"  # noqa: S101
    return changed
