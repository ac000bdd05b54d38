"""The route of a job's checkpoints."""

from starlette.responses import Response

from api.dependencies import ClientScope, ServicesDep
from api.http.openapi import operation
from api.http.responses import JsonResponse
from api.http.routes import Router
from api.schemas.checkpoint import Checkpoint, checkpoint_view
from api.schemas.examples import JobId
from api.schemas.page import Page
from api.services.identifiers import resolve_job_id
from core.store import checkpoints, jobs
from core.store.errors import NoSuchJob

router = Router(prefix="/v1", tags=["jobs"])


@router.get(
    "/jobs/{job_id}/checkpoints",
    summary="List a job's checkpoints",
    **operation(NoSuchJob, answer=Page[Checkpoint]),
)
def list_checkpoints(services: ServicesDep, scope: ClientScope, job_id: JobId) -> Response:
    """List the stored checkpoints, newest first. A job keeps only a few, so the list is a single page."""
    with services.database.read() as s:
        job = jobs.get(s, scope, resolve_job_id(s, scope, job_id))
        found = checkpoints.of_job(s, scope, job.id)
    return JsonResponse(Page[Checkpoint](items=[checkpoint_view(row) for row in found], next_cursor=None))
