"""The routes of jobs: post, check, list, look, cancel, pause, resume, continue, delete.

Whatever can be known to be wrong with a spec is refused before a row exists; the bell is rung after the commit.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.dependencies import ClientScope, Service, Services
from api.http.body import JsonBody, parse
from api.http.openapi import operation
from api.http.parameters import Cursor, Limit, Text
from api.http.problems import BodyTooLarge, InvalidBody, InvalidParameter, StorageFull, UnsupportedMediaType
from api.http.responses import JsonResponse
from api.schemas import views
from api.schemas.examples import CONTINUATIONS, JOBS, JobId
from api.services import warm_start
from api.services.warm_start import known
from core.data.errors import InvalidData
from core.data.prepare import signature
from core.data.schema import Schema
from core.data.sources.source import DatasetReference
from core.jobs.continuation import Continuation, merge_training, why_inexact
from core.jobs.resolve import Estimate, InvalidSpec, Limits, check
from core.jobs.spec import JobSpec
from core.jobs.states import Keep, Status
from core.store import admission, checkpoints, datasets, idempotency, jobs, tables
from core.store.errors import BadCursor, KeyInProgress, KeyReused, NoSuchDataset, NoSuchJob, TooManyJobs, WrongState
from core.store.scope import Scope
from core.store.warm_starts import continuing

router = APIRouter(prefix="/v1", tags=["jobs"])

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="Any text of your own; the same key with the same body gives the first answer again.",
    ),
]


def _made(job: tables.Job, body: str) -> Response:
    return JsonResponse(body, status_code=201, headers={"Location": f"/v1/jobs/{job.id}"})


@router.post(
    "/jobs",
    status_code=201,
    summary="Post a job",
    **operation(
        InvalidSpec,
        InvalidData,
        KeyReused,
        KeyInProgress,
        BodyTooLarge,
        UnsupportedMediaType,
        TooManyJobs,
        StorageFull,
        answer=views.Job,
        body=JobSpec,
        examples=JOBS,
    ),
)
def post(services: Service, scope: ClientScope, body: JsonBody, key: Key = None) -> Response:
    """Train a net: the answer says where to watch it. Everything that can be known to be wrong is refused here."""
    digest = hashlib.sha256(body).hexdigest()
    if key and (first := _first_answer(services, scope, key, digest)):
        return first
    spec = parse(JobSpec, body, code="invalid_spec")
    estimate = checked(services, scope, spec)

    def insert(s: Session) -> tables.Job:
        origin = warm_start.warm(s, scope, spec.start_from) if spec.start_from else None
        return _insert(s, scope, spec, estimate, body.decode(), threads=services.settings.job_threads, origin=origin)

    return _make(services, scope, key, digest, insert, body.decode())


def _make(
    services: Services,
    scope: Scope,
    key: str | None,
    digest: str,
    insert: Callable[[Session], tables.Job],
    spec: str,
) -> Response:
    """Make the job, and keep the answer under its key, in one transaction; then ring."""
    with services.database.begin() as s:
        if key and (again := idempotency.reserve(s, scope, key, digest)):
            return _again(again)
        admission.admit(s, scope, services.settings.max_queued)
        job = insert(s)
        answer = views.job_json(job, jobs.transitions(s, scope, job.id), spec)
        if key:
            idempotency.keep(s, scope, key, job_id=job.id, status=201, response=answer)
    services.notifier.notify()
    return _made(job, answer)


def _first_answer(services: Services, scope: Scope, key: str, digest: str) -> Response | None:
    """The first answer under this key, asked before any check: what was true for it then need not be true now."""
    with services.database.begin() as s:
        first = idempotency.reserve(s, scope, key, digest)
        s.rollback()
    return _again(first) if first else None


def _again(first: idempotency.Answer) -> Response:
    headers = {"Location": f"/v1/jobs/{first.job_id}", "Idempotency-Replayed": "true"}
    return JsonResponse(first.response, status_code=first.status, headers=headers)


def _insert(s: Session, scope: Scope, spec: JobSpec, estimate: Estimate, text: str, **given: Any) -> tables.Job:
    return jobs.insert(
        s,
        scope,
        name=spec.name,
        spec=text,
        metadata=dict(spec.metadata),
        epochs=spec.training.epochs,
        steps=estimate.steps,
        memory_bytes=estimate.bytes,
        priority=spec.priority,
        dataset_id=spec.data.id if isinstance(spec.data, DatasetReference) else None,
        **given,
    )


@router.post(
    "/jobs/validate",
    summary="Check a job without posting it",
    **operation(InvalidSpec, InvalidData, BodyTooLarge, answer=views.Checked, body=JobSpec, examples=JOBS),
)
def validate(services: Service, scope: ClientScope, body: JsonBody) -> Response:
    """The same checks as for a job, and what it would cost: parameters, shapes, bytes and operations a step."""
    return JsonResponse(views.checked_view(checked(services, scope, parse(JobSpec, body, code="invalid_spec"))))


def checked(services: Services, scope: Scope, spec: JobSpec, threads: int | None = None) -> Estimate:
    """What this job costs, with so many threads; None: those of a new job.

    Raises `InvalidData` or `InvalidSpec` for all that is wrong with it.
    """
    settings = services.settings
    limits = Limits(parameters=settings.max_parameters, memory=settings.max_memory_bytes, flops=settings.max_flops)
    sized = signature(spec.data, _schema(services, scope, spec))
    estimate = check(spec, sized, limits, threads or settings.job_threads)
    if spec.start_from:
        warm_start.require_same_weights(services, scope, spec.start_from, spec, sized)
    return estimate


def _schema(services: Services, scope: Scope, spec: JobSpec) -> Schema | None:
    if not isinstance(spec.data, DatasetReference):
        return None
    try:
        with services.database.read() as s:
            return Schema.from_json(datasets.get(s, scope, spec.data.id).columns)
    except NoSuchDataset:
        raise InvalidData(
            "/data/id",
            f"there is no dataset {spec.data.id!r}: POST /v1/datasets makes one, GET /v1/datasets lists them",
        ) from None


@router.get("/jobs", summary="List jobs", **operation(BadCursor, answer=views.Page[views.JobSummary]))
def listed(
    request: Request,
    services: Service,
    scope: ClientScope,
    status: Annotated[list[Status] | None, Query(description="Repeatable.")] = None,
    name: Text = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """All jobs, newest first. `?metadata[lesson]=1` asks for those that carry this pair."""
    wanted = _metadata(request.query_params)
    with services.database.read() as s:
        found, following = jobs.page(
            s, scope, statuses=status or (), name=name, metadata=wanted, limit=limit, cursor=cursor
        )
    items = [views.JobSummary(**views.summary(job)) for job in found]
    return JsonResponse(views.Page[views.JobSummary](items=items, next_cursor=following))


_PAIR = re.compile(r"metadata\[([^\0]{1,64})\]")
_PARAMETERS = frozenset({"status", "name", "limit", "cursor"})


def _metadata(query: Mapping[str, str]) -> dict[str, str]:
    pairs = {}
    for name, value in query.items():
        match = _PAIR.fullmatch(name)
        if match and "\0" not in value:
            pairs[match[1]] = value
        elif name not in _PARAMETERS:
            raise InvalidParameter(name, "is not known here: use status, name, limit, cursor or metadata[key]")
    return pairs


@router.get("/jobs/{job_id}", summary="Look at a job", **operation(NoSuchJob, answer=views.Job))
def get(services: Service, scope: ClientScope, job_id: JobId) -> Response:
    """Status, progress, metrics, every change of status, and the spec as it was posted."""
    with services.database.read() as s:
        return _reply(s, scope, *jobs.with_spec(s, scope, known(s, scope, job_id)))


def _reply(s: Session, scope: Scope, job: tables.Job, spec: str) -> Response:
    return JsonResponse(views.job_json(job, jobs.transitions(s, scope, job.id, up_to=job.last_seq), spec))


@router.post("/jobs/{job_id}/cancel", summary="Cancel a job", **operation(NoSuchJob, WrongState, answer=views.Job))
def cancel(
    services: Service,
    scope: ClientScope,
    job_id: JobId,
    keep: Annotated[Keep, Query(description="Which weights to keep for predictions.")] = Keep.LAST,
) -> Response:
    """End it within one batch. A job that was cancelled before stays as it is."""
    return _changed(services, scope, job_id, lambda s, scope, one: jobs.cancel(s, scope, one, keep))


@router.post("/jobs/{job_id}/pause", summary="Pause a job", **operation(NoSuchJob, WrongState, answer=views.Job))
def pause(services: Service, scope: ClientScope, job_id: JobId) -> Response:
    """Write a checkpoint and give the worker back."""
    return _changed(services, scope, job_id, jobs.pause)


@router.post("/jobs/{job_id}/resume", summary="Resume a job", **operation(NoSuchJob, WrongState, answer=views.Job))
def resume(services: Service, scope: ClientScope, job_id: JobId) -> Response:
    """Go on from the checkpoint, bit for bit."""
    answer = _changed(services, scope, job_id, jobs.resume)
    services.notifier.notify()
    return answer


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
        StorageFull,
        answer=views.Job,
        body=Continuation,
        examples=CONTINUATIONS,
    ),
)
def continue_(services: Service, scope: ClientScope, job_id: JobId, body: JsonBody, key: Key = None) -> Response:
    """Train on from where it ended, in a new job: its `exact` says whether to the bit as one long training."""
    digest = hashlib.sha256(f"continue {job_id} ".encode() + body).hexdigest()
    if key and (first := _first_answer(services, scope, key, digest)):
        return first
    continuation = parse(Continuation, body)
    with services.database.read() as s:
        before, posted = jobs.with_spec(s, scope, known(s, scope, job_id))
        progress = warm_start.progress(before, warm_start.last_of(s, scope, before))
    old, text = (
        JobSpec.model_validate_json(posted),
        json.dumps(merge_training(json.loads(posted), continuation, progress)),
    )
    spec = JobSpec.model_validate_json(text)
    estimate = _checked_whole(services, scope, spec, before.threads)
    reasons = why_inexact(old, spec, progress, estimate.steps)

    def insert(s: Session) -> tables.Job:
        origin = continuing(before, warm_start.last_of(s, scope, before), reasons)
        return _insert(s, scope, spec, estimate, text, origin=origin, threads=before.threads, owner=before.owner)

    return _make(services, scope, key, digest, insert, text)


def _checked_whole(services: Services, scope: Scope, spec: JobSpec, threads: int) -> Estimate:
    """What the whole training costs; what is wrong with it is told by its place in the continuation."""
    try:
        return checked(services, scope, spec.model_copy(update={"start_from": None}), threads)
    except InvalidSpec as error:
        places = [(place.removeprefix("/training"), message) for place, message in error.errors]
        raise InvalidSpec(places, error.code) from None


def _changed(
    services: Services, scope: Scope, job_id: str, change: Callable[[Session, Scope, str], tables.Job]
) -> Response:
    with services.database.begin() as s:
        job = change(s, scope, known(s, scope, job_id))
        return _reply(s, scope, job, jobs.spec(s, scope, job.id))


@router.delete("/jobs/{job_id}", status_code=204, summary="Delete a job", **operation(NoSuchJob, WrongState))
def delete(services: Service, scope: ClientScope, job_id: JobId) -> Response:
    """An ended job with its metrics, checkpoints and model. Its files go a minute or two later."""
    with services.database.begin() as s:
        jobs.delete(s, scope, known(s, scope, job_id))
    return Response(status_code=204)


@router.get(
    "/jobs/{job_id}/checkpoints",
    summary="List a job's checkpoints",
    **operation(NoSuchJob, answer=views.Page[views.Checkpoint]),
)
def listed_checkpoints(services: Service, scope: ClientScope, job_id: JobId) -> Response:
    """The states that it can go on from or predict with, newest first. A job keeps a few, so they are one page."""
    with services.database.read() as s:
        job = jobs.get(s, scope, known(s, scope, job_id))
        found = checkpoints.of_job(s, scope, job.id)
    items = [views.checkpoint_view(row) for row in found]
    return JsonResponse(views.Page[views.Checkpoint](items=items, next_cursor=None))
