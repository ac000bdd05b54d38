"""The parts that routes work with, put together once at start."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.services.model_cache import LoadedModels
from api.services.schema_inference import Inspections
from api.streaming.hub import Hub
from core.blobs.folder import Blobs
from core.queue.notifier import Bell
from core.settings import Settings
from core.store.database import Sessions


@dataclass(frozen=True)
class Services:
    """What a route may ask for; all of it is safe for threads."""

    settings: Settings
    sessions: Sessions
    blobs: Blobs
    bell: Bell
    hub: Hub
    models: LoadedModels
    inspections: Inspections


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Service = Annotated[Services, Depends(_services)]
