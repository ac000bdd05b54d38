"""The API, put together: what it needs is opened at start and closed at the end, and nothing is global."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.middleware import Middleware

from api.dependencies import Services
from api.http import problems
from api.http.limits import BodyLimit
from api.http.middleware import Requests
from api.http.openapi import document
from api.routes import datasets, events, health, inspect, jobs, pages, predictions
from api.routes.events import EventReader
from api.routes.inspect import Batch
from api.routes.predictions import Instances
from api.services.lease_collector import sweeping
from api.services.model_cache import LoadedModels
from api.services.prometheus import StoreCollector, latencies, new_registry
from api.services.schema_inference import Inspections
from api.streaming.hub import Hub
from core import VERSION
from core.blobs.storage import open_blobs
from core.data.readers.infer_schema import Bounds
from core.jobs.continuation import Continuation
from core.jobs.spec import JobSpec
from core.queue.notifier import Bell
from core.settings import Settings, read_settings
from core.store.database import open_sessions
from core.store.migrate import require_head

UPLOADS = frozenset({"/v1/datasets"})

ABOUT = """Training as a service: post what to learn from, a net and an optimizer; watch the loss fall; ask the net.

Start with **Post a job**: its example trains y = 2x. Then every other example works on that job, by the name `latest`.
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app for these settings (else the environment's). Starting it raises `WrongRevision` at another migration."""
    settings = settings or read_settings()
    registry = new_registry()
    app = Api(
        title="Chainrule",
        version=VERSION,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=partial(lifespan, settings),
        exception_handlers=problems.handlers(),
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        middleware=[
            Middleware(Requests, latency=latencies(registry)),
            Middleware(
                BodyLimit,
                limit=settings.max_body_bytes,
                upload_limit=settings.max_upload_bytes,
                uploads=UPLOADS,
                seconds=settings.client_seconds,
            ),
        ],
    )
    app.state.registry = registry
    for room in (jobs, events, predictions, inspect, datasets, health, pages):
        app.include_router(room.router)
    pages.mount_static(app)
    return app


@contextlib.asynccontextmanager
async def lifespan(settings: Settings, app: FastAPI) -> AsyncIterator[None]:
    """Open the store, the blobs and the bell; poll for those who listen; sweep."""
    sessions = open_sessions(settings.database)
    require_head(sessions.engine)
    blobs, bell = open_blobs(settings), Bell(settings)
    hub = Hub(EventReader(sessions))
    inspections = Inspections(Bounds(settings.inspect_seconds, settings.inspect_bytes))
    app.state.services = Services(settings, sessions, blobs, bell, hub, LoadedModels(blobs.read), inspections)
    collector = StoreCollector(sessions, lambda: hub.listeners)
    app.state.registry.register(collector)
    polling = asyncio.create_task(hub.run())
    try:
        with sweeping(sessions, bell, settings.sweep_seconds):
            yield
    finally:
        hub.close()
        polling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await polling
        app.state.registry.unregister(collector)
        bell.close()
        sessions.close()


class Api(FastAPI):
    """FastAPI, with a document of our own."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if not self.openapi_schema:
            self.openapi_schema = document(self, [JobSpec, Continuation, Instances, Batch])
        return self.openapi_schema
