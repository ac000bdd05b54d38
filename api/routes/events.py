"""The route of a job's event stream."""

from typing import Annotated

from fastapi import Header, Request
from starlette.responses import Response

from api.dependencies import ClientScope, ServicesDep
from api.http.openapi import operation
from api.http.parameters import After
from api.http.routes import Router, media_type_of_answer
from api.schemas.examples import JobId
from api.services.identifiers import resolve_job_id
from api.streaming.hub import LogHead
from api.streaming.stream import JSON_LINES, SSE, EventStream
from core.store import jobs
from core.store.errors import NoSuchJob

router = Router(prefix="/v1", tags=["jobs"])

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        max_length=500,
        description="The `id` of the last received event; browsers send it on reconnection.",
    ),
]

STREAMS = {
    200: {
        "description": "The events, until the job has ended.",
        "content": {
            SSE.media_type: {"schema": {}, "example": 'event: metric\ndata: {"seq":1,…}\nid: 1\n\n'},
            JSON_LINES.media_type: {"schema": {}},
        },
    },
    204: {"description": "The job has ended and the client has all of its events: do not reconnect."},
}


@router.get(
    "/jobs/{job_id}/events",
    summary="Stream a job's events",
    response_class=Response,
    **operation(NoSuchJob, responses=STREAMS),
)
def stream_events(
    request: Request,
    services: ServicesDep,
    scope: ClientScope,
    job_id: JobId,
    after: After = 0,
    last_event_id: LastEventId = None,
) -> Response:
    """Stream metrics, status changes and logs as they are stored: server-sent events, or JSON lines.

    `Accept: application/jsonl` selects JSON lines.

    `Last-Event-ID`, or `?after=`, continues without gaps or duplicates. The stream ends after the terminal status.
    """
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 17:
        after = int(last_event_id)
    form = JSON_LINES if media_type_of_answer(request) == JSON_LINES.media_type else SSE
    with services.database.read() as s:
        job = jobs.get(s, scope, resolve_job_id(s, scope, job_id))
    head = LogHead(job.last_seq, job.status)
    if form is SSE and head.ended and after >= head.last_seq:
        return Response(status_code=204)  # the only response after which an EventSource does not reconnect
    return EventStream(services.hub, job.id, head, after, form)
