"""The routes for those who run the service: is it alive, is it ready, how is it doing."""

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from api.dependencies import Service, Services
from api.http.openapi import operation
from api.http.responses import JsonResponse
from core.store.errors import WrongRevision
from core.store.migrate import require_head

router = APIRouter(tags=["service"])

BROKER_PATIENCE_SECONDS = 2.0


@router.get("/health/live", summary="Is the process alive?", **operation(answer=dict[str, str]))
def live() -> Response:
    """It is, if it answers."""
    return JsonResponse('{"status":"ok"}')


_READY = operation(answer=dict[str, Any], responses={503: {"description": "The database is away or unmigrated."}})


@router.get("/health/ready", summary="Can it take jobs?", **_READY)
def ready(services: Service) -> Response:
    """503 when the database is away or at another migration. Without its broker the service is ready: jobs wait."""
    database = _database(services)
    broker = "ok" if services.notifier.reachable(BROKER_PATIENCE_SECONDS) else "away"
    fine = database["status"] == "ok"
    told = {"status": "ready" if fine else "unready", "database": database, "broker": {"status": broker}}
    return JsonResponse(told, status_code=200 if fine else 503)


def _database(services: Services) -> dict[str, str]:
    try:
        require_head(services.database.engine)
    except WrongRevision as error:
        return {"status": "wrong_revision", "detail": str(error)}
    except SQLAlchemyError:
        return {"status": "away"}
    return {"status": "ok"}


_METRICS = operation(responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})


@router.get("/metrics", summary="Figures for Prometheus", **_METRICS)
def metrics(request: Request) -> Response:
    """Jobs by status, queue depth, steps, samples, seconds of training, latencies of requests."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)
