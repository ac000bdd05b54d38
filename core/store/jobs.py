"""Queries of clients on jobs: insert, get, list, cancel, pause, resume and delete. Those of workers are in `leases.py`.

Each function takes an open session and does not commit; callers notify the queue after their commit.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from sqlalchemy import Select, bindparam, func, literal, select
from sqlalchemy import delete as delete_from
from sqlalchemy import insert as insert_into
from sqlalchemy.orm import Session

from core.ids import new_id
from core.jobs.states import TERMINAL, Keep, Request, Status, StopReason
from core.store import datasets, totals
from core.store.clock import now
from core.store.errors import NoSuchJob, WrongState
from core.store.pagination import page_of
from core.store.scope import Scope
from core.store.tables import Checkpoint, Event, IdempotencyKey, Job, Label, Spec, Transition
from core.store.transitions import change_status, lock_job, record_transition
from core.store.warm_starts import WarmStart, copy_checkpoint
from core.versions import THIS, Release
from core.warnings import WarningMessage

StatusChanges = Mapping[Status, Status]
"""The status that a request moves a job to, by its present status. The same status: no change; missing: refused."""
CANCEL: StatusChanges = MappingProxyType(
    {
        Status.QUEUED: Status.CANCELLED,
        Status.PAUSED: Status.CANCELLED,
        Status.RUNNING: Status.CANCELLING,
        Status.PAUSING: Status.CANCELLING,
        Status.CANCELLING: Status.CANCELLING,
        Status.CANCELLED: Status.CANCELLED,
    },
)
PAUSE: StatusChanges = MappingProxyType(
    {
        Status.QUEUED: Status.PAUSED,
        Status.RUNNING: Status.PAUSING,
        Status.PAUSING: Status.PAUSING,
        Status.PAUSED: Status.PAUSED,
    },
)
RESUME: StatusChanges = MappingProxyType({Status.PAUSED: Status.QUEUED})

MAX_TRANSITIONS = 1_000
"""Transitions after which a job cannot be paused any more, so that a client's loop does not fill the database."""

COLUMNS_OF_NEW: Mapping[str, Any] = MappingProxyType(
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
    warm_start: WarmStart | None = None,
    blob: str | None = None,
    spec_bytes: int | None = None,
    checkpoint_bytes: int = 0,
    metric_rows: int = 0,
    warnings: Sequence[WarningMessage] = (),
    release: Release = THIS,
) -> Job:
    """Insert a job, queued and due at once. `spec` is the JSON text that the client posted.

    Where that text is stored as a `blob` (its sha256), `spec` is an outline of it and `spec_bytes` the text's size.
    `checkpoint_bytes` and `metric_rows` are what the job may need. The checkpoint of a `warm_start` must be locked in
    this transaction. `release` is the version that checked the spec.

    Raises
    ------
    NoSuchDataset
        If its dataset does not exist in the scope.
    """
    if dataset_id is not None:
        datasets.lock(s, scope, dataset_id)
    values = {
        **COLUMNS_OF_NEW,
        "id": new_id("job"),
        "status": Status.QUEUED,
        "name": name,
        "labels": dict(metadata),
        "epochs": epochs,
        "steps": steps,
        "threads": threads,
        "memory_bytes": memory_bytes,
        "dataset_id": dataset_id,
        "owner": scope.owner_of_new(owner),
        "priority": priority,
        "reproducible": True,
        **release._asdict(),
        "spec_bytes": len(spec.encode()) if spec_bytes is None else spec_bytes,
        "checkpoint_bytes": checkpoint_bytes + (warm_start.checkpoint.bytes if warm_start else 0),
        "metric_rows": metric_rows,
        "warnings": list(map(list, warnings)),
        "created_at": now(),
        "due_at": now(),
        **(warm_start.columns if warm_start else {}),
    }
    job = s.scalars(insert_into(Job).returning(Job).values(values)).one()
    if warm_start:
        copy_checkpoint(s, job, warm_start)
    s.execute(insert_into(Spec).values(job_id=job.id, json=spec, sha256=blob))
    if metadata:
        s.execute(insert_into(Label), [{"job_id": job.id, "key": k, "value": v} for k, v in metadata.items()])
    message = f"accepted, {warm_start.description}" if warm_start else "accepted"
    record_transition(s, job, job.created_at, actor, message)
    totals.add(s, job.owner, totals.of_job(job))
    return job


def get(s: Session, scope: Scope, job_id: str) -> Job:
    """Return a job.

    Raises
    ------
    NoSuchJob
        If it does not exist in the scope.
    """
    job = s.scalars(select(Job).where(Job.id == job_id, scope.includes(Job.owner))).one_or_none()
    if job is None:
        raise NoSuchJob(job_id)
    return job


def with_spec(s: Session, scope: Scope, job_id: str) -> tuple[Job, Spec]:
    """Return a job and its spec, by one query.

    Raises
    ------
    NoSuchJob
        If it does not exist in the scope.
    """
    row = s.execute(_with_spec(scope), {"job_id": job_id}).one_or_none()
    if row is None:
        raise NoSuchJob(job_id)
    return row.Job, row.Spec


