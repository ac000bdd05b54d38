"""The routes that create, check, list, get and delete jobs.

Every error that can be found in a spec is reported before a row exists. Workers are notified after the commit.
"""

import hashlib
import re
from functools import partial
from typing import Annotated, Any

from fastapi import Query, Request
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask
from starlette.datastructures import QueryParams
from starlette.responses import Response, StreamingResponse

from api.dependencies import ClientScope, ServicesDep
from api.http.body import JsonBody
from api.http.errors import BodyTooLarge, InvalidParameter, ServiceBusy, StorageFull, TooMuchWork, UnsupportedMediaType
from api.http.openapi import operation
from api.http.parameters import Cursor, IdempotencyKey, Limit, Text
from api.http.responses import JsonResponse
from api.http.routes import Router
from api.schemas.estimate import JobEstimate, estimate_view
from api.schemas.examples import JOBS, JobId
from api.schemas.job import Job, JobSummary, job_json, job_summary
from api.schemas.page import Page
from api.services import warm_start
from api.services.identifiers import resolve_job_id
from api.services.job_creation import amounts_of, create_job, insert_job, stored_response
from api.services.spec_check import checked_spec, thread_of
from core.blobs.blobs import CHUNK_BYTES
from core.data.errors import InvalidData
from core.jobs.errors import InvalidSpec
from core.jobs.spec import MAX_METADATA, MAX_METADATA_CHARACTERS, JobSpec
from core.jobs.states import Status
from core.store import jobs, tables, versions
from core.store.errors import (
    BadCursor,
    KeyInProgress,
    KeyReused,
    LimitReached,
    NoSuchJob,
    QueueTooLarge,
    TooManyJobs,
    WrongState,
)
from core.store.specs import PostedSpec
from core.versions import UnknownVersion

router = Router(prefix="/v1", tags=["jobs"])


@router.post(
    "/jobs",
    name="create_job",
    status_code=201,
    summary="Create a job",
    **operation(
        InvalidSpec,
        InvalidData,
        KeyReused,
        KeyInProgress,
        BodyTooLarge,
        UnsupportedMediaType,
        TooManyJobs,
        QueueTooLarge,
        LimitReached,
        UnknownVersion,
        StorageFull,
        ServiceBusy,
        TooMuchWork,
        answer=Job,
        body=JobSpec,
        examples=JOBS,
    ),
)
async def post_job(
    request: Request, services: ServicesDep, scope: ClientScope, body: JsonBody, key: IdempotencyKey = None
) -> Response:
    """Train a network. `Location` in the response is the job's address. An invalid spec is refused at once."""
    in_thread = thread_of(services, body)
    digest = await in_thread(lambda: hashlib.sha256(body.read()).hexdigest())
    first: Response | None = await in_thread(stored_response, services, scope, key, digest) if key else None
    if first is not None:
        return first
    spec, estimate, row, completed = await checked_spec(request, services, scope, body)
    posted = PostedSpec(completed or await in_thread(body.read), row)

    def insert(s: Session, blob: str | None) -> tables.Job:
        origin = warm_start.warm_start_of(s, scope, spec.start_from) if spec.start_from else None
        threads = services.settings.job_threads
        return insert_job(s, scope, spec, estimate, posted, blob, threads=threads, warm_start=origin)

    amounts = amounts_of(estimate, posted)
    created: Response = await in_thread(create_job, services, scope, key, digest, posted, amounts, insert)
    return created


@router.post(
    "/jobs/validate",
    summary="Check a job spec without creating a job",
    **operation(
        InvalidSpec,
        InvalidData,
        UnknownVersion,
        BodyTooLarge,
        ServiceBusy,
        TooMuchWork,
        answer=JobEstimate,
        body=JobSpec,
        examples=JOBS,
    ),
)
async def validate_job(request: Request, services: ServicesDep, scope: ClientScope, body: JsonBody) -> Response:
    """Run the checks of a new job and return its cost: parameters, shapes, memory, and operations per step."""
    estimate = (await checked_spec(request, services, scope, body)).estimate
    return JsonResponse(await thread_of(services, body)(estimate_view, estimate))


