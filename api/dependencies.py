"""The services that routes use, created once at startup, and their FastAPI dependency."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.services.compute_pool import ComputePool
from api.services.dataset_profile import ProfileCache
from api.services.model_cache import ModelCache
from api.services.readiness import Readiness
from api.services.schema_inference import SchemaInference
from api.streaming.hub import Hub
from core.blobs.blobs import Blobs
from core.blobs.partial import PartialUploads
from core.queue.notifier import Notifier
from core.settings import Settings
from core.store.database import Database
from core.store.scope import EVERYTHING, Scope


@dataclass(frozen=True)
class Services:
    """Shared parts of all routes; all are thread-safe but `compute`, which belongs to the event loop."""

    settings: Settings
    database: Database
    blobs: Blobs
    notifier: Notifier
    hub: Hub
    models: ModelCache
    schema_inference: SchemaInference
    compute: ComputePool
    readiness: Readiness
    partial_uploads: PartialUploads
    profiles: ProfileCache


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]


def scope_of(_request: Request) -> Scope:
    """Return the rows that the client of this request may read and change: all, as there are no accounts yet."""
    return EVERYTHING


async def _scope(request: Request) -> Scope:
    return scope_of(request)


ClientScope = Annotated[Scope, Depends(_scope)]
