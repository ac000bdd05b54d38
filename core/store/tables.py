"""The tables, as plain rows without relationships. Times are microseconds of the database's clock."""

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from core.jobs.states import Keep, Request, Status, StopReason

TABLES = "tables"
"""Key of `Job.latest` under which metrics stand that are not single numbers, such as confusion matrices."""
CLASSES = "classes"
"""Key of these tables for the names of their classes."""
BEST_TABLES = "best"
"""Key of these tables for those of the best epoch, with its number as `epoch`."""


class Base(DeclarativeBase):
    """Base class of all tables: naming convention of constraints, and the column type of each Python type."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        },
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own form
        int: BigInteger,
        float: Double,
        str: Text,
        dict[str, Any]: JSON(none_as_null=True),
    }


def _enum(kind: type[StrEnum]) -> Enum:
    return Enum(
        kind, native_enum=False, length=20, values_callable=lambda members: [member.value for member in members]
    )


class Job(Base):
    """A job: its specification, status, lease and progress."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_next", "status", "owner", "priority", "created_at", "id", "spec_bytes"),
        Index("ix_jobs_status_id", "status", "id"),
        Index("ix_jobs_name_id", "name", "id"),
        Index("ix_jobs_dataset_id", "dataset_id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str | None]
    status: Mapped[Status] = mapped_column(_enum(Status))
    owner: Mapped[str]
    priority: Mapped[int] = mapped_column(Integer)
    labels: Mapped[dict[str, Any]] = mapped_column("metadata")
    """The client's metadata; SQLAlchemy reserves that name for an attribute."""
    dataset_id: Mapped[str | None] = mapped_column(String(40))
    threads: Mapped[int] = mapped_column(Integer)
    """Threads of BLAS, or processes that share a batch; fixed when the job is posted, as results depend on it."""
    memory_bytes: Mapped[int | None]
    """Estimated memory of its training; None for jobs from before migration 0003."""
    continues: Mapped[str | None] = mapped_column(String(40))
    """The job whose training this one continues."""
    inexact_reason: Mapped[str | None]
    """Why a job that continues another, or starts from its weights, may differ from one training by one version."""
    vocabulary: Mapped[int] = mapped_column(Integer, server_default="0")
    """A worker may claim the job if its own number is at least as high; see `core.versions`."""
    arithmetic: Mapped[int] = mapped_column(Integer, server_default="0")
    """The same for the numbers that it computes."""
    version: Mapped[str | None]
    """The version that raised the two numbers last; None for jobs from before migration 0006."""
    computed_with: Mapped[str | None]
    """What its last run computed with, in words: arithmetic, libraries, processor, threads."""
    reproducible: Mapped[bool | None]
    """Whether all of it was computed with the same; None if a version from before migration 0006 computed it."""

    fence: Mapped[int]
    """Incremented at every claim and every requeueing; a write must show the current value."""
    worker: Mapped[str | None]
    lease_until: Mapped[int | None]
    heartbeat_at: Mapped[int | None]
    request: Mapped[Request | None] = mapped_column(_enum(Request))
    keep: Mapped[Keep | None] = mapped_column(_enum(Keep))
    writes: Mapped[int]
    """Guarded commits under this fence."""
    last_seq: Mapped[int]
    """Number of the job's last event."""
    recorded: Mapped[int]
    """Stored rows of the training's row stream."""
    checkpoint_id: Mapped[str | None] = mapped_column(String(40))
    """The checkpoint to resume from."""
    lost_workers: Mapped[int] = mapped_column(Integer)
    """Workers lost since the last progress (a checkpoint of a later step)."""

    due_at: Mapped[int]
    notified_at: Mapped[int | None]
    created_at: Mapped[int]
    started_at: Mapped[int | None]
    ended_at: Mapped[int | None]
    stop_reason: Mapped[StopReason | None] = mapped_column(_enum(StopReason))
    error: Mapped[dict[str, Any] | None]

    epoch: Mapped[int]
    epochs: Mapped[int | None]
    step: Mapped[int]
    steps: Mapped[int | None]
    latest: Mapped[dict[str, Any] | None]
    """The newest value of each metric, a string where it is not finite; tables are under the key
    `TABLES`, with the names of their classes under `CLASSES`."""
    best: Mapped[dict[str, Any] | None]
    warnings: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    """Code, pointer and message of each; None for jobs from before migration 0008."""
    weights_sha256: Mapped[str | None] = mapped_column(String(64))
    runtime: Mapped[float]
    """Microseconds of training so far, over all workers."""

    spec_bytes: Mapped[int] = mapped_column(server_default="0")
    """Size of the spec as posted."""
    checkpoint_bytes: Mapped[int] = mapped_column(server_default="0")
    """Bytes of checkpoints that the job may need; from its end on, those that it has."""
    metric_rows: Mapped[int] = mapped_column(server_default="0")
    """Metric rows that the job may write; from its end on, those that it has."""


class Spec(Base):
    """The JSON text that a client posted. Above 64 kB it is a blob, and the row has an outline of it.

    Not a column of `jobs`: SQLite rewrites the whole row at every update, and a spec may hold inline data.
    """

    __tablename__ = "specs"

    job_id: Mapped[str] = mapped_column(String(40), ForeignKey("jobs.id"), primary_key=True)
    json: Mapped[str]
    """The text as posted, or its outline."""
    sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    """The blob that has the text as posted; None where `json` has it."""


class Label(Base):
    """One pair of a job's metadata, to filter jobs by."""

    __tablename__ = "labels"
    __table_args__ = ({"sqlite_with_rowid": False},)

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(String(40), ForeignKey("jobs.id"), primary_key=True, index=True)


class Transition(Base):
    """One change of a job's status, or a message about it; `seq` is that of its event."""

    __tablename__ = "transitions"
    __table_args__ = ({"sqlite_with_rowid": False},)

    job_id: Mapped[str] = mapped_column(String(40), ForeignKey("jobs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[Status] = mapped_column(_enum(Status))
    at: Mapped[int]
    actor: Mapped[str]
    message: Mapped[str]


class Event(Base):
    """One event of a job: a metric, a change of status or a log message.

    No foreign key: events are inserted under the lock of the job's row, and checking each would halve the speed.
    """

    __tablename__ = "events"
    __table_args__ = ({"sqlite_with_rowid": False},)

    job_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    """metric, status or log."""
    step: Mapped[int | None]
    epoch: Mapped[int | None]
    split: Mapped[str | None] = mapped_column(String(20))
    name: Mapped[str | None]
    value: Mapped[float | None]
    nonfinite: Mapped[str | None] = mapped_column(String(4))
    """nan, inf or -inf where the value is not finite."""
    at: Mapped[int]
    recorded: Mapped[int | None]
    """Place in the training's row stream, from 0; None for values that depend on the wall clock."""
    data: Mapped[dict[str, Any] | None]


class Checkpoint(Base):
    """A state of training to resume from; its bytes are a blob."""

    __tablename__ = "checkpoints"
    __table_args__ = (Index("ix_checkpoints_job_id_step", "job_id", "step"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(40), ForeignKey("jobs.id"))
    step: Mapped[int]
    epoch: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    bytes: Mapped[int]
    weights_sha256: Mapped[str] = mapped_column(String(64))
    metrics: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[int]


class Dataset(Base):
    """An uploaded file with its schema."""

    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("owner", "fingerprint"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str]
    name: Mapped[str | None]
    format: Mapped[str] = mapped_column(String(20))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    """Hash of the bytes, their format and the types of their columns; unique for each owner."""
    bytes: Mapped[int]
    rows: Mapped[int]
    columns: Mapped[dict[str, Any]]
    """The schema inferred at the upload, as JSON."""
    created_at: Mapped[int]


class IdempotencyKey(Base):
    """The response to the first request with an idempotency key."""

    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_sha256: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str | None] = mapped_column(String(40), index=True)
    status: Mapped[int | None] = mapped_column(Integer)
    response: Mapped[str | None]
    created_at: Mapped[int] = mapped_column(index=True)


class ServiceVersion(Base):
    """A version whose API or worker has run on this database."""

    __tablename__ = "service_versions"

    part: Mapped[str] = mapped_column(String(10), primary_key=True)
    """api or worker."""
    version: Mapped[str] = mapped_column(primary_key=True)
    vocabulary: Mapped[int] = mapped_column(Integer)
    arithmetic: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[int]
    """The last start of such a process."""
    seen_at: Mapped[int]
    """The last time that such a process was alive."""


class Totals(Base):
    """What the jobs and datasets of one owner have in total, changed with each of them (`core.store.totals`)."""

    __tablename__ = "totals"

    owner: Mapped[str] = mapped_column(primary_key=True)
    jobs: Mapped[int]
    spec_bytes: Mapped[int]
    checkpoint_bytes: Mapped[int]
    metric_rows: Mapped[int]
    datasets: Mapped[int]
    dataset_bytes: Mapped[int]


class WorkerTotals(Base):
    """The training of one worker process in total."""

    __tablename__ = "worker_totals"

    worker: Mapped[str] = mapped_column(primary_key=True)
    steps: Mapped[int]
    samples: Mapped[int]
    train_seconds: Mapped[float]
    seen_at: Mapped[int]
