"""The route that predicts with a job's model, also while the job trains.

Instances are raw records; predictions are in the target's own values.
"""

from typing import Annotated

import structlog
from fastapi import Query, Request
from starlette.responses import Response

from api.dependencies import Services, scope_of
from api.http.body import RawBody, media_type
from api.http.errors import (
    BodyTooLarge,
    InvalidBody,
    JobNotTrained,
    ServiceBusy,
    TooMuchWork,
    UnsupportedMediaType,
)
from api.http.openapi import operation
from api.http.routes import Router, media_type_of_answer
from api.schemas.examples import INSTANCES, JobId
from api.schemas.prediction import PredictionRequest, Predictions
from api.services.identifiers import resolve_job_id
from api.services.model_cache import UNREADABLE_CHECKPOINT
from api.services.prediction import FILE_TYPES, PredictionBody, Weights, predict, predict_if_small, require_parser
from core.data.errors import InvalidFile, InvalidInstance
from core.ids import is_id
from core.jobs.states import Keep
from core.models.checkpoint import Which
from core.store import checkpoints
from core.store.errors import NoSuchJob
from core.store.predictions import serving_checkpoint
from core.store.scope import Scope
from core.versions import UnknownVersion

router = Router(prefix="/v1", tags=["jobs"])

log = structlog.get_logger("api")

BODIES = {
    "text/csv": {"schema": {"type": "string"}, "example": "6\n7\n"},
    "text/plain": {"schema": {"type": "string", "format": "binary"}},
    **{media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in FILE_TYPES},
    "application/x-npy": {"schema": {"type": "string", "format": "binary"}},
}

CSV_ANSWER = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}, "example": "value,warnings\r\n12.0,\r\n"}}},
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
        TooMuchWork,
        ServiceBusy,
        answer=Predictions,
        body=PredictionRequest,
        examples=INSTANCES,
        content=BODIES,
        responses=CSV_ANSWER,
    ),
)
async def predict_with_job(
    request: Request,
    job_id: JobId,
    body: RawBody,
    weights: Annotated[
        Which | None, Query(description="Which weights of the checkpoint to use; by default those that the job keeps.")
    ] = None,
) -> Response:
    """Predict with the job's newest checkpoint. Instances are raw records: the model encodes them.

    `Accept: text/csv` selects CSV: a header and one line per instance, with columns such as `probabilities.yes`.
    """
    services: Services = request.app.state.services  # as a dependency it would cost more than the network
    scope, content = scope_of(request), PredictionBody(media_type(request), body, media_type_of_answer(request))
    require_parser(content.media_type)
    found, answer = await services.compute.in_thread(_predict_if_small, services, scope, job_id, weights, content)
    if answer is not None:
        return Response(answer, media_type=content.answer_type)
    try:
        return await services.compute.respond(
            request, predict, services.settings, found, content, media_type=content.answer_type
        )
    except UNREADABLE_CHECKPOINT as error:
        other = await services.compute.in_thread(_other_weights, services, scope, found, error)
        return await services.compute.respond(
            request, predict, services.settings, other, content, media_type=content.answer_type
        )


def _predict_if_small(
    services: Services, scope: Scope, job_id: str, which: Which | None, content: PredictionBody
) -> tuple[Weights, bytes | None]:
    """Return the job's weights, and the answer if the prediction is small."""
    found = _newest_weights(services, scope, job_id, which)
    try:
        return found, predict_if_small(services.models, found, content)
    except UNREADABLE_CHECKPOINT as error:
        other = _other_weights(services, scope, found, error)
        return other, predict_if_small(services.models, other, content)


def _newest_weights(services: Services, scope: Scope, job_id: str, which: Which | None) -> Weights:
    """Return the weights that the job predicts with. Raise `NoSuchJob` or `JobNotTrained`."""
    if not is_id("job", job_id):
        with services.database.read() as s:
            job_id = resolve_job_id(s, scope, job_id)
    with services.database.read_connection() as connection:
        job = serving_checkpoint(connection, scope, job_id)
    if job.checkpoint_id is None or job.sha256 is None or job.keep is Keep.NONE:
        raise JobNotTrained(job.job_id, job.status)
    checkpoint = {"id": job.checkpoint_id, "step": job.step, "epoch": job.epoch}
    kept: Which = which or ("last" if job.keep is Keep.LAST else "best")
    return Weights(job.job_id, job.sha256, job.bytes or 0, kept, checkpoint)


def _other_weights(services: Services, scope: Scope, found: Weights, error: Exception) -> Weights:
    """Return the next checkpoint's weights: a running training has just pruned the newest, or it is damaged."""
    log.warning("cannot read a checkpoint", checkpoint=found.checkpoint["id"], job=found.job_id, reason=str(error))
    with services.database.read() as s:
        others = [row for row in checkpoints.of_job(s, scope, found.job_id) if row.sha256 != found.sha256]
    if not others:
        raise error
    checkpoint = {"id": others[0].id, "step": others[0].step, "epoch": others[0].epoch}
    return found._replace(sha256=others[0].sha256, bytes=others[0].bytes, checkpoint=checkpoint)
