"""What goes out: each shape that a client sees, made from rows and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, Field

from core.jobs.resolve import Estimate
from core.jobs.states import TERMINAL, Status, StopReason
from core.store import tables

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Item = TypeVar("Item")


def at(microseconds: int) -> str:
    """Microseconds since 1970 as RFC 3339 in UTC: `2026-01-31T12:00:00.000000Z`."""
    return (EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def at_or_none(microseconds: int | None) -> str | None:
    """The same where there is a time."""
    return None if microseconds is None else at(microseconds)


Split: TypeAlias = Literal["train", "validation"]


class Progress(BaseModel):
    """How far a job is."""

    epoch: int = Field(description="Whole epochs behind it.")
    epochs: int | None
    step: int = Field(description="Batches learned from so far.")
    steps: int | None = Field(description="Batches in all, if it runs to its last epoch.")
    fraction: float = Field(description="From 0 to 1; 1 once it succeeded.")
    seconds_left: float | None = Field(description="By the speed so far; null before there is one.")


class Best(BaseModel):
    """The best value of the monitored metric so far."""

    metric: str
    value: float | None
    epoch: int
    step: int


class Transition(BaseModel):
    """One change of a job's status."""

    status: Status
    at: str
    actor: str
    message: str


class JobSummary(BaseModel):
    """A job as a list shows it."""

    id: str
    name: str | None
    status: Status
    stop_reason: StopReason | None
    progress: Progress
    latest: dict[str, float | None] = Field(description="The newest value of each metric.")
    best: Best | None
    weights_sha256: str | None = Field(description="Of the weight vector, once a checkpoint holds one.")
    error: dict[str, Any] | None
    worker: str | None
    heartbeat_at: str | None
    priority: int = Field(description="From −10 to 10; the higher goes first.")
    threads: int = Field(description="Threads, BLAS's or processes that share a batch, pinned when the job was made.")
    bytes: int | None = Field(description="Memory of the training by its estimate, in bytes.")
    continues: str | None = Field(description="The job whose training this one goes on with.")
    exact: bool | None = Field(
        description="Whether a job that continues another gives the weights and rows, to the last bit, of one "
        "training with the whole spec from the start; null for others."
    )
    inexact: str | None = Field(description="Why not, where `exact` is false.")
    metadata: dict[str, str]
    created_at: str
    started_at: str | None
    ended_at: str | None


class JobStory(JobSummary):
    """A job with all its changes of status."""

    transitions: list[Transition]
    confusion_matrix: dict[Split, list[list[int]]] | None = Field(
        description="Where that metric is asked for, of the last epoch: how many rows of each class (row by row) were "
        "said to be of each (column by column), in the order that the probabilities of a prediction have."
    )


class Job(JobStory):
    """A job with its whole story and its spec as it was posted."""

    spec: dict[str, Any]


class Page(BaseModel, Generic[Item]):
    """One page of a list, newest first."""

    items: list[Item]
    next_cursor: str | None = Field(description="Give it as `?cursor=` for the next page; null on the last.")


class MetricRow(BaseModel):
    """One measured number."""

    seq: int = Field(description="Counts up by one within a job, over all its events.")
    step: int
    epoch: int
    split: str
    name: str
    value: float | None
    nonfinite: str | None = Field(default=None, description="`nan`, `inf` or `-inf`, where value is null.")
    at: str


class Metrics(BaseModel):
    """Stored rows in the order of `seq`."""

    items: list[MetricRow]
    next_after: int | None = Field(description="Give it as `?after=` to read on; null where that was all for now.")


class Checkpoint(BaseModel):
    """A state that a job can go on from, or predict with."""

    id: str
    step: int
    epoch: int
    bytes: int
    sha256: str
    weights_sha256: str
    metrics: dict[str, float | None]
    reason: str
    created_at: str


class LayerEstimate(BaseModel):
    """One layer of a net that was checked."""

    pointer: str
    type: str
    output_shape: list[int] = Field(description="Without the batch.")
    parameters: int


class Checked(BaseModel):
    """What a spec would cost, known before anything is allocated."""

    parameters: int
    layers: list[LayerEstimate]
    output_shape: list[int]
    bytes: int = Field(description="Memory of the training, in bytes.")
    flops: int = Field(description="Floating-point operations a step.")
    steps: int | None
    warnings: list[str]


class Column(BaseModel):
    """One column of a dataset."""

    name: str
    type: str
    rows: int
    missing: int
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    integers: bool
    distinct: int | None
    classes: dict[str, int] | None = Field(description="How often each class occurs, where they are few.")
    shape: list[int] = Field(description="Of one row of an array; empty for plain values.")


