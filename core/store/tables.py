"""The tables, as plain rows without relationships. Times are microseconds by the database's own clock."""

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
"""Where a job's newest metrics hold those that are no single number."""


class Base(DeclarativeBase):
    """What all tables share: the names of their constraints, and which type of column a type of value has."""

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


def _words(kind: type[StrEnum]) -> Enum:
    return Enum(kind, native_enum=False, length=20, values_callable=lambda words: [word.value for word in words])


class Job(Base):
    """A job: what is wanted of it, where it stands, and who has it."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_next", "status", "owner", "priority", "created_at", "id"),
        Index("ix_jobs_status_id", "status", "id"),
        Index("ix_jobs_name_id", "name", "id"),
        Index("ix_jobs_dataset_id", "dataset_id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str | None]
    status: Mapped[Status] = mapped_column(_words(Status))
    owner: Mapped[str]
    priority: Mapped[int] = mapped_column(Integer)
    labels: Mapped[dict[str, Any]] = mapped_column("metadata")
    """The client's own pairs; the column is called metadata."""
    dataset_id: Mapped[str | None] = mapped_column(String(40))
    threads: Mapped[int] = mapped_column(Integer)
    """Threads, BLAS's or processes that share a batch, pinned when the job was made."""
    memory_bytes: Mapped[int | None]
    """Memory that its training was estimated to need; none for jobs from before this was kept."""
    continues: Mapped[str | None] = mapped_column(String(40))
    """The job whose training this one goes on with."""
    inexact_reason: Mapped[str | None]
    """Why a job that continues another may not give the numbers of one long training; none where it does."""

    fence: Mapped[int]
    """Counts up at every claim and every taking-away; a writer must show it."""
    worker: Mapped[str | None]
    lease_until: Mapped[int | None]
    heartbeat_at: Mapped[int | None]
    request: Mapped[Request | None] = mapped_column(_words(Request))
    keep: Mapped[Keep | None] = mapped_column(_words(Keep))
    writes: Mapped[int]
    """Guarded commits made under this fence."""
    last_seq: Mapped[int]
    """The event log's last number."""
    recorded: Mapped[int]
    """How many rows of the training's own row stream are stored."""
    checkpoint_id: Mapped[str | None] = mapped_column(String(40))
    """The one to go on from."""
    lost_workers: Mapped[int] = mapped_column(Integer)
    """Workers lost since the last progress."""

    due_at: Mapped[int]
    notified_at: Mapped[int | None]
    created_at: Mapped[int]
    started_at: Mapped[int | None]
    ended_at: Mapped[int | None]
    stop_reason: Mapped[StopReason | None] = mapped_column(_words(StopReason))
    error: Mapped[dict[str, Any] | None]

    epoch: Mapped[int]
    epochs: Mapped[int | None]
    step: Mapped[int]
    steps: Mapped[int | None]
    latest: Mapped[dict[str, Any] | None]
    """The newest value of each metric; one that is not finite stands as its word. What is a table is under `TABLES`."""
    best: Mapped[dict[str, Any] | None]
    weights_sha256: Mapped[str | None] = mapped_column(String(64))
    runtime: Mapped[float]
    """Microseconds of training so far, over all its workers."""


class Spec(Base):
    """What a client posted, as JSON text.

    It stands beside its job and not in it: SQLite writes a whole row anew at every update, inline data included.
    """

    __tablename__ = "specs"

    job_id: Mapped[str] = mapped_column(String(40), ForeignKey("jobs.id"), primary_key=True)
    json: Mapped[str]


class Label(Base):
    """One pair of a job's metadata, by which jobs are found."""

    __tablename__ = "labels"
    __table_args__ = ({"sqlite_with_rowid": False},)

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(String(40), ForeignKey("jobs.id"), primary_key=True, index=True)


class Transition(Base):
    """One change of a job's status, or a remark upon it; `seq` is its event's."""

    __tablename__ = "transitions"
    __table_args__ = ({"sqlite_with_rowid": False},)

    job_id: Mapped[str] = mapped_column(String(40), ForeignKey("jobs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[Status] = mapped_column(_words(Status))
    at: Mapped[int]
    actor: Mapped[str]
    message: Mapped[str]


class Event(Base):
    """One row of a job's log: a metric, a change of status or a remark.

    No foreign key: each row is written under the lock of its job's row, and a check of each would halve the speed.
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
    """nan, inf or -inf, where the value is none of the numbers."""
    at: Mapped[int]
    recorded: Mapped[int | None]
    """Its place in the training's own row stream, from 0; none for what depends on the wall clock."""
    data: Mapped[dict[str, Any] | None]


class Checkpoint(Base):
    """A state of training from which a job can go on; the bytes are a blob."""

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
    """An uploaded file, known by its bytes and the way they are read."""

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
    """The schema that was found at the upload, in its JSON form."""
    created_at: Mapped[int]


class IdempotencyKey(Base):
    """The first answer to a request that a client may repeat."""

    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_sha256: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str | None] = mapped_column(String(40))
    status: Mapped[int | None] = mapped_column(Integer)
    response: Mapped[str | None]
    created_at: Mapped[int] = mapped_column(index=True)


class WorkerTotals(Base):
    """What one worker process has trained in all."""

    __tablename__ = "worker_totals"

    worker: Mapped[str] = mapped_column(primary_key=True)
    steps: Mapped[int]
    samples: Mapped[int]
    train_seconds: Mapped[float]
    seen_at: Mapped[int]
