"""A job as JSON."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, Field

from api.schemas.values import finite_or_none, rfc3339, rfc3339_or_none
from api.schemas.warning import JobWarning, warnings_view
from core.jobs.states import TERMINAL, Status, StopReason
from core.store import tables

Split: TypeAlias = Literal["train", "validation", "test"]


class Progress(BaseModel):
    """Position of a job's training."""

    epoch: int = Field(description="Completed epochs.")
    epochs: int | None
    step: int = Field(description="Completed steps (batches).")
    steps: int | None = Field(description="Steps in all, if it trains to its last epoch.")
    fraction: float = Field(description="From 0 to 1; 1 once it has succeeded.")
    seconds_left: float | None = Field(description="Estimated from the speed so far; null before the first step.")


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


class Requirement(BaseModel):
    """What a worker must support to train a job: numbers that are at least these."""

    version: str | None = Field(description="The version that accepted the job or last trained it.")
    vocabulary: int = Field(description="The number of the specs and checkpoints that it must know.")
    arithmetic: int = Field(description="The number of the arithmetic that it must compute with.")


class JobSummary(BaseModel):
    """A job in a list."""

    id: str
    name: str | None
    status: Status
    stop_reason: StopReason | None
    progress: Progress
    latest: dict[str, float | None] = Field(description="The newest value of each metric.")
    best: Best | None
    weights_sha256: str | None = Field(description="SHA-256 of the newest checkpoint's weights; null before the first.")
    error: dict[str, Any] | None
    worker: str | None
    heartbeat_at: str | None
    priority: int = Field(description="From −10 to 10; a higher priority trains first.")
    threads: int = Field(description="BLAS threads, or processes that share a batch; fixed when the job is created.")
    memory_bytes: int | None = Field(description="Estimated memory of the training, in bytes.")
    continues: str | None = Field(description="The job whose training this job continues.")
    exact: bool | None = Field(
        description="For a job that continues another: whether its weights and metric rows are equal, bit for bit, "
        "to those of one training with the whole spec from the start. For a job that starts from the weights of "
        "another: false if these were computed by another version or with other libraries. Null for all other jobs."
    )
    inexact_reason: str | None = Field(description="Why `exact` is false.")
    reproducible: bool | None = Field(
        description="Whether all of the training was computed with the same arithmetic, libraries, kernels and number "
        "of threads, so that it can be repeated bit for bit. Null if it was computed before version 0.2.0."
    )
    computed_with: str | None = Field(description="What the training was last computed with; null before its start.")
    made_for: Requirement
    waits_for_version: str | None = Field(
        description="For a queued job that no worker here can train: the version that it waits for."
    )
    metadata: dict[str, str]
    created_at: str
    started_at: str | None
    ended_at: str | None


class BestConfusionMatrices(BaseModel):
    """Confusion matrices of the best epoch, whose weights predict unless others are asked for."""

    epoch: int = Field(description="The best epoch.")
    train: list[list[int]] | None = Field(description="Of the training rows, while the weights changed.")
    validation: list[list[int]] | None = Field(description="Of the rows held out.")


class ConfusionMatrices(BaseModel):
    """Counts of rows by true and predicted class."""

    classes: list[str] = Field(
        description="The class of each row and of each column, in the order of a prediction's probabilities."
    )
    rows: Literal["true"] = Field(description="A row of a matrix has the instances of one true class.")
    columns: Literal["predicted"] = Field(description="A column of a matrix has the instances predicted as one class.")
    train: list[list[int]] | None = Field(
        description="Of the training rows in the last epoch, while the weights changed."
    )
    validation: list[list[int]] | None = Field(description="Of the rows held out, after the last epoch.")
    test: list[list[int]] | None = Field(
        description="Of the test rows, measured once at the end with the weights of the best epoch."
    )
    best: BestConfusionMatrices | None = Field(
        description="The matrices of the best epoch, whose weights predict unless others are asked for."
    )


class JobWithoutSpec(JobSummary):
    """A job with its transitions; `job_json` adds the spec."""

    transitions: list[Transition]
    warnings: list[JobWarning] = Field(
        description="What is probably not meant in the spec, or was noticed while the job trained."
    )
    spec_bytes: int = Field(description="Size of the spec as posted, in bytes.")
    spec_sha256: str | None = Field(description="SHA-256 of the spec as posted, where it has more than 64 kB.")
    confusion_matrix: ConfusionMatrices | None = Field(
        description="Confusion matrices of the last and of the best epoch, if the job computes that metric."
    )