class Dataset(BaseModel):
    """An uploaded dataset."""

    id: str
    name: str | None
    format: str
    sha256: str
    bytes: int
    rows: int
    columns: list[Column]
    created_at: str


class Rows(BaseModel):
    """A page of a dataset's rows, as stored."""

    items: list[dict[str, Any]]
    next_offset: int | None


class Predictions(BaseModel):
    """One answer an instance, in its order, and the checkpoint that gave them."""

    predictions: list[dict[str, Any]]
    checkpoint: dict[str, Any]


def progress(job: tables.Job) -> Progress:
    """How far this job is, and how long it still needs at the speed it had so far."""
    fraction = 1.0 if job.status == Status.SUCCEEDED else _fraction(job)
    left = job.runtime / 1e6 * (1 - fraction) / fraction if fraction and job.runtime else None
    return Progress(
        epoch=job.epoch,
        epochs=job.epochs,
        step=job.step,
        steps=job.steps,
        fraction=round(fraction, 6),
        seconds_left=None if left is None or job.status in TERMINAL else round(left, 3),
    )


def _finite(value: float | str | None) -> float | None:
    """The store's word for a number that is not finite is null for a client."""
    return None if isinstance(value, str) else value


def _fraction(job: tables.Job) -> float:
    done, whole = (job.step, job.steps) if job.steps else (job.epoch, job.epochs)
    return min(1.0, done / whole) if whole else 0.0


def summary(job: tables.Job) -> dict[str, Any]:
    """The fields of a `JobSummary`."""
    return {
        "id": job.id,
        "name": job.name,
        "status": job.status,
        "stop_reason": job.stop_reason,
        "progress": progress(job),
        "latest": {name: _finite(value) for name, value in (job.latest or {}).items() if name != tables.TABLES},
        "best": {**job.best, "value": _finite(job.best["value"])} if job.best else None,
        "weights_sha256": job.weights_sha256,
        "error": job.error,
        "worker": job.worker,
        "heartbeat_at": at_or_none(job.heartbeat_at),
        "priority": job.priority,
        "threads": job.threads,
        "bytes": job.memory_bytes,
        "continues": job.continues,
        "exact": None if job.continues is None else job.inexact_reason is None,
        "inexact": job.inexact_reason,
        "metadata": job.labels or {},
        "created_at": at(job.created_at),
        "started_at": at_or_none(job.started_at),
        "ended_at": at_or_none(job.ended_at),
    }


def _confusion(job: tables.Job) -> dict[Split, list[list[int]]] | None:
    kept = (job.latest or {}).get(tables.TABLES, {})
    found: dict[Split, Any] = {
        "train": kept.get("confusion_matrix"),
        "validation": kept.get("val_confusion_matrix"),
    }
    return {split: table for split, table in found.items() if table} or None


def job_json(job: tables.Job, transitions: Sequence[tables.Transition], spec: str) -> str:
    """A `Job` as JSON. The spec is spliced in as the text that it is: it can be megabytes, and needs no reading."""
    story = [Transition(status=one.status, at=at(one.at), actor=one.actor, message=one.message) for one in transitions]
    told = JobStory(**summary(job), transitions=story, confusion_matrix=_confusion(job)).model_dump_json()
    return f'{told[:-1]},"spec":{spec}}}'


def checkpoint_view(row: tables.Checkpoint) -> Checkpoint:
    """A checkpoint."""
    kept = ("id", "step", "epoch", "bytes", "sha256", "weights_sha256", "metrics", "reason")
    fields = {name: getattr(row, name) for name in kept}
    fields["metrics"] = {name: _finite(value) for name, value in row.metrics.items()}
    return Checkpoint(**fields, created_at=at(row.created_at))


def checked_view(estimate: Estimate) -> Checked:
    """What a check found."""
    return Checked.model_validate(asdict(estimate))


def dataset_view(row: tables.Dataset) -> Dataset:
    """A dataset with what its columns hold."""
    return Dataset(
        id=row.id,
        name=row.name,
        format=row.format,
        sha256=row.sha256,
        bytes=row.bytes,
        rows=row.rows,
        columns=[_column(column) for column in row.columns["columns"]],
        created_at=at(row.created_at),
    )


def _column(column: Mapping[str, Any]) -> Column:
    return Column(**{**column, "classes": dict(column["classes"]) or None})
