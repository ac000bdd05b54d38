"""The route that asks a job's net: raw records in, answers in the target's own words out, also while it trains."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
import structlog
from fastapi import APIRouter, Query, Request
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api import views
from api.body import RawBody, media_type, parse
from api.examples import INSTANCES, JobId
from api.jobs import known
from api.openapi import operation
from api.problems import BodyTooLarge, InvalidBody, JobNotTrained, UnsupportedMediaType
from api.replies import Json
from api.services import Service, Services
from core.blobs import DamagedBlob, NoSuchBlob
from core.data.errors import InvalidFile, InvalidInstance
from core.data.instances import instances_from_csv, instances_from_npy
from core.jobs.states import Keep
from core.models.checkpoint import DamagedCheckpoint
from core.models.model import Model, Which
from core.store import checkpoints, jobs, tables
from core.store.errors import NoSuchJob

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
    services: Service,
    job_id: JobId,
    body: RawBody,
    weights: Annotated[Keep | None, Query(description="`best` or `last`; else those that the job keeps.")] = None,
) -> Response:
    """Predict with the job's latest checkpoint. Records are raw: scaling and categories travel in the model."""
    records = _records(media_type(request), body)
    with services.sessions.read() as s:
        job = jobs.get(s, known(s, job_id))
        newest = checkpoints.latest(s, job.id)
    which = weights or job.keep or Keep.BEST
    if newest is None or Keep.NONE in {which, job.keep}:
        raise JobNotTrained(job.id, job.status)
    checkpoint, model = _model(services, newest, "best" if which is Keep.BEST else "last")
    source = {"id": checkpoint.id, "step": checkpoint.step, "epoch": checkpoint.epoch}
    return Json({"predictions": model.predict(records), "checkpoint": source})


def _model(services: Services, newest: tables.Checkpoint, which: Which) -> tuple[tables.Checkpoint, Model]:
    """The newest model that can be read.

    The file of the newest may just have been pruned by a training that went on, or be damaged: then the next is taken.
    """
    try:
        return newest, services.models.get(newest.sha256, which)
    except UNREADABLE as error:
        with services.sessions.read() as s:
            others = [row for row in checkpoints.of_job(s, newest.job_id) if row.sha256 != newest.sha256]
        if not others:
            raise
        log.warning(
            "cannot read a checkpoint: taking another", checkpoint=newest.id, job=newest.job_id, reason=str(error)
        )
        return others[0], services.models.get(others[0].sha256, which)


def _records(kind: str, body: bytes) -> Records:
    reader = READERS.get(kind or "application/json")
    if reader is None:
        raise UnsupportedMediaType(kind, list(READERS))
    records = reader(body)
    if isinstance(records, np.ndarray) and not records.shape:
        raise InvalidBody([("", "is a single number: send an array of rows")])
    return records
