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
from api.services.lease_collector import collecting
from api.services.model_cache import ModelCache
from api.services.prometheus import StoreCollector, latencies, new_registry
from api.services.schema_inference import SchemaInference
from api.streaming.hub import Hub
from core import VERSION
from core.blobs.storage import open_blobs
from core.data.readers.infer_schema import Bounds
from core.jobs.continuation import Continuation
from core.jobs.spec import JobSpec
from core.queue.notifier import Notifier
from core.settings import Settings, read_settings
from core.store.database import open_database
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
    database = open_database(settings.resolved_database_url)
    require_head(database.engine)
    blobs, notifier = open_blobs(settings), Notifier(settings)
    hub = Hub(EventReader(database))
    schema_inference = SchemaInference(Bounds(settings.schema_seconds, settings.schema_memory_bytes))
    app.state.services = Services(settings, database, blobs, notifier, hub, ModelCache(blobs.read), schema_inference)
    collector = StoreCollector(database, lambda: hub.listeners)
    app.state.registry.register(collector)
    polling = asyncio.create_task(hub.run())
    try:
        with collecting(database, notifier, settings.lease_check_seconds):
            yield
    finally:
        hub.close()
        polling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await polling
        app.state.registry.unregister(collector)
        notifier.close()
        database.close()


class Api(FastAPI):
    """FastAPI, with a document of our own."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if not self.openapi_schema:
            self.openapi_schema = document(self, [JobSpec, Continuation, Instances, Batch])
        return self.openapi_schema
