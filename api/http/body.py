"""The bodies of routes."""

import asyncio
from contextlib import suppress
from typing import Annotated

from fastapi import Depends, Request

from api.http.errors import UnsupportedMediaType
from api.http.limits import BODY, IncomingBody
from api.http.spool import Body

DISCARD_SECONDS = 2.0


async def _collect(request: Request) -> Body:
    incoming: IncomingBody = request.scope[BODY]
    return await incoming.collect()


RawBody = Annotated[Body, Depends(_collect)]


async def _collect_json(request: Request) -> Body:
    kind = media_type(request)
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType(kind, ["application/json"])
    return await _collect(request)


JsonBody = Annotated[Body, Depends(_collect_json)]


def media_type(request: Request) -> str:
    """Return the request's media type in lower case, without parameters; empty if the header is missing."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def discard(request: Request) -> None:
    """Read and drop the body of a request that is refused, for a moment.

    Closing a connection with unread bytes resets it, and the client can lose the response.
    """
    incoming: IncomingBody = request.scope[BODY]
    if not incoming.more:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            async for _ in request.stream():
                pass
