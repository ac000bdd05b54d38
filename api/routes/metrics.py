"""The route of a job's metrics: pages of stored rows, or a downsampled series for a chart."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.dependencies import ClientScope, ServicesDep
from api.http.openapi import operation
from api.http.parameters import After, Text
from api.http.responses import JsonResponse
from api.schemas.examples import JobId
from api.schemas.metrics import Metrics, metric_view
from api.services.identifiers import resolve_job_id
from api.streaming.downsample import Downsampler
from core.store import events, jobs
from core.store.errors import NoSuchJob
from core.store.events import EventRow
from core.store.scope import Scope

router = APIRouter(prefix="/v1", tags=["jobs"])


@router.get("/jobs/{job_id}/metrics", summary="Get a job's metrics", **operation(NoSuchJob, answer=Metrics))
def get_metrics(
    services: ServicesDep,
    scope: ClientScope,
    job_id: JobId,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Maximum number of rows.")] = 1000,
    name: Text = None,
    split: Text = None,
    points: Annotated[
        int | None,
        Query(ge=4, le=100_000, description="Maximum number of rows of each name and split; keeps minima and maxima."),
    ] = None,
) -> Response:
    """Return stored rows in order. With `points`, all rows are downsampled for a chart and `limit` does not apply."""
    with services.database.read() as s:
        job = jobs.get(s, scope, resolve_job_id(s, scope, job_id))
        if points is not None:
            seqs = downsampled_seqs(s, scope, job.id, points, after=after, until=job.last_seq, name=name, split=split)
            return _page(events.by_seq(s, scope, job.id, seqs), None)
        rows = events.metrics(s, scope, job.id, after=after, limit=limit, name=name, split=split)
    return _page(rows, rows[-1].seq if len(rows) == limit else None)


def _page(rows: Sequence[EventRow], next_after: int | None) -> Response:
    return JsonResponse({"items": [metric_view(row) for row in rows], "next_after": next_after})


def downsampled_seqs(s: Session, scope: Scope, job_id: str, points: int, **filters: Any) -> list[int]:
    """Return the `seq` of at most `points` rows of each series, ascending.

    `filters` are those of `events.metric_batches`.

    The rows are counted first and then read in chunks, so memory does not grow with the length of the series.
    """
    series = {
        key: Downsampler(count, points) for key, count in events.metric_counts(s, scope, job_id, **filters).items()
    }
    for chunk in events.metric_batches(s, scope, job_id, **filters):
        for key, rows in _by_series(chunk).items():
            series[key].add([row.seq for row in rows], [row.value for row in rows])
    return sorted(seq for downsampler in series.values() for seq in downsampler.selected().tolist())


def _by_series(rows: Sequence[Any]) -> Mapping[tuple[str, str], list[Any]]:
    series: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        series.setdefault((row.name or "", row.split or ""), []).append(row)
    return series
