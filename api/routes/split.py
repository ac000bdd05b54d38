"""The route that lists the rows of a job's split."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from api.dependencies import ClientScope, Services, ServicesDep
from api.http.errors import ServiceBusy, TooMuchWork
from api.http.openapi import operation
from api.http.routes import Router
from api.schemas.examples import JobId
from api.schemas.job import Split
from api.schemas.split import SplitRows
from api.services.identifiers import resolve_job_id
from api.services.split_rows import DatasetFile, SplitPage, split_rows_json
from core.store import datasets, jobs
from core.store.errors import NoSuchDataset, NoSuchJob
from core.store.scope import Scope
from core.store.specs import read_text
from core.versions import UnknownVersion

router = Router(prefix="/v1", tags=["jobs"])


@router.get(
    "/jobs/{job_id}/split",
    summary="List the rows of a job's split",
    **operation(NoSuchJob, NoSuchDataset, UnknownVersion, TooMuchWork, ServiceBusy, answer=SplitRows),
)
async def list_split_rows(
    request: Request,
    services: ServicesDep,
    scope: ClientScope,
    job_id: JobId,
    part: Annotated[Split, Query(description="The part of the rows.")] = "validation",
    after: Annotated[int, Query(ge=-1, le=2**53, description="Only rows with a higher number.")] = -1,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Maximum number of rows.")] = 1000,
) -> Response:
    """Return which rows of the job's data train, validate or test. The same spec and data give the same rows."""
    spec, dataset = await services.compute.in_thread(_job_data, services, scope, job_id)
    page = SplitPage(part, after, limit)
    return await services.compute.respond(request, split_rows_json, services.settings, spec, dataset, page)


def _job_data(services: Services, scope: Scope, job_id: str) -> tuple[str, DatasetFile | None]:
    with services.database.read() as s:
        job, spec = jobs.with_spec(s, scope, resolve_job_id(s, scope, job_id))
        row = datasets.get(s, scope, job.dataset_id) if job.dataset_id else None
    return read_text(services.blobs, spec), None if row is None else DatasetFile(row.sha256, row.columns)
