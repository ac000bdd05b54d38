"""Limits on request bodies: the size of each and of all together, and the time they may take to arrive.

A body whose Content-Length is too large is refused unread; any other body is cut off when it passes a limit.
FastAPI's own limit answers in text/plain and bypasses the exception handlers, so this middleware replaces it.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.decoding import CODINGS, Decoder, decoder_of
from api.http.errors import BodyTooLarge, BodyTooSlow, RequestError, TooManyBodies, UnsupportedContentEncoding
from api.http.problem_types import PROBLEM_TYPES
from api.http.problems import problem_response
from api.http.spool import Body
from api.http.turns import FREE_BYTES, Turns
from core.settings import Settings

DRAIN_SECONDS = 2.0
"""How long the rest of a refused body is read before the connection closes."""
MIN_BYTES_PER_SECOND = 4096
"""A body that arrives at this rate or faster has no time limit in all."""
SPOOL_THREADS = 4
"""Threads that write bodies to disk. They are no others' threads, so that slow requests do not delay bodies."""
BODY = "chainrule.body"
"""Key of the request's `IncomingBody` in its ASGI scope."""


class InFlight:
    """The bytes of all bodies of a kind, or of all large answers, in progress; and the limit of their sum."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0

    def admits(self, size: int, counted: int = 0) -> bool:
        """Return whether a body, of which `counted` bytes are counted already, may grow to `size` bytes.

        It may become as large as what it leaves free for others. So many large bodies never keep small ones out.
        """
        return size <= self.limit - self.bytes - (size - counted)


@dataclass(frozen=True)
class BodyLimits:
    """What limits the bodies of a kind of route: bytes of each, bytes of all together, and seconds of silence."""

    bytes: int
    in_flight: InFlight
    seconds: float

    def check(self, size: int, counted: int = 0) -> None:
        """Raise `BodyTooLarge` or `TooManyBodies` if a body may not have this size, in bytes."""
        if size > self.bytes:
            raise BodyTooLarge(self.bytes)
        if not self.in_flight.admits(size, counted):
            raise TooManyBodies(size)


class BodyLimit:
    """ASGI middleware that limits the size of each body, the sum of all, and the time spent waiting for each.

    Paths that match `uploads` (without a trailing slash) have limits of their own.
    """

    def __init__(self, app: ASGIApp, settings: Settings, uploads: re.Pattern[str]) -> None:
        self.app = app
        self.uploads = uploads
        self.folder = settings.data_dir
        self.spooling = CapacityLimiter(SPOOL_THREADS)
        self.turns = Turns()
        seconds = settings.client_seconds
        self.limits = BodyLimits(settings.max_body_bytes, InFlight(settings.max_bodies_bytes), seconds)
        self.upload_limits = BodyLimits(settings.max_upload_bytes, InFlight(settings.max_uploads_bytes), seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if content_length(scope) > FREE_BYTES:
            await self.turns.take()
        receive = self.turns.of(receive)
        limits = self.upload_limits if self.uploads.fullmatch(scope["path"].rstrip("/")) else self.limits
        try:
            limits.check(content_length(scope))
        except RequestError as error:
            await refuse(scope, receive, send, error)
            return
        body = scope[BODY] = IncomingBody(receive, limits, self.folder, self.spooling, decoder_of(scope))
        try:
            await self.app(scope, body.receive, send)
        except BodyRefused as refused:
            unread = body.unread and not isinstance(refused.error, BodyTooSlow)
            await refuse(scope, receive, send, refused.error, unread=unread)
        finally:
            body.close()


class BodyRefused(Exception):
    """A limit ended the body. It passes the exception handlers: the middleware answers, and closes the connection."""

    def __init__(self, error: RequestError) -> None:
        super().__init__(str(error))
        self.error = error


class IncomingBody:
    """A body in transit: its size so far, and for how many further seconds its client may be silent.

    Each wait costs its seconds, each byte received earns some, and no speed earns more than `limits.seconds`.
    """

    def __init__(
        self,
        source: Receive,
        limits: BodyLimits,
        folder: Path,
        spooling: CapacityLimiter,
        decoder: Decoder | None = None,
    ) -> None:
        self._source = source
        self._limits = limits
        self._spooling = spooling
        self._body = Body(folder)
        self._decoder = decoder
        self._pieces: Iterator[bytes] = iter(())
        self._patience = limits.seconds
        self.size = 0
        self.more = True
        self.unread = True
        """Whether the client has sent less than all of the body."""

    async def receive(self) -> Message:
        """Return the next message. Raise `BodyRefused`."""
        if not self.more:  # the body is complete: this waits for the client to disconnect
            return await self._source()
        try:
            message = await (self._next_decoded(self._decoder) if self._decoder else self._next())
            received = len(message.get("body", b""))
            self._limits.check(self.size + received, self.size)
        except RequestError as error:
            raise BodyRefused(error) from None
        self.size += received
        self._limits.in_flight.bytes += received
        self.more = message.get("more_body", False)
        return message

    async def _next_decoded(self, decoder: Decoder) -> Message:
        """Return the next piece of a compressed body as a message. Raise `InvalidBody` as the decoder does."""
        while (piece := next(self._pieces, None)) is None:
            if not self.unread:
                decoder.finish()
                return {"type": "http.request", "body": b"", "more_body": False}
            message = await self._next()
            if message["type"] != "http.request":
                return message
            self._pieces = decoder.decode(message.get("body", b""))
        await asyncio.sleep(0)  # other requests take turns with a body that decodes to very much
        return {"type": "http.request", "body": piece, "more_body": True}

    async def _next(self) -> Message:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._patience):
                message = await self._source()
        except TimeoutError:
            raise BodyTooSlow(self._limits.seconds, MIN_BYTES_PER_SECOND) from None
        self.unread = message.get("more_body", False)
        earned = len(message.get("body", b"")) / MIN_BYTES_PER_SECOND
        self._patience = min(self._limits.seconds, self._patience + earned - (time.monotonic() - began))
        return message

    async def collect(self) -> Body:
        """Receive all of the body; the middleware closes it. Raise `BodyRefused` or `ClientDisconnect`."""
        while self.more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            data = message.get("body", b"")
            if self._body.fits_in_memory(data):
                self._body.append(data)
            else:
                await self.write(self._body.append, data)
        return self._body

    async def write(self, function: Callable[[bytes], object], data: bytes) -> None:
        """Call a function that writes a piece of the body to disk, in one of a few threads for this."""
        await run_sync(function, data, limiter=self._spooling)

    def close(self) -> None:
        """Free the body's bytes."""
        self._limits.in_flight.bytes -= self.size
        self._body.close()


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
    if isinstance(error, UnsupportedContentEncoding):
        response.headers["accept-encoding"] = ", ".join(CODINGS)  # RFC 7694
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while unread:
                unread = (await receive()).get("more_body", False)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
