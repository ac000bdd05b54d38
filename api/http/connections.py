"""One client's connection: it is waited for as long as the settings say, and no longer; and there are not too many.

Uvicorn itself waits for the head of a request as long as a client likes, and the kernel a quarter of an hour for one
that has vanished, or that reads no more.
"""

import asyncio
import socket
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.http.middleware import request_id_of
from api.http.problems import CROWDED, problem

VANISHED_SECONDS = 15.0
"""How long a client may leave unread what was sent to it, at most."""
CROWDED_SECONDS = 2.0
"""How long one connection too many may take for its request."""


class Connection(H11Protocol):
    """Uvicorn's HTTP, which closes a connection whose request has not begun `seconds` after its first byte.

    More than `most` connections at a time are told to come back later.
    """

    seconds = 30.0
    most = 4096
    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        _end_when_vanished(transport, min(self.seconds, VANISHED_SECONDS))
        if len(self.connections) > self.most:
            self.app, self.seconds = crowded, min(self.seconds, CROWDED_SECONDS)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait on, not longer for each byte, until a request is under way."""
        super().data_received(data)
        under_way: Any = self.cycle
        if under_way is not None and not under_way.response_complete:
            self._stop()
        elif self._limit is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """What comes next has its own time."""
        self._stop()
        super().on_response_complete()

    def _wait(self) -> None:
        self._limit = self.loop.call_later(self.seconds, self.transport.close)

    def _stop(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None


async def crowded(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer whatever is asked with 503, and close the connection."""
    request_id = scope.setdefault("state", {})["request_id"] = request_id_of(scope)
    answer = problem(scope, CROWDED, "too many connections are open: try again in a moment")
    answer.headers.update({"connection": "close", "x-request-id": request_id})
    await answer(scope, receive, send)


def _end_when_vanished(transport: asyncio.Transport, seconds: float) -> None:
    """Have the kernel end a connection whose other side has acknowledged or read nothing for so long (RFC 5482)."""
    if (option := getattr(socket, "TCP_USER_TIMEOUT", None)) is not None:  # Linux alone has it
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))
