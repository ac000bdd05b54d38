"""HEAD, OPTIONS and the `Allow` header: every path has HEAD where it has GET, and names all of its methods."""

import asyncio
import contextlib
from typing import Any

from fastapi.routing import iter_route_contexts
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """ASGI middleware that answers HEAD with the status and the headers of GET, and no content.

    The route ends as soon as its headers are sent: those of an event stream are there at once, and its end is not.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        inner, started = {**scope, "method": "GET"}, asyncio.Event()

        async def send_start(message: Message) -> None:
            if message["type"] == "http.response.start" and not started.is_set():
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                started.set()

        async def run() -> None:
            await self.app(inner, receive, send_start)

        route = asyncio.create_task(run())
        start = asyncio.create_task(started.wait())
        try:
            await asyncio.wait((route, start), return_when=asyncio.FIRST_COMPLETED)
            if not started.is_set():
                await route
        finally:
            scope.update((key, inner[key]) for key in ("route", "endpoint") if key in inner)
            for task in (route, start):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task


def allowed_methods(app: Any, scope: Scope) -> list[str]:
    """Return the methods of all routes of this path in alphabetical order, HEAD included; none of an unknown path."""
    methods: set[str] = set()
    for route in iter_route_contexts(app.routes):
        original = route.original_route
        if isinstance(original, Mount | Route) and original.path_regex.fullmatch(scope["path"]):
            methods |= set(getattr(original, "methods", None) or {"GET"})  # a mount of files has none
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))
