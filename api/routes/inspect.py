"""The routes that inspect a job's next training step and check its gradient."""

from fastapi import Request
from starlette.responses import Response

from api.dependencies import ClientScope, Services, ServicesDep
from api.http.body import JsonBody
from api.http.errors import (
    BodyTooLarge,
    InvalidBody,
    JobNotTrained,
    ServiceBusy,
    TooMuchWork,
    UnsupportedMediaType,
)
from api.http.openapi import operation
from api.http.routes import Router
from api.schemas.examples import BATCHES, JobId
from api.schemas.inspection import GradientCheck, GradientCheckRequest, InspectionRequest, StepInspection
from api.services.identifiers import resolve_job_id
from api.services.inspection import CheckpointReference, TrainedJob, check_gradients, inspect_step
from core.data.errors import InvalidInstance
from core.jobs.states import Keep
from core.store import checkpoints, jobs
from core.store.errors import NoSuchJob
from core.store.scope import Scope
from core.store.specs import read_text
from core.versions import UnknownVersion

router = Router(prefix="/v1", tags=["jobs"])

ERRORS = (
    NoSuchJob,
    JobNotTrained,
    UnknownVersion,
    InvalidBody,
    InvalidInstance,
    UnsupportedMediaType,
    BodyTooLarge,
    TooMuchWork,
    ServiceBusy,
)


@router.post(
    "/jobs/{job_id}/inspect",
    summary="Inspect a job's next training step",
    **operation(*ERRORS, answer=StepInspection, body=InspectionRequest, examples=BATCHES),
)
async def inspect(
    request: Request, services: ServicesDep, scope: ClientScope, job_id: JobId, body: JsonBody
) -> Response:
    """Compute the next step from the job's newest checkpoint on these rows, and return what happens in each layer.

    The step is computed on a copy: the job does not change.
    """
    job = await services.compute.in_thread(_trained_job, services, scope, job_id)
    return await services.compute.respond(request, inspect_step, services.settings, job, body)


@router.post(
    "/jobs/{job_id}/check_gradient",
    summary="Check a job's gradient",
    **operation(*ERRORS, answer=GradientCheck, body=GradientCheckRequest, examples=BATCHES),
)
async def check_gradient(
    request: Request, services: ServicesDep, scope: ClientScope, job_id: JobId, body: JsonBody
) -> Response:
    """Compare the backward pass on these rows with finite differences, for each weight array, in float64.

    The weights are those of the newest checkpoint. Random layers such as dropout draw the same numbers in every pass.
    """
    job = await services.compute.in_thread(_trained_job, services, scope, job_id)
    return await services.compute.respond(request, check_gradients, services.settings, job, body)


def _trained_job(services: Services, scope: Scope, job_id: str) -> TrainedJob:
    """Return what an inspection needs of a job. Raise `JobNotTrained` without a checkpoint."""
    with services.database.read() as s:
        job, spec = jobs.with_spec(s, scope, resolve_job_id(s, scope, job_id))
        found = checkpoints.of_job(s, scope, job.id)
    if not found or job.keep is Keep.NONE:
        raise JobNotTrained(job.id, job.status)
    references = tuple(CheckpointReference(one.sha256, one.step, one.epoch) for one in found)
    return TrainedJob(read_text(services.blobs, spec), job.steps or 0, references)
