"""The routes that change what a job does: cancel, pause, resume, continue."""

import hashlib
import json
from collections.abc import Callable
from typing import Annotated

from fastapi import Query
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.dependencies import ClientScope, Services, ServicesDep
from api.http.body import JsonBody
from api.http.errors import BodyTooLarge, InvalidBody, StorageFull, UnsupportedMediaType
from api.http.openapi import operation
from api.http.parameters import IdempotencyKey
from api.http.parsing import parse
from api.http.responses import JsonResponse
from api.http.routes import Router
from api.schemas.examples import CONTINUATIONS, JobId
from api.schemas.job import Job, job_json
from api.services import warm_start
from api.services.identifiers import resolve_job_id
from api.services.job_creation import amounts_of, create_job, estimate_job, insert_job, stored_response
from core.jobs.continuation import Continuation, merge_training, why_inexact
from core.jobs.errors import InvalidSpec
from core.jobs.estimate import Estimate
from core.jobs.spec import JobSpec, parse_stored
from core.jobs.states import Keep
from core.store import jobs, tables, versions
from core.store.errors import (
    KeyInProgress,
    KeyReused,
    LimitReached,
    NoSuchJob,
    QueueTooLarge,
    TooManyJobs,
    WrongState,
)
from core.store.scope import Scope
from core.store.specs import PostedSpec, read_text
from core.store.warm_starts import continuation_of
from core.versions import UnknownVersion

router = Router(prefix="/v1", tags=["jobs"])

MAX_CONTINUATION_BYTES = 2**16
"""A continuation has the epochs and a few stop rules, so a larger body is a mistake."""


@router.post("/jobs/{job_id}/cancel", summary="Cancel a job", **operation(NoSuchJob, WrongState, answer=Job))
def cancel_job(
    services: ServicesDep,
    scope: ClientScope,
    job_id: JobId,
    keep: Annotated[Keep, Query(description="Which weights to keep for predictions.")] = Keep.LAST,
) -> Response:
    """End the job within one batch. A job that is already cancelled does not change."""
    return _change(services, scope, job_id, lambda s, scope, resolved: jobs.cancel(s, scope, resolved, keep))


@router.post("/jobs/{job_id}/pause", summary="Pause a job", **operation(NoSuchJob, WrongState, answer=Job))
def pause_job(services: ServicesDep, scope: ClientScope, job_id: JobId) -> Response:
    """Write a checkpoint and free the worker."""
    return _change(services, scope, job_id, jobs.pause)


@router.post("/jobs/{job_id}/resume", summary="Resume a job", **operation(NoSuchJob, WrongState, answer=Job))
def resume_job(services: ServicesDep, scope: ClientScope, job_id: JobId) -> Response:
    """Continue from the checkpoint; the result is equal, bit for bit, to a training without the pause."""
    response = _change(services, scope, job_id, jobs.resume)
    services.notifier.notify()
    return response


def _change(
    services: Services, scope: Scope, job_id: str, change: Callable[[Session, Scope, str], tables.Job]
) -> Response:
    with services.database.begin() as s:
        job = change(s, scope, resolve_job_id(s, scope, job_id))
        spec = jobs.spec(s, scope, job.id)
        changes = jobs.transitions(s, scope, job.id, up_to=job.last_seq)
        return JsonResponse(job_json(job, changes, spec, versions.awaited_versions(s, [job]).get(job.id)))


@router.post(
    "/jobs/{job_id}/continue",
    status_code=201,
    summary="Continue an ended job",
    **operation(
        NoSuchJob,
        WrongState,
        InvalidBody,
        InvalidSpec,
        KeyReused,
        KeyInProgress,
        BodyTooLarge,
        UnsupportedMediaType,
        TooManyJobs,
        QueueTooLarge,
        LimitReached,
        UnknownVersion,
        StorageFull,
        answer=Job,
        body=Continuation,
        examples=CONTINUATIONS,
    ),
)
def continue_job(
    services: ServicesDep, scope: ClientScope, job_id: JobId, body: JsonBody, key: IdempotencyKey = None
) -> Response:
    """Train an ended job further, as a new job.

    `exact` in the response says whether the result is equal, bit for bit, to one longer training.
    """
    data = body.read()
    if len(data) > MAX_CONTINUATION_BYTES:
        message = f"has {len(data):,} bytes, more than the {MAX_CONTINUATION_BYTES:,} allowed: send only what changes"
        raise InvalidBody([("", message)])
    digest = hashlib.sha256(f"continue {job_id} ".encode() + data).hexdigest()
    if key and (first := stored_response(services, scope, key, digest)):
        return first
    continuation = parse(Continuation, data)
    with services.database.read() as s:
        before, stored = jobs.with_spec(s, scope, resolve_job_id(s, scope, job_id))
        progress = warm_start.progress(before, warm_start.last_checkpoint(s, scope, before))
    previous = read_text(services.blobs, stored)
    before_spec = parse_stored(previous)
    text = json.dumps(merge_training(json.loads(previous), continuation, progress))
    spec = JobSpec.model_validate_json(text)
    estimate = _estimate_whole_training(services, scope, spec, before.threads)
    reasons = why_inexact(before_spec, spec, progress, estimate.steps)
    posted = PostedSpec.of(text.encode())

    def insert(s: Session, blob: str | None) -> tables.Job:
        origin = continuation_of(before, warm_start.last_checkpoint(s, scope, before), reasons)
        columns = {"warm_start": origin, "threads": before.threads, "owner": before.owner}
        return insert_job(s, scope, spec, estimate, posted, blob, **columns)

    return create_job(services, scope, key, digest, posted, amounts_of(estimate, posted), insert)


def _estimate_whole_training(services: Services, scope: Scope, spec: JobSpec, threads: int) -> Estimate:
    """Return the cost of the old and new training together; pointers of errors are those of the continuation."""
    try:
        return estimate_job(services, scope, spec.model_copy(update={"start_from": None}), threads)
    except InvalidSpec as error:
        errors = [(pointer.removeprefix("/training"), message) for pointer, message in error.errors]
        raise InvalidSpec(errors, error.code, error.more_errors) from None
