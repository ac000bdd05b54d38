"""The routes for operators: liveness, readiness, and metrics for Prometheus."""

from typing import Any

from fastapi import Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import PlainTextResponse, Response

from api.dependencies import Services, ServicesDep
from api.http.openapi import operation
from api.http.responses import JsonResponse
from api.http.routes import Router
from core import VERSION
from core.store import versions
from core.store.scope import EVERYTHING

router = Router(tags=["service"])


@router.get("/health", summary="Version", **operation(answer=dict[str, str]))
async def get_health() -> Response:
    """Return 200 and the version while the process runs; `/health/ready` says whether it can work."""
    return JsonResponse(f'{{"status":"ok","version":"{VERSION}"}}')


@router.get("/health/live", summary="Liveness", **operation(answer=dict[str, str]))
async def get_liveness() -> Response:  # async, so that it waits for no thread
    """Return 200 while the process runs."""
    return JsonResponse('{"status":"ok"}')


_READY = operation(
    answer=dict[str, Any],
    responses={
        503: {
            "description": "The database or the storage of files is away, full or read-only.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
)


@router.get("/health/ready", summary="Readiness", **_READY)
def get_readiness(services: ServicesDep) -> Response:
    """Return 503 if the database or the storage of files cannot be written, or the database is at another migration.

    The body has the status of each part: `ok`, `away`, `full`, `read_only` or `wrong_revision`. The parts are checked
    at most every few seconds. A missing broker is reported with status 200: jobs are accepted and stay queued. So are
    queued jobs that no worker here can train, by the version that they wait for.
    """
    ready, parts = services.readiness.report()
    body = {
        "status": "ready" if ready else "unready",
        "version": VERSION,
        **parts,
        "waiting_for_version": _waiting_jobs(services) if ready else [],
    }
    return JsonResponse(body, status_code=200 if ready else 503)


def _waiting_jobs(services: Services) -> list[dict[str, Any]]:
    try:
        with services.database.read() as s:
            return [waiting._asdict() for waiting in versions.waiting_jobs(s, EVERYTHING)]
    except SQLAlchemyError:
        return []


_METRICS = operation(responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})


@router.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse, **_METRICS)
def get_prometheus_metrics(request: Request) -> Response:
    """Return jobs by status, queue depth, training steps, samples and seconds, request latencies."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)
