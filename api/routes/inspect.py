"""The routes that inspect a job's next training step and check its gradient."""

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import ClientScope, Services, ServicesDep
from api.http.body import JsonBody, parse
from api.http.errors import BodyTooLarge, InvalidBody, JobNotTrained, UnsupportedMediaType
from api.http.openapi import operation
from api.http.responses import JsonResponse
from api.schemas.examples import BATCHES, JobId
from api.schemas.inspection import (
    GradientCheck,
    GradientCheckRequest,
    InspectionRequest,
    StepInspection,
    gradient_check_view,
    step_inspection_view,
)
from api.services.identifiers import resolve_job_id
from api.services.model_cache import UNREADABLE_CHECKPOINT
from core.data.errors import InvalidInstance
from core.jobs.spec import JobSpec, parse_stored
from core.jobs.states import Keep
from core.models.checkpoint import CheckpointData, decode
from core.models.inspection import InspectionLimits, inspect_next_step
from core.models.inspection import check_gradient as check_model_gradient
from core.store import checkpoints, jobs
from core.store.errors import NoSuchJob
from core.store.scope import Scope
from core.store.tables import Checkpoint, Job
from core.versions import UnknownVersion

router = APIRouter(prefix="/v1", tags=["jobs"])

ERRORS = (
    NoSuchJob,
    JobNotTrained,
    UnknownVersion,
    InvalidBody,
    InvalidInstance,
    UnsupportedMediaType,
    BodyTooLarge,
)


@router.post(
    "/jobs/{job_id}/inspect",
    summary="Inspect a job's next training step",
    **operation(*ERRORS, answer=StepInspection, body=InspectionRequest, examples=BATCHES),
)
def inspect(services: ServicesDep, scope: ClientScope, job_id: JobId, body: JsonBody) -> Response:
    """Compute the next step from the job's newest checkpoint on these rows, and return what happens in each layer.

    The step is computed on a copy: the job does not change.
    """
    batch = parse(InspectionRequest, body)
    job, spec, checkpoint, saved = _trained_job(services, scope, job_id)
    found = inspect_next_step(
        saved,
        spec.optimizer,
        job.steps or 0,
        batch.instances,
        batch.targets,
        arrays=batch.arrays,
        limits=InspectionLimits(services.settings.max_memory_bytes),
    )
    return JsonResponse(step_inspection_view(checkpoint, found))


@router.post(
    "/jobs/{job_id}/check_gradient",
    summary="Check a job's gradient",
    **operation(*ERRORS, answer=GradientCheck, body=GradientCheckRequest, examples=BATCHES),
)
def check_gradient(services: ServicesDep, scope: ClientScope, job_id: JobId, body: JsonBody) -> Response:
    """Compare the backward pass on these rows with finite differences, for each weight array, in float64.

    The weights are those of the newest checkpoint. Random layers such as dropout draw the same numbers in every pass.
    """
    batch = parse(GradientCheckRequest, body)
    _, _, checkpoint, saved = _trained_job(services, scope, job_id)
    limits = InspectionLimits(services.settings.max_memory_bytes)
    return JsonResponse(
        gradient_check_view(checkpoint, check_model_gradient(saved, batch.instances, batch.targets, limits))
    )


def _trained_job(services: Services, scope: Scope, job_id: str) -> tuple[Job, JobSpec, Checkpoint, CheckpointData]:
    """Return a job, its spec, and its newest readable checkpoint. Raise `JobNotTrained` without one."""
    with services.database.read() as s:
        job, spec = jobs.with_spec(s, scope, resolve_job_id(s, scope, job_id))
        found = checkpoints.of_job(s, scope, job.id)
    if not found or job.keep is Keep.NONE:
        raise JobNotTrained(job.id, job.status)
    return job, parse_stored(spec), *_newest_readable(services, found)


def _newest_readable(services: Services, found: list[Checkpoint]) -> tuple[Checkpoint, CheckpointData]:
    """Skip checkpoints that a running training has just pruned, or that are damaged."""
    for checkpoint in found[:-1]:
        try:
            return checkpoint, decode(services.blobs.read(checkpoint.sha256))
        except UNREADABLE_CHECKPOINT:
            pass
    return found[-1], decode(services.blobs.read(found[-1].sha256))
