"""The route of a job's metrics: pages of stored rows, or a downsampled series for a chart."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.dependencies import ClientScope, ServicesDep
from api.http import csv
from api.http.errors import InvalidParameter
from api.http.openapi import operation
from api.http.parameters import After, Text
from api.http.responses import JsonResponse
from api.http.routes import Router, media_type_of_answer
from api.schemas.examples import JobId
from api.schemas.job import Split
from api.schemas.metrics import Metrics, metric_view
from api.schemas.values import rfc3339
from api.services.identifiers import resolve_job_id
from api.streaming.downsample import Downsampler
from core.jobs.cadence import may_come
from core.jobs.states import TERMINAL
from core.spelling import did_you_mean
from core.store import events, jobs, tables
from core.store.errors import NoSuchJob
from core.store.events import EventRow
from core.store.scope import Scope

router = Router(prefix="/v1", tags=["jobs"])

COLUMNS = ("seq", "step", "epoch", "split", "name", "value", "nonfinite", "at")
CSV_ANSWER = {200: {"content": {csv.MEDIA_TYPE: {"schema": {"type": "string"}}}}}


@router.get(
    "/jobs/{job_id}/metrics",
    summary="Get a job's metrics",
    **operation(NoSuchJob, answer=Metrics, responses=CSV_ANSWER),
)
def get_metrics(
    request: Request,
    services: ServicesDep,
    scope: ClientScope,
    job_id: JobId,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Maximum number of rows.")] = 1000,
    name: Text = None,
    split: Split | None = None,
    points: Annotated[
        int | None,
        Query(ge=4, le=100_000, description="Maximum number of rows of each name and split; keeps minima and maxima."),
    ] = None,
) -> Response:
    """Return stored rows in order. With `points`, all rows are downsampled for a chart and `limit` does not apply.

    `Accept: text/csv` selects CSV, with the address of the next page in the header `Link`.
    """
    with services.database.read() as s:
        job = jobs.get(s, scope, resolve_job_id(s, scope, job_id))
        if name is not None:
            _require_known(s, scope, job, name)
        if points is not None:
            seqs = downsampled_seqs(s, scope, job.id, points, after=after, until=job.last_seq, name=name, split=split)
            return _page(request, events.by_seq(s, scope, job.id, seqs), None)
        rows = events.metrics(s, scope, job.id, after=after, limit=limit, name=name, split=split)
    return _page(request, rows, rows[-1].seq if len(rows) == limit else None)


def _require_known(s: Session, scope: Scope, job: tables.Job, name: str) -> None:
    """Raise `InvalidParameter` for a metric that the job has not written, unless it may write it yet."""
    if name in (job.latest or {}) or (job.status not in TERMINAL and may_come(name)):
        return
    written = {found for found, _ in events.metric_counts(s, scope, job.id, after=0, until=job.last_seq)}
    if name not in written:
        names = (
            f"{did_you_mean(name, sorted(written))}use one of {', '.join(sorted(written))}"
            if written
            else "it has none yet"
        )
        raise InvalidParameter("name", f"is no metric of this job: {names}")


def _page(request: Request, rows: Sequence[EventRow], next_after: int | None) -> Response:
    if media_type_of_answer(request) == csv.MEDIA_TYPE:
        following = str(request.url.include_query_params(after=next_after).replace(scheme="", netloc=""))
        headers = {} if next_after is None else {"Link": f'<{following}>; rel="next"'}
        lines = ([getattr(row, column) for column in COLUMNS[:-1]] + [rfc3339(row.at)] for row in rows)
        return Response(csv.csv_table([COLUMNS, *lines]), media_type=csv.MEDIA_TYPE, headers=headers)
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