@lru_cache(maxsize=1024)
def _with_spec(scope: Scope) -> Select[Job, Spec]:
    """Return the statement of `with_spec`, built once: that halves the time of the query."""
    rows = select(Job, Spec).join(Spec, Spec.job_id == Job.id)
    return rows.where(Job.id == bindparam("job_id"), scope.includes(Job.owner))


def spec(s: Session, scope: Scope, job_id: str) -> Spec:
    """Return the spec of a job.

    Raises
    ------
    NoSuchJob
        If the job does not exist in the scope.
    """
    row = select(Spec).where(Spec.job_id == job_id, scope.includes_job(job_id))
    found = s.scalars(row).one_or_none()
    if found is None:
        raise NoSuchJob(job_id)
    return found


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
    """Return a page of jobs, newest first, and the cursor of the next page or None.

    Filters: any of `statuses`, this `name`, and all pairs of `metadata`.

    Raises
    ------
    BadCursor
        If the cursor is not one that a page returned.
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
    """Return the job's transitions in order, up to event number `up_to`: those that belong to a row read before."""
    return list(s.scalars(_transitions(scope), {"job_id": job_id, "up_to": up_to}))


@lru_cache(maxsize=1024)
def _transitions(scope: Scope) -> Select[Transition]:
    """Return the statement of `transitions`, built once: that halves the time of the query."""
    of_job = Transition.job_id == bindparam("job_id"), scope.includes_job(Transition.job_id)
    return select(Transition).where(*of_job, Transition.seq <= bindparam("up_to")).order_by(Transition.seq)


def cancel(s: Session, scope: Scope, job_id: str, keep: Keep = Keep.LAST, actor: str = "client") -> Job:
    """Cancel a job: at once if it is queued or paused, within one batch if it trains.

    `keep` names the weights that remain for predictions.

    Raises
    ------
    NoSuchJob, WrongState
        If it does not exist in the scope, or has ended otherwise.
    """
    columns: Mapping[Status, Mapping[str, Any]] = {
        Status.CANCELLED: {"stop_reason": StopReason.CANCELLED},
        Status.CANCELLING: {"request": Request.CANCEL},
    }
    return _request(s, scope, job_id, CANCEL, "cancelled", actor, columns, keep=keep)


def pause(s: Session, scope: Scope, job_id: str, actor: str = "client") -> Job:
    """Pause a job: it keeps its state and releases its worker.

    Raises
    ------
    NoSuchJob, WrongState
        If it does not exist in the scope, has ended, is being cancelled, or has changed its status too often.
    """
    changes = s.execute(select(func.count()).where(Transition.job_id == job_id)).scalar_one()
    if changes >= MAX_TRANSITIONS:
        job = lock_job(s, scope, job_id)
        raise WrongState(job_id, job.status, f"paused: it has changed its status {changes:,} times; let it run")
    return _request(s, scope, job_id, PAUSE, "paused", actor, {Status.PAUSING: {"request": Request.PAUSE}})


def resume(s: Session, scope: Scope, job_id: str, actor: str = "client") -> Job:
    """Queue a paused job again; the caller notifies the queue after its commit.

    Raises
    ------
    NoSuchJob, WrongState
        If it does not exist in the scope, or is not paused.
    """
    return _request(s, scope, job_id, RESUME, "resumed", actor, {})


def delete(s: Session, scope: Scope, job_id: str) -> None:
    """Delete an ended job with all its rows and idempotency keys; blobs of no other row become garbage.

    Raises
    ------
    NoSuchJob, WrongState
        If it does not exist in the scope, or has not ended.
    """
    job = lock_job(s, scope, job_id)
    if job.status not in TERMINAL:
        raise WrongState(job_id, job.status, "deleted")
    for table in (Event, Transition, Label, Checkpoint, Spec, IdempotencyKey):
        s.execute(delete_from(table).where(table.job_id == job_id))
    s.execute(delete_from(Job).where(Job.id == job_id))
    totals.add(s, job.owner, totals.of_job(job).negative())
    s.expunge(job)


def exists(s: Session, scope: Scope, job_id: str) -> bool:
    """Return whether the job exists in the scope."""
    return s.execute(select(literal(1)).where(Job.id == job_id, scope.includes(Job.owner))).first() is not None


def _request(
    s: Session,
    scope: Scope,
    job_id: str,
    changes: StatusChanges,
    wanted: str,
    actor: str,
    columns: Mapping[Status, Mapping[str, Any]],
    **always: Any,
) -> Job:
    job = lock_job(s, scope, job_id)
    if job.status not in changes:
        raise WrongState(job_id, job.status, wanted)
    target = changes[job.status]
    if target == job.status:
        return job
    message = f"{wanted} by request" if target not in columns or target in TERMINAL else f"asked to be {wanted}"
    changed = change_status(
        s, Job.id == job_id, {job.status}, target, actor=actor, message=message, **always, **columns.get(target, {})
    )
    assert changed is not None, "the row is locked"  # noqa: S101
    return changed
