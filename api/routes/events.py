"""The routes of a job's log: its metrics as pages or as a chart's points, and all its events as a stream."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.sse import format_sse_event
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.dependencies import ClientScope, Service
from api.http.openapi import operation
from api.http.parameters import Text
from api.http.responses import JsonResponse
from api.schemas import views
from api.schemas.examples import JobId
from api.services.warm_start import known
from api.streaming.downsample import Thinned
from api.streaming.hub import Head, Row
from api.streaming.stream import LINES, SSE, EventStream
from core.store import events, jobs
from core.store.database import Database
from core.store.errors import NoSuchJob
from core.store.events import EventRow
from core.store.scope import EVERYTHING, Scope

router = APIRouter(prefix="/v1", tags=["jobs"])

After = Annotated[int, Query(ge=0, le=2**53, description="Only what has a greater `seq`.")]


@router.get("/jobs/{job_id}/metrics", summary="Read a job's metrics", **operation(NoSuchJob, answer=views.Metrics))
def metrics(
    services: Service,
    scope: ClientScope,
    job_id: JobId,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=10_000, description="How many rows at most.")] = 1000,
    name: Text = None,
    split: Text = None,
    points: Annotated[
        int | None,
        Query(ge=4, le=100_000, description="At most so many rows of each name and split; spikes stay to be seen."),
    ] = None,
) -> Response:
    """Stored rows in order. With `points`, the whole story thinned out for a chart."""
    with services.database.read() as s:
        job = jobs.get(s, scope, known(s, scope, job_id))
        if points is not None:
            kept = thinned(s, scope, job.id, points, after=after, until=job.last_seq, name=name, split=split)
            return _metrics(events.numbered(s, scope, job.id, kept), None)
        rows = events.metrics(s, scope, job.id, after=after, limit=limit, name=name, split=split)
    return _metrics(rows, rows[-1].seq if len(rows) == limit else None)


def _metrics(rows: Sequence[EventRow], following: int | None) -> Response:
    return JsonResponse({"items": [metric(row) for row in rows], "next_after": following})


def thinned(s: Session, scope: Scope, job_id: str, points: int, **which: Any) -> list[int]:
    """The numbers of at most so many rows of each series, ascending; `which` are those of `events.portions`.

    The rows are counted first and then read in portions, so that a long story takes no more memory than a short one.
    """
    series = {key: Thinned(count, points) for key, count in events.lengths(s, scope, job_id, **which).items()}
    for rows in events.portions(s, scope, job_id, **which):
        for key, mine in _by_series(rows).items():
            series[key].add([row.seq for row in mine], [row.value for row in mine])
    return sorted(number for one in series.values() for number in one.kept().tolist())


def _by_series(rows: Sequence[Any]) -> Mapping[tuple[str, str], list[Any]]:
    found: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        found.setdefault((row.name or "", row.split or ""), []).append(row)
    return found


def metric(row: EventRow) -> dict[str, Any]:
    """A metric row as a client sees it."""
    told = {
        "seq": row.seq,
        "step": row.step,
        "epoch": row.epoch,
        "split": row.split,
        "name": row.name,
        "value": row.value,
        "at": views.at(row.at),
    }
    return {**told, "nonfinite": row.nonfinite} if row.nonfinite else told


def _remark(row: EventRow) -> dict[str, Any]:
    return {**(row.data or {}), "seq": row.seq, "at": views.at(row.at)}


TOLD = {"metric": metric, "status": _remark, "log": _remark}


def encode(row: EventRow) -> Row:
    """An event as it goes out."""
    told = {"event": row.kind, **TOLD[row.kind](row)}
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    return Row(row.seq, format_sse_event(data_str=text, event=row.kind, id=str(row.seq)), text.encode() + b"\n")


@dataclass(frozen=True)
class EventReader:
    """The hub's way to the store: one poller for all listeners. `watch` checks the scope of each."""

    database: Database

    def heads(self, job_ids: Collection[str]) -> Mapping[str, Head]:
        """The heads of those jobs that exist, in one query."""
        with self.database.read() as s:
            return {one: Head(seq, status) for one, (seq, status) in events.heads(s, EVERYTHING, job_ids).items()}

    def rows(self, job_id: str, after: int, limit: int) -> list[Row]:
        """The job's first events past `after`."""
        with self.database.read() as s:
            return [encode(row) for row in events.after(s, EVERYTHING, job_id, after, limit)]


LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", description="The `id` of the last event that came; sent by browsers.")
]

STREAMS = {
    200: {
        "description": "The events, until the job has ended.",
        "content": {
            SSE.media_type: {"schema": {"type": "string"}, "example": 'event: metric\ndata: {"seq":1,…}\nid: 1\n\n'},
            LINES.media_type: {"schema": {"type": "string"}},
        },
    },
    204: {"description": "The job has ended and all its events came: do not ask again."},
}


@router.get("/jobs/{job_id}/events", summary="Watch a job", **operation(NoSuchJob, responses=STREAMS))
def watch(
    services: Service,
    scope: ClientScope,
    job_id: JobId,
    after: After = 0,
    last_event_id: LastEventId = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Every event as it is stored, as server-sent events; as a JSON line each with `Accept: application/jsonl`.

    `Last-Event-ID`, or `?after=`, continues with no gap and no double. The stream ends after the terminal status.
    """
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 17:
        after = int(last_event_id)
    form = LINES if "application/jsonl" in accept or "application/x-ndjson" in accept else SSE
    with services.database.read() as s:
        job = jobs.get(s, scope, known(s, scope, job_id))
    head = Head(job.last_seq, job.status)
    if form is SSE and head.ended and after >= head.last_seq:
        return Response(status_code=204)  # the one answer after which an EventSource does not come back
    return EventStream(services.hub, job.id, head, after, form)
