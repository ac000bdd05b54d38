"""The checkpoint that a new job starts from: found, and compared with the job's network, before the job exists."""

from collections.abc import Iterable

from sqlalchemy.orm import Session

from api.dependencies import Services
from api.services.identifiers import resolve_job_id
from api.services.model_cache import UNREADABLE_CHECKPOINT
from core.jobs import warm_start
from core.jobs.continuation import TrainingProgress
from core.jobs.errors import InvalidSpec
from core.jobs.spec import StartFrom
from core.jobs.states import TERMINAL, StopReason
from core.jobs.warm_start import LayerWeights
from core.models.model import Model
from core.store import checkpoints, jobs
from core.store.errors import NoSuchCheckpoint, NoSuchJob, WrongState
from core.store.scope import Scope
from core.store.tables import Checkpoint, Job
from core.store.warm_starts import WarmStart, lock_checkpoint, start_of


def require_same_weights(services: Services, scope: Scope, start: StartFrom, weights: Iterable[LayerWeights]) -> None:
    """Raise `InvalidSpec` unless these weights have the same shapes as those of the job to start from."""
    warm_start.require_same_weights(weights, _model(services, scope, start).network)


def warm_start_of(s: Session, scope: Scope, start: StartFrom) -> WarmStart:
    """Return the checkpoint to start from, locked against deletion. Raise `InvalidSpec` if there is none."""
    try:
        job, chosen = _chosen(s, scope, start)
        return start_of(job, lock_checkpoint(s, scope, chosen.id))
    except NoSuchCheckpoint:
        raise _invalid_checkpoint(f"the checkpoint of {start.job} was just deleted: try again") from None


def last_checkpoint(s: Session, scope: Scope, job: Job) -> Checkpoint:
    """Return the checkpoint from which an ended job can continue, locked against deletion.

    Raise `WrongState` if the job has not ended, has diverged, or has no checkpoint.
    """
    if job.status not in TERMINAL:
        raise WrongState(job.id, job.status, "continued before it has ended: cancel it, or wait for its end")
    if job.stop_reason == StopReason.DIVERGED:
        remedy = "it would diverge again; post a job with start_from and a smaller learning rate"
        raise WrongState(job.id, job.status, f"continued: {remedy}")
    try:
        return lock_checkpoint(s, scope, job.checkpoint_id or "")
    except NoSuchCheckpoint:
        raise WrongState(job.id, job.status, "continued: it has no checkpoint") from None


def progress(job: Job, checkpoint: Checkpoint) -> TrainingProgress:
    """Return how far the training of an ended job has come."""
    best = job.best["step"] if job.best else None
    return TrainingProgress(checkpoint.epoch, checkpoint.step, job.steps or 0, job.runtime / 1e6, job.stop_reason, best)


def _model(services: Services, scope: Scope, start: StartFrom) -> Model:
    """Return the model to start from; the newer one if a running training has just pruned its checkpoint."""
    for _ in range(2):
        with services.database.read() as s:
            _, found = _chosen(s, scope, start)
        try:
            return services.models.get(found.sha256, "last")
        except UNREADABLE_CHECKPOINT:
            pass
    raise _invalid_checkpoint(f"the checkpoint of step {found.step} cannot be read: choose another")


def _chosen(s: Session, scope: Scope, start: StartFrom) -> tuple[Job, Checkpoint]:
    try:
        job = jobs.get(s, scope, resolve_job_id(s, scope, start.job))
    except NoSuchJob:
        raise InvalidSpec(
            [("/start_from/job", f"there is no job {start.job!r:.60}: GET /v1/jobs lists the existing jobs")]
        ) from None
    found = checkpoints.of_job(s, scope, job.id)
    for one in found:
        if one.step == start.checkpoint or (isinstance(start.checkpoint, str) and one.id == job.checkpoint_id):
            return job, one
    steps = ", ".join(str(one.step) for one in found)
    raise _invalid_checkpoint(
        f"{job.id} has checkpoints of the steps {steps}: choose one of them, best or last"
        if found
        else f"{job.id} is {job.status} and has no checkpoint: start from another job, or wait for its first epoch"
    )


def _invalid_checkpoint(message: str) -> InvalidSpec:
    return InvalidSpec([("/start_from/checkpoint", message)])
