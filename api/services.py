"""The parts that routes work with, put together once at start."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.hub import Hub
from api.inspection import Inspections
from api.loaded import LoadedModels
from core.bell import Bell
from core.blobs import Blobs
from core.settings import Settings
from core.store.sessions import Sessions


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
