"""Creation of jobs: the checks before a row exists, idempotency, admission, and the insert itself."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import Response

from api.dependencies import Services
from api.http.responses import JsonResponse
from api.schemas.job import job_json
from api.services import warm_start
from core.data.errors import InvalidData
from core.data.prepare import signature
from core.data.schema import Schema
from core.jobs.estimate import Estimate, Limits, estimate_cost
from core.jobs.resolve import resolve
from core.jobs.spec import JobSpec
from core.jobs.warm_start import weights_by_layer
from core.settings import Settings
from core.store import admission, datasets, idempotency, jobs, tables, versions
from core.store.errors import NoSuchDataset
from core.store.scope import Scope


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
    return Limits(parameters=settings.max_parameters, memory=settings.max_memory_bytes, flops=settings.max_flops)


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
    services: Services, scope: Scope, key: str | None, digest: str, insert: Callable[[Session], tables.Job], spec: str
) -> Response:
    """Insert the job and store the response under its idempotency key in one transaction; then notify the workers."""
    with services.database.begin() as s:
        if key and (first := idempotency.reserve(s, scope, key, digest)):
            return _replay(first)
        admission.admit(s, scope, services.settings.max_queued)
        job = insert(s)
        awaited = versions.awaited_versions(s, [job]).get(job.id)
        body = job_json(job, jobs.transitions(s, scope, job.id), spec, awaited)
        if key:
            idempotency.store_response(s, scope, key, job_id=job.id, status=201, response=body)
    services.notifier.notify()
    return JsonResponse(body, status_code=201, headers={"Location": f"/v1/jobs/{job.id}"})


def stored_response(services: Services, scope: Scope, key: str, digest: str) -> Response | None:
    """Return the first response under this idempotency key, or None.

    Call it before the checks of a spec: a spec that passed them then can fail them now, if its dataset is deleted.
    """
    with services.database.begin() as s:
        first = idempotency.reserve(s, scope, key, digest)
        s.rollback()
    return _replay(first) if first else None


def _replay(first: idempotency.StoredResponse) -> Response:
    headers = {"Location": f"/v1/jobs/{first.job_id}", "Idempotency-Replayed": "true"}
    return JsonResponse(first.response, status_code=first.status, headers=headers)


def insert_job(s: Session, scope: Scope, spec: JobSpec, estimate: Estimate, text: str, **fields: Any) -> tables.Job:
    """Insert the row of a job; `text` is its spec as posted, `fields` are further columns."""
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
        dataset_id=spec.data.dataset_id,
        **fields,
    )
