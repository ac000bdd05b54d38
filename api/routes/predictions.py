"""The route that asks a job's net: raw records in, answers in the target's own words out, also while it trains."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
import structlog
from fastapi import APIRouter, Query, Request
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.dependencies import Services, scope_of
from api.http.body import RawBody, media_type, parse
from api.http.openapi import operation
from api.http.problems import BodyTooLarge, InvalidBody, JobNotTrained, UnsupportedMediaType
from api.http.responses import JsonResponse
from api.schemas import views
from api.schemas.examples import INSTANCES, JobId
from api.services.warm_start import known
from core.blobs.folder import DamagedBlob, NoSuchBlob
from core.data.errors import InvalidFile, InvalidInstance
from core.data.instances import instances_from_csv, instances_from_npy
from core.ids import is_id
from core.jobs.states import Keep
from core.models.checkpoint import DamagedCheckpoint, Which
from core.models.model import Model
from core.store import checkpoints
from core.store.errors import NoSuchJob
from core.store.predictions import Serving, serving
from core.store.scope import Scope

router = APIRouter(prefix="/v1", tags=["jobs"])

log = structlog.get_logger("api")

UNREADABLE = (NoSuchBlob, DamagedBlob, DamagedCheckpoint)

Records = list[Any] | NDArray[Any]


class Instances(BaseModel):
    """What to predict."""

    model_config = ConfigDict(extra="forbid")

    instances: list[Any] = Field(
        min_length=1, description="Records as they stood in the data: objects by column, or (nested) lists of numbers."
    )


def _json(body: bytes) -> Records:
    return parse(Instances, body).instances


READERS: Mapping[str, Callable[[bytes], Records]] = {
    "application/json": _json,
    "text/csv": instances_from_csv,
    "application/x-npy": instances_from_npy,
}

BODIES = {
    "text/csv": {"schema": {"type": "string"}, "example": "6\n7\n"},
    "application/x-npy": {"schema": {"type": "string", "format": "binary"}},
}


@router.post(
    "/jobs/{job_id}/predictions",
    summary="Ask a job's net",
    **operation(
        NoSuchJob,
        JobNotTrained,
        InvalidBody,
        InvalidInstance,
        InvalidFile,
        UnsupportedMediaType,
        BodyTooLarge,
        answer=views.Predictions,
        body=Instances,
        examples=INSTANCES,
        content=BODIES,
    ),
)
def predict(
    request: Request,
    job_id: JobId,
    body: RawBody,
    weights: Annotated[Which | None, Query(description="Which weights; else those that the job keeps.")] = None,
) -> Response:
    """Predict with the job's latest checkpoint. Records are raw: scaling and categories travel in the model."""
    services: Services = request.app.state.services  # as a dependency it would cost more than the net
    scope = scope_of(request)
    records = _records(media_type(request), body)
    if not is_id("job", job_id):
        with services.database.read() as s:
            job_id = known(s, scope, job_id)
    with services.database.ask() as connection:
        job = serving(connection, scope, job_id)
    which: Which = weights or ("last" if job.keep is Keep.LAST else "best")
    if job.checkpoint_id is None or job.sha256 is None or job.keep is Keep.NONE:
        raise JobNotTrained(job.job_id, job.status)
    source = {"id": job.checkpoint_id, "step": job.step, "epoch": job.epoch}
    try:
        model = services.models.get(job.sha256, which)
    except UNREADABLE as error:
        model, source = _another(services, scope, job, which, error)
    return JsonResponse({"predictions": model.predict(records), "checkpoint": source})


def _another(
    services: Services, scope: Scope, job: Serving, which: Which, error: Exception
) -> tuple[Model, dict[str, Any]]:
    """The model of another checkpoint: the newest's file was just pruned by a training that went on, or is damaged."""
    log.warning("cannot read a checkpoint", checkpoint=job.checkpoint_id, job=job.job_id, reason=str(error))
    with services.database.read() as s:
        others = [row for row in checkpoints.of_job(s, scope, job.job_id) if row.sha256 != job.sha256]
    if not others:
        raise error
    source = {"id": others[0].id, "step": others[0].step, "epoch": others[0].epoch}
    return services.models.get(others[0].sha256, which), source


def _records(kind: str, body: bytes) -> Records:
    reader = READERS.get(kind or "application/json")
    if reader is None:
        raise UnsupportedMediaType(kind, list(READERS))
    records = reader(body)
    if isinstance(records, np.ndarray) and not records.shape:
        raise InvalidBody([("", "is a single number: send an array of rows")])
    return records
