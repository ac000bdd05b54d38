"""The FastAPI app and its lifespan: resources are opened at startup and closed at shutdown; nothing is global."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.middleware import Middleware

from api.dependencies import Services
from api.http import problems
from api.http.compression import Compression
from api.http.cors import Cors
from api.http.limits import BodyLimit
from api.http.methods import HeadAsGet
from api.http.middleware import RequestMiddleware, UnexpectedErrors
from api.http.openapi import document
from api.http.origins import OriginCheck
from api.http.queries import QueryLimit
from api.http.tus import TusProtocol
from api.routes import (
    checkpoints,
    datasets,
    events,
    health,
    inspect,
    job_control,
    jobs,
    metrics,
    pages,
    predictions,
    profile,
    split,
    uploads,
)
from api.schemas.inspection import GradientCheckRequest, InspectionRequest
from api.schemas.prediction import PredictionRequest
from api.services.compute_pool import ComputeLimits, ComputePool
from api.services.dataset_profile import ProfileCache
from api.services.lease_collector import lease_collector
from api.services.memory_release import release_memory
from api.services.model_cache import ModelCache
from api.services.prometheus import StoreCollector, latency_histogram, new_registry
from api.services.readiness import Readiness
from api.services.resumable_upload import open_partial_uploads, remove_expired
from api.services.schema_inference import SchemaInference
from api.services.storage_limits import correct_totals, storage_limits
from api.streaming.event_reader import StoreEventReader
from api.streaming.hub import Hub
from core import VERSION
from core.blobs.storage import open_blobs
from core.data.readers.infer_schema import Bounds
from core.jobs.continuation import Continuation
from core.jobs.spec import JobSpec
from core.queue.notifier import Notifier
from core.settings import Settings, read_settings
from core.store import versions
from core.store.database import open_database
from core.store.migrate import require_head

UPLOADS = re.compile(r"/v1/(datasets|uploads/[^/]+)")

DESCRIPTION = """Training as a service: post data, a network and an optimizer; follow the training; predict.

Start with **Create a job**: its example trains y = 2x. The other examples use that job by the id `latest`.
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the app for these settings (default: those of the environment).

    Starting it raises `WrongRevision` if the database is at another migration, and `OlderVersion` if a newer version
    has used it.
    """
    settings = settings or read_settings()
    registry = new_registry()
    app = Api(
        title="Chainrule",
        version=VERSION,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        lifespan=partial(lifespan, settings),
        exception_handlers=problems.handlers(),
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        middleware=[
            Middleware(RequestMiddleware, latency=latency_histogram(registry)),
            *([Middleware(Cors, origins=settings.allowed_origins)] if settings.allowed_origins else []),
            Middleware(UnexpectedErrors),
            Middleware(OriginCheck, hosts=settings.allowed_host_names, origins=settings.allowed_origins),
            Middleware(TusProtocol, max_bytes=settings.max_upload_bytes),
            Middleware(QueryLimit),
            Middleware(BodyLimit, settings=settings, uploads=UPLOADS),
            Middleware(HeadAsGet),
            # Inside of HEAD, which ends its route at the first headers.
            Middleware(Compression),
        ],
    )
    app.state.registry = registry
    for module in (
        jobs,
        job_control,
        metrics,
        events,
        checkpoints,
        profile,
        split,
        predictions,
        inspect,
        datasets,
        uploads,
        health,
        pages,
    ):
        app.include_router(module.router)
    pages.mount_static(app)
    return app


@contextlib.asynccontextmanager
async def lifespan(settings: Settings, app: FastAPI) -> AsyncIterator[None]:
    """Open the database, the blobs and the notifier; run the event hub and what cleans up."""
    database = open_database(settings.resolved_database_url)
    require_head(database.engine)
    versions.start(database, "api", allow_older=settings.allow_older)
    correct_totals(database)
    blobs, notifier = open_blobs(settings), Notifier(settings)
    hub = Hub(StoreEventReader(database))
    schema_inference = SchemaInference(Bounds(settings.schema_seconds, settings.schema_memory_bytes))
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    compute = ComputePool(ComputeLimits.of(settings), settings.data_dir)
    readiness = Readiness(database, blobs, notifier)
    partial_uploads = open_partial_uploads(settings)
    app.state.services = Services(
        settings,
        database,
        blobs,
        notifier,
        hub,
        ModelCache(blobs.read),
        schema_inference,
        compute,
        readiness,
        partial_uploads,
        ProfileCache(),
    )
    collector = StoreCollector(database, lambda: hub.listeners, storage_limits(settings))
    app.state.registry.register(collector)
    tasks = [asyncio.create_task(work) for work in (hub.run(), release_memory(), remove_expired(partial_uploads))]
    try:
        with lease_collector(database, notifier, settings.lease_check_seconds):
            yield
    finally:
        hub.close()
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await compute.close()
        app.state.registry.unregister(collector)
        notifier.close()
        database.close()


class Api(FastAPI):
    """FastAPI with the OpenAPI document of `api.http.openapi`."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, generated once."""
        if not self.openapi_schema:
            self.openapi_schema = document(
                self, [JobSpec, Continuation, PredictionRequest, InspectionRequest, GradientCheckRequest]
            )
        return self.openapi_schema