_LIST = operation(BadCursor, answer=Page[JobSummary])
_LIST["openapi_extra"] = {
    "parameters": [
        {
            "name": "metadata",
            "in": "query",
            "style": "deepObject",
            "explode": True,
            "schema": {
                "type": "object",
                "maxProperties": MAX_METADATA,
                "additionalProperties": {"type": "string", "maxLength": MAX_METADATA_CHARACTERS},
            },
            "description": "Only jobs with this metadata: `metadata[lesson]=1`.",
        }
    ]
}


@router.get("/jobs", summary="List jobs", **_LIST)
def list_jobs(
    request: Request,
    services: ServicesDep,
    scope: ClientScope,
    status: Annotated[list[Status] | None, Query(max_length=len(Status), description="Repeatable.")] = None,
    name: Text = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """List jobs, newest first. `?metadata[lesson]=1` selects jobs with this metadata; up to 16 keys may be given."""
    metadata = _metadata(request.query_params)
    with services.database.read() as s:
        found, next_cursor = jobs.page(
            s, scope, statuses=status or (), name=name, metadata=metadata, limit=limit, cursor=cursor
        )
        awaited = versions.awaited_versions(s, found)
    items = [job_summary(job, awaited.get(job.id)) for job in found]
    return JsonResponse(Page[JobSummary](items=items, next_cursor=next_cursor))


_METADATA_PARAMETER = re.compile(r"metadata\[([^\0]{1,64})\]")


def _metadata(query: QueryParams) -> dict[str, str]:
    """Return the metadata to select by. Raise `InvalidParameter`."""
    pairs: dict[str, str] = {}
    for name, value in query.multi_items():
        if not name.startswith("metadata["):
            continue
        match = _METADATA_PARAMETER.fullmatch(name)
        if match is None:
            raise InvalidParameter(name, "must be metadata[key], with a key of 1 to 64 characters and no NUL character")
        if len(value) > MAX_METADATA_CHARACTERS or "\0" in value:
            message = f"must have at most {MAX_METADATA_CHARACTERS} characters, as metadata has, and no NUL character"
            raise InvalidParameter(name, message)
        if len(pairs) == MAX_METADATA:
            raise InvalidParameter(name, f"is one too many: select by at most {MAX_METADATA} keys")
        pairs[match[1]] = value
    return pairs


@router.get("/jobs/{job_id}", summary="Get a job", **operation(NoSuchJob, answer=Job))
def get_job(services: ServicesDep, scope: ClientScope, job_id: JobId) -> Response:
    """Return status, progress, metrics, status transitions, and the spec; of a large spec an outline."""
    with services.database.read() as s:
        job, spec = jobs.with_spec(s, scope, resolve_job_id(s, scope, job_id))
        changes = jobs.transitions(s, scope, job.id, up_to=job.last_seq)
        return JsonResponse(job_json(job, changes, spec, versions.awaited_versions(s, [job]).get(job.id)))


@router.get("/jobs/{job_id}/spec", summary="Get a job's spec", **operation(NoSuchJob, answer=dict[str, Any]))
def get_job_spec(services: ServicesDep, scope: ClientScope, job_id: JobId) -> Response:
    """Return the spec as posted, byte for byte."""
    with services.database.read() as s:
        spec = jobs.spec(s, scope, resolve_job_id(s, scope, job_id))
    if spec.sha256 is None:
        return JsonResponse(spec.json)
    services.blobs.fetch_verified(spec.sha256)
    file = services.blobs.open(spec.sha256)
    chunks = iter(partial(file.read, CHUNK_BYTES), b"")
    return StreamingResponse(chunks, media_type=JsonResponse.media_type, background=BackgroundTask(file.close))


@router.delete("/jobs/{job_id}", status_code=204, summary="Delete a job", **operation(NoSuchJob, WrongState))
def delete_job(services: ServicesDep, scope: ClientScope, job_id: JobId) -> Response:
    """Delete an ended job with its metrics, checkpoints and model. Its files are removed a minute or two later."""
    with services.database.begin() as s:
        jobs.delete(s, scope, resolve_job_id(s, scope, job_id))
    return Response(status_code=204)
