"""Creation of jobs: the checks before a row exists, idempotency, admission, and the insert itself."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import Response

from api.dependencies import Services
from api.http.responses import JsonResponse
from api.schemas.job import SPEC_FIELD, job_fields, with_spec
from api.services import warm_start
from api.services.storage_limits import queue_limits, storage_limits
from core.data.errors import InvalidData
from core.data.prepare import signature
from core.data.schema import Schema
from core.jobs.estimate import Estimate, Limits, estimate_cost
from core.jobs.resolve import resolve
from core.jobs.spec import JobSpec
from core.jobs.warm_start import weights_by_layer
from core.settings import Settings
from core.store import admission, datasets, idempotency, jobs, specs, tables, totals, versions
from core.store.errors import NoSuchDataset
from core.store.scope import Scope
from core.store.specs import PostedSpec
from core.store.totals import Amounts


def estimate_job(services: Services, scope: Scope, spec: JobSpec, threads: int | None = None) -> Estimate:
    """Return the cost of a job with this many threads (None: those of a new job).

    Raises
    ------
    InvalidData, InvalidSpec
        With every error in the spec.
    """
    settings = services.settings
    dataset_id = spec.data.dataset_id
    schema = None if dataset_id is None else dataset_schema(services, scope, dataset_id)
    data_signature = signature(spec.data, schema)
    estimate = estimate_cost(spec, data_signature, limits_of(settings), threads or settings.job_threads)
    if spec.start_from:
        weights = weights_by_layer(resolve(spec, data_signature).network)
        warm_start.require_same_weights(services, scope, spec.start_from, weights)
    return estimate


def limits_of(settings: Settings) -> Limits:
    """Return the limits of the service on one job."""
    return Limits(
        parameters=settings.max_parameters,
        memory=settings.max_memory_bytes,
        flops=settings.max_flops,
        rows=settings.max_job_rows,
    )


def dataset_schema(services: Services, scope: Scope, dataset_id: str) -> Schema:
    """Return the schema of a job's dataset. Raise `InvalidData` if there is none."""
    try:
        with services.database.read() as s:
            return Schema.from_json(datasets.get(s, scope, dataset_id).columns)
    except NoSuchDataset:
        raise InvalidData(
            "/data/id",
            f"there is no dataset {dataset_id!r}: POST /v1/datasets creates one, GET /v1/datasets lists them",
        ) from None


def create_job(
    services: Services,
    scope: Scope,
    key: str | None,
    digest: str,
    posted: PostedSpec,
    new: Amounts,
    insert: Callable[[Session, str | None], tables.Job],
) -> Response:
    """Insert the job and store the response under its idempotency key in one transaction; then notify the workers.

    Whether there is room is checked before a large spec is stored as a blob, whose sha256 `insert` gets, and again in
    the transaction.

    Raises
    ------
    TooManyJobs, QueueTooLarge, LimitReached
        If there is no room for the job, which has the amounts `new`.
    """
    queue, limits = queue_limits(services.settings), storage_limits(services.settings)
    with services.database.read() as s:
        admission.require_place(s, scope, queue, new.spec_bytes)
        totals.require_room(s, scope, limits, new)
    blob = specs.put(services.blobs, posted)
    with services.database.begin() as s:
        if key and (first := _stored(s, scope, key, digest)):
            return first
        admission.admit(s, scope, queue, new.spec_bytes)
        job = insert(s, blob)
        totals.require_room(s, scope, limits, totals.of_job(job), owner=job.owner, counted=True)
        spec = jobs.spec(s, scope, job.id)
        awaited = versions.awaited_versions(s, [job]).get(job.id)
        fields = job_fields(job, jobs.transitions(s, scope, job.id), spec, awaited)
        if key:
            idempotency.store_response(s, scope, key, job_id=job.id, status=201, response=fields)
    services.notifier.notify()
    return JsonResponse(with_spec(fields, spec), status_code=201, headers={"Location": f"/v1/jobs/{job.id}"})


def stored_response(services: Services, scope: Scope, key: str, digest: str) -> Response | None:
    """Return the first response under this idempotency key, or None.

    Call it before the checks of a spec: a spec that passed them then can fail them now, if its dataset is deleted.
    """
    with services.database.begin() as s:
        first = _stored(s, scope, key, digest)
        s.rollback()
    return first


def _stored(s: Session, scope: Scope, key: str, digest: str) -> Response | None:
    """Reserve a new key and return None, or return the first response under the key.

    It is stored without the spec, which is read from its own row; the key is deleted with its job.
    """
    first = idempotency.reserve(s, scope, key, digest)
    if first is None:
        return None
    body = first.response
    if body.endswith(SPEC_FIELD):  # otherwise it was stored by a version from before migration 0007, with the spec
        body = with_spec(body, jobs.spec(s, scope, first.job_id or ""))
    headers = {"Location": f"/v1/jobs/{first.job_id}", "Idempotency-Replayed": "true"}
    return JsonResponse(body, status_code=first.status, headers=headers)


def amounts_of(estimate: Estimate, posted: PostedSpec) -> Amounts:
    """Return what a new job counts for, without a checkpoint that it starts from."""
    return Amounts(1, len(posted.text), estimate.checkpoint_bytes, estimate.metric_rows)


def insert_job(
    s: Session,
    scope: Scope,
    spec: JobSpec,
    estimate: Estimate,
    posted: PostedSpec,
    blob: str | None,
    **fields: Any,
) -> tables.Job:
    """Insert the row of a job; `blob` has its spec as posted where that is large, `fields` are further columns."""
    return jobs.insert(
        s,
        scope,
        name=spec.name,
        spec=posted.row,
        blob=blob,
        spec_bytes=len(posted.text),
        checkpoint_bytes=estimate.checkpoint_bytes,
        metric_rows=estimate.metric_rows,
        warnings=estimate.warnings,
        metadata=dict(spec.metadata),
        epochs=spec.training.epochs,
        steps=estimate.steps,
        memory_bytes=estimate.bytes,
        priority=spec.priority,
        dataset_id=spec.data.dataset_id,
        **fields,
    )
