"""The routes for operators: liveness, readiness, and metrics for Prometheus."""

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from api.dependencies import Services, ServicesDep
from api.http.openapi import operation
from api.http.responses import JsonResponse
from core import VERSION
from core.store import versions
from core.store.errors import WrongRevision
from core.store.migrate import require_head
from core.store.scope import EVERYTHING

router = APIRouter(tags=["service"])

BROKER_TIMEOUT_SECONDS = 2.0


@router.get("/health/live", summary="Liveness", **operation(answer=dict[str, str]))
async def get_liveness() -> Response:  # async, so that it waits for no thread
    """Return 200 while the process runs."""
    return JsonResponse('{"status":"ok"}')


_READY = operation(
    answer=dict[str, Any], responses={503: {"description": "The database cannot be reached or is not migrated."}}
)


@router.get("/health/ready", summary="Readiness", **_READY)
def get_readiness(services: ServicesDep) -> Response:
    """Return 503 if the database cannot be reached or is at another migration.

    A missing broker is reported with status 200: jobs are accepted and stay queued. So are queued jobs that no worker
    here can train, by the version that they wait for.
    """
    database = _database_status(services)
    broker = "ok" if services.notifier.reachable(BROKER_TIMEOUT_SECONDS) else "away"
    ready = database["status"] == "ok"
    body = {
        "status": "ready" if ready else "unready",
        "version": VERSION,
        "database": database,
        "broker": {"status": broker},
        "waiting_for_version": _waiting_jobs(services) if ready else [],
    }
    return JsonResponse(body, status_code=200 if ready else 503)


def _database_status(services: Services) -> dict[str, str]:
    try:
        require_head(services.database.engine)
    except WrongRevision as error:
        return {"status": "wrong_revision", "detail": str(error)}
    except SQLAlchemyError:
        return {"status": "away"}
    return {"status": "ok"}


def _waiting_jobs(services: Services) -> list[dict[str, Any]]:
    try:
        with services.database.read() as s:
            return [waiting._asdict() for waiting in versions.waiting_jobs(s, EVERYTHING)]
    except SQLAlchemyError:
        return []


_METRICS = operation(responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})


@router.get("/metrics", summary="Metrics for Prometheus", **_METRICS)
def get_prometheus_metrics(request: Request) -> Response:
    """Return jobs by status, queue depth, training steps, samples and seconds, request latencies."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)
