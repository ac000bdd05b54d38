"""Where a job begins that does not begin anew: found, and held against its own net, before it is made."""

from sqlalchemy.orm import Session

from api.dependencies import Services
from api.schemas.examples import LATEST
from core.blobs.folder import DamagedBlob, NoSuchBlob
from core.data.prepare import Signature
from core.ids import is_id
from core.jobs.continuation import TrainingProgress
from core.jobs.resolve import InvalidSpec, require_weights_of, resolve
from core.jobs.spec import JobSpec, StartFrom
from core.jobs.states import TERMINAL, StopReason
from core.models.checkpoint import DamagedCheckpoint
from core.models.model import Model
from core.store import checkpoints, jobs
from core.store.checkpoints import START
from core.store.errors import NoSuchCheckpoint, NoSuchJob, WrongState
from core.store.scope import Scope
from core.store.tables import Checkpoint, Job
from core.store.warm_starts import WarmStart, held_still

UNREADABLE = (NoSuchBlob, DamagedBlob, DamagedCheckpoint)


def known(s: Session, scope: Scope, job_id: str) -> str:
    """The id that a client means: `latest` is the newest job's. `NoSuchJob` for what cannot be one."""
    if job_id == LATEST:
        newest, _ = jobs.page(s, scope, limit=1)
        if newest:
            return newest[0].id
    if not is_id("job", job_id):
        raise NoSuchJob(job_id)
    return job_id


def require_same_weights(
    services: Services, scope: Scope, start: StartFrom, spec: JobSpec, signature: Signature
) -> None:
    """Return where the net has the weights of the job that it starts from; else `InvalidSpec`."""
    require_weights_of(spec.architecture, resolve(spec, signature).network, _model(services, scope, start).network)


def warm(s: Session, scope: Scope, start: StartFrom) -> WarmStart:
    """The checkpoint to start from, held still. Raises `InvalidSpec` where there is none such."""
    try:
        return WarmStart(held_still(s, scope, _chosen(s, scope, start).id), START)
    except NoSuchCheckpoint:
        raise _nothing(f"the checkpoint of {start.job} was given up just now: try again") from None


def last_of(s: Session, scope: Scope, job: Job) -> Checkpoint:
    """The checkpoint that an ended job can go on from, held still. Raises `WrongState` where it cannot."""
    if job.status not in TERMINAL:
        raise WrongState(job.id, job.status, "continued before it has ended: cancel it, or let it end")
    if job.stop_reason == StopReason.DIVERGED:
        remedy = "it would diverge again; post a job with start_from and a smaller learning rate"
        raise WrongState(job.id, job.status, f"continued: {remedy}")
    try:
        return held_still(s, scope, job.checkpoint_id or "")
    except NoSuchCheckpoint:
        raise WrongState(job.id, job.status, "continued: it has no checkpoint") from None


def progress(job: Job, checkpoint: Checkpoint) -> TrainingProgress:
    """Return how far the training of an ended job has come."""
    best = job.best["step"] if job.best else None
    return TrainingProgress(checkpoint.epoch, checkpoint.step, job.steps or 0, job.runtime / 1e6, job.stop_reason, best)


def _model(services: Services, scope: Scope, start: StartFrom) -> Model:
    """The net to start from; where its file was just given up by a training that went on, the newer one's."""
    for _ in range(2):
        with services.database.read() as s:
            found = _chosen(s, scope, start)
        try:
            return services.models.get(found.sha256, "last")
        except UNREADABLE:
            pass
    raise _nothing(f"the checkpoint of step {found.step} cannot be read: choose another")


def _chosen(s: Session, scope: Scope, start: StartFrom) -> Checkpoint:
    try:
        job = jobs.get(s, scope, known(s, scope, start.job))
    except NoSuchJob:
        raise InvalidSpec(
            [("/start_from/job", f"there is no job {start.job!r:.60}: GET /v1/jobs lists those there are")]
        ) from None
    found = checkpoints.of_job(s, scope, job.id)
    for one in found:
        if one.step == start.checkpoint or (isinstance(start.checkpoint, str) and one.id == job.checkpoint_id):
            return one
    steps = ", ".join(str(one.step) for one in found)
    raise _nothing(
        f"{job.id} has checkpoints of the steps {steps}: choose one of them, best or last"
        if found
        else f"{job.id} is {job.status} and has no checkpoint: start from another job, or when it has trained an epoch"
    )


def _nothing(message: str) -> InvalidSpec:
    return InvalidSpec([("/start_from/checkpoint", message)])