class Job(JobWithoutSpec):
    """A job with its transitions and its spec."""

    spec: dict[str, Any] = Field(
        title="Posted spec",
        description="As posted. Of a spec above 64 kB, large values are omitted here, and GET /v1/jobs/{job_id}/spec "
        "returns all of it.",
    )


def progress(job: tables.Job) -> Progress:
    """Return the progress of a job, with the remaining time at its speed so far."""
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


def _fraction(job: tables.Job) -> float:
    done, total = (job.step, job.steps) if job.steps else (job.epoch, job.epochs)
    return min(1.0, done / total) if total else 0.0


def summary_fields(job: tables.Job, waits_for_version: str | None) -> dict[str, Any]:
    """Return the fields of a `JobSummary`."""
    return {
        "id": job.id,
        "name": job.name,
        "status": job.status,
        "stop_reason": job.stop_reason,
        "progress": progress(job),
        "latest": {name: finite_or_none(value) for name, value in (job.latest or {}).items() if name != tables.TABLES},
        "best": {**job.best, "value": finite_or_none(job.best["value"])} if job.best else None,
        "weights_sha256": job.weights_sha256,
        "error": job.error,
        "worker": job.worker,
        "heartbeat_at": rfc3339_or_none(job.heartbeat_at),
        "priority": job.priority,
        "threads": job.threads,
        "memory_bytes": job.memory_bytes,
        "continues": job.continues,
        "exact": False if job.inexact_reason else (True if job.continues else None),
        "inexact_reason": job.inexact_reason,
        "reproducible": job.reproducible,
        "computed_with": job.computed_with,
        "made_for": Requirement(version=job.version, vocabulary=job.vocabulary, arithmetic=job.arithmetic),
        "waits_for_version": waits_for_version,
        "metadata": job.labels or {},
        "created_at": rfc3339(job.created_at),
        "started_at": rfc3339_or_none(job.started_at),
        "ended_at": rfc3339_or_none(job.ended_at),
    }


def job_summary(job: tables.Job, waits_for_version: str | None = None) -> JobSummary:
    """Return the view of a job in a list."""
    return JobSummary(**summary_fields(job, waits_for_version))


def _confusion_matrix(job: tables.Job) -> ConfusionMatrices | None:
    stored = (job.latest or {}).get(tables.TABLES, {})
    train, validation, test = (stored.get(f"{prefix}confusion_matrix") for prefix in ("", "val_", "test_"))
    matrix = train or validation or test
    if not matrix:
        return None
    classes = stored.get(tables.CLASSES) or [str(number) for number in range(len(matrix))]
    best = stored.get(tables.BEST_TABLES)
    return ConfusionMatrices(
        classes=classes,
        rows="true",
        columns="predicted",
        train=train,
        validation=validation,
        test=test,
        best=best
        and BestConfusionMatrices(
            epoch=best["epoch"], train=best.get("confusion_matrix"), validation=best.get("val_confusion_matrix")
        ),
    )


SPEC_FIELD = ',"spec":'
"""The text between the other fields of a `Job` and its spec, the last field."""


def job_json(
    job: tables.Job,
    transitions: Sequence[tables.Transition],
    spec: tables.Spec,
    waits_for_version: str | None = None,
) -> str:
    """Return a `Job` as JSON. The spec is inserted as text, without parsing."""
    return with_spec(job_fields(job, transitions, spec, waits_for_version), spec)


def job_fields(
    job: tables.Job,
    transitions: Sequence[tables.Transition],
    spec: tables.Spec,
    waits_for_version: str | None = None,
) -> str:
    """Return the JSON of a `Job` up to its spec, to be completed by `with_spec`."""
    changes = [
        Transition(status=one.status, at=rfc3339(one.at), actor=one.actor, message=one.message) for one in transitions
    ]
    view = JobWithoutSpec(
        **summary_fields(job, waits_for_version),
        transitions=changes,
        warnings=warnings_view(job.warnings or []),
        spec_bytes=job.spec_bytes,
        spec_sha256=spec.sha256,
        confusion_matrix=_confusion_matrix(job),
    )
    return view.model_dump_json()[:-1] + SPEC_FIELD


def with_spec(fields: str, spec: tables.Spec) -> str:
    """Return the JSON of a `Job` from what `job_fields` returned, and its spec or the outline of a large one."""
    return f"{fields}{spec.json}}}"
