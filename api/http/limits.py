"""Limits on request bodies: their size, and the time they may take to arrive.

A body whose Content-Length is too large is refused unread; any other body is cut off when it passes the limit.
FastAPI's own limit answers in text/plain and bypasses the exception handlers, so this middleware replaces it.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import BodyTooLarge, BodyTooSlow, RequestError
from api.http.problem_types import PROBLEM_TYPES
from api.http.problems import problem_response

DRAIN_SECONDS = 2.0
"""How long the rest of a refused body is read before the connection closes."""
MIN_BYTES_PER_SECOND = 512
"""A body that arrives at this rate or faster has no time limit."""


class BodyLimit:
    """ASGI middleware that limits the size of each body and the time spent waiting for it.

    Paths in `uploads` (without a trailing slash) have the limit `upload_limit`, all others `limit`, both in bytes.
    """

    def __init__(
        self, app: ASGIApp, limit: int, upload_limit: int, uploads: frozenset[str], seconds: float = 30.0
    ) -> None:
        self.app = app
        self.seconds = seconds
        self.limit = limit
        self.upload_limit = upload_limit
        self.uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.upload_limit if scope["path"].rstrip("/") in self.uploads else self.limit
        if content_length(scope) > limit:
            await refuse(scope, receive, send, BodyTooLarge(limit))
            return
        body = _LimitedBody(receive, limit, self.seconds)
        started = False

        async def send_unless_refused(message: Message) -> None:
            nonlocal started
            if body.refused is None:
                started = True
                await send(message)

        await self.app(scope, body.receive, send_unless_refused)
        if body.refused is not None and not started:
            unread = body.more and isinstance(body.refused, BodyTooLarge)
            await refuse(scope, receive, send, body.refused, unread=unread)


@dataclass
class _LimitedBody:
    """A body in transit: its bytes and waiting time so far, and the error that ended it."""

    source: Receive
    limit: int
    seconds: float
    size: int = 0
    waited: float = 0.0
    more: bool = True
    refused: RequestError | None = None

    async def receive(self) -> Message:
        """Return the next message. Raise `BodyTooLarge` or `BodyTooSlow`."""
        if not self.more:  # the body is complete: this waits for the client to disconnect
            return await self.source()
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.seconds + self.size / MIN_BYTES_PER_SECOND - self.waited):
                message = await self.source()
        except TimeoutError:
            self.refused = BodyTooSlow(self.seconds)
            raise self.refused from None
        self.waited += time.monotonic() - began
        self.size += len(message.get("body", b""))
        self.more = message.get("more_body", False)
        if self.size > self.limit:
            self.refused = BodyTooLarge(self.limit)
            raise self.refused
        return message


def content_length(scope: Scope) -> int:
    """Return the request's Content-Length; 0 without one (the server refuses an invalid one earlier)."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


async def refuse(scope: Scope, receive: Receive, send: Send, error: RequestError, *, unread: bool = True) -> None:
    """Send the problem, then read and discard the rest of the body for a moment.

    Closing a connection with unread bytes resets it, and the client can lose the response.
    """
    response = problem_response(scope, PROBLEM_TYPES[type(error)], str(error))
    response.headers["connection"] = "close"
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while unread:
                unread = (await receive()).get("more_body", False)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
