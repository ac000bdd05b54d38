"""The route that predicts with a job's model, also while the job trains.

Instances are raw records; predictions are in the target's own values.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
import structlog
from fastapi import APIRouter, Query, Request
from numpy.typing import NDArray
from starlette.responses import Response

from api.dependencies import Services, scope_of
from api.http.body import RawBody, media_type, parse
from api.http.errors import BodyTooLarge, InvalidBody, JobNotTrained, UnsupportedMediaType
from api.http.openapi import operation
from api.http.responses import JsonResponse
from api.schemas.examples import INSTANCES, JobId
from api.schemas.prediction import PredictionRequest, Predictions
from api.services.identifiers import resolve_job_id
from api.services.model_cache import UNREADABLE_CHECKPOINT
from core.data.errors import InvalidFile, InvalidInstance
from core.data.instances import instances_from_csv, instances_from_npy
from core.ids import is_id
from core.jobs.states import Keep
from core.models.checkpoint import Which
from core.models.model import Model
from core.store import checkpoints
from core.store.errors import NoSuchJob
from core.store.predictions import ServingCheckpoint, serving_checkpoint
from core.store.scope import Scope
from core.versions import UnknownVersion

router = APIRouter(prefix="/v1", tags=["jobs"])

log = structlog.get_logger("api")

Records = list[Any] | NDArray[Any]


def _instances_from_json(body: bytes) -> Records:
    return parse(PredictionRequest, body).instances


PARSERS: Mapping[str, Callable[[bytes], Records]] = {
    "application/json": _instances_from_json,
    "text/csv": instances_from_csv,
    "application/x-npy": instances_from_npy,
}

BODIES = {
    "text/csv": {"schema": {"type": "string"}, "example": "6\n7\n"},
    "application/x-npy": {"schema": {"type": "string", "format": "binary"}},
}


@router.post(
    "/jobs/{job_id}/predictions",
    summary="Predict with a job's model",
    **operation(
        NoSuchJob,
        JobNotTrained,
        UnknownVersion,
        InvalidBody,
        InvalidInstance,
        InvalidFile,
        UnsupportedMediaType,
        BodyTooLarge,
        answer=Predictions,
        body=PredictionRequest,
        examples=INSTANCES,
        content=BODIES,
    ),
)
def predict_with_job(
    request: Request,
    job_id: JobId,
    body: RawBody,
    weights: Annotated[
        Which | None, Query(description="Which weights of the checkpoint to use; by default those that the job keeps.")
    ] = None,
) -> Response:
    """Predict with the job's newest checkpoint. Instances are raw records: the model encodes them."""
    services: Services = request.app.state.services  # as a dependency it would cost more than the network
    scope = scope_of(request)
    instances = _parse_instances(media_type(request), body)
    if not is_id("job", job_id):
        with services.database.read() as s:
            job_id = resolve_job_id(s, scope, job_id)
    with services.database.read_connection() as connection:
        job = serving_checkpoint(connection, scope, job_id)
    which: Which = weights or ("last" if job.keep is Keep.LAST else "best")
    if job.checkpoint_id is None or job.sha256 is None or job.keep is Keep.NONE:
        raise JobNotTrained(job.job_id, job.status)
    checkpoint = {"id": job.checkpoint_id, "step": job.step, "epoch": job.epoch}
    try:
        model = services.models.get(job.sha256, which)
    except UNREADABLE_CHECKPOINT as error:
        model, checkpoint = _fallback_model(services, scope, job, which, error)
    return JsonResponse({"predictions": model.predict(instances), "checkpoint": checkpoint})


def _fallback_model(
    services: Services, scope: Scope, job: ServingCheckpoint, which: Which, error: Exception
) -> tuple[Model, dict[str, Any]]:
    """Return the model of the next checkpoint: a running training has just pruned the newest, or it is damaged."""
    log.warning("cannot read a checkpoint", checkpoint=job.checkpoint_id, job=job.job_id, reason=str(error))
    with services.database.read() as s:
        others = [row for row in checkpoints.of_job(s, scope, job.job_id) if row.sha256 != job.sha256]
    if not others:
        raise error
    checkpoint = {"id": others[0].id, "step": others[0].step, "epoch": others[0].epoch}
    return services.models.get(others[0].sha256, which), checkpoint


def _parse_instances(media_type: str, body: bytes) -> Records:
    parser = PARSERS.get(media_type)
    if parser is None:
        raise UnsupportedMediaType(media_type, list(PARSERS))
    instances = parser(body)
    if isinstance(instances, np.ndarray) and not instances.shape:
        raise InvalidBody([("", "is a single number: send an array of rows")])
    return instances
