"""Limits on connections: time for a request head, the rate of reading an answer, and how many connections are open.

Uvicorn alone waits for a request head and for a slow reader without limit, and the kernel waits a quarter of an hour
for a client that has disappeared or no longer reads.
"""

import asyncio
import socket
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.http.middleware import request_id_of, security_headers
from api.http.problem_types import INVALID_REQUEST, TOO_MANY_CONNECTIONS
from api.http.problems import problem_response
from api.http.unread import UnreadAnswers
from core.ids import new_id

MAX_UNREAD_SECONDS = 15.0
"""How long a client may leave sent bytes unacknowledged or unread."""
READ_BYTES = 2**16
"""Bytes that are read of one connection before the other ones have their turn."""
EXCESS_CONNECTION_SECONDS = 2.0
"""How long a connection beyond the limit may take for its request."""


class Connection(H11Protocol):
    """Uvicorn's HTTP/1.1 protocol with a time limit for each request head and a limit on open connections.

    A connection is closed when `seconds` pass without a complete request head, and by the limits of `unread`.
    Connections beyond `max_connections` are served by `excess_app` (`refuse_connection`, with or without CORS).
    """

    seconds = 30.0
    max_connections = 4096
    excess_app: ASGIApp
    unread: UnreadAnswers
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first request."""
        super().connection_made(transport)
        transport.max_size = READ_BYTES  # type: ignore[attr-defined]  # asyncio's own reads 256 kB at a time
        _set_unread_timeout(transport, min(self.seconds, MAX_UNREAD_SECONDS))
        if len(self.connections) > self.max_connections:
            self.app, self.seconds = self.excess_app, min(self.seconds, EXCESS_CONNECTION_SECONDS)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Stop the timer once a request is in progress. Further bytes of the head do not extend it."""
        super().data_received(data)
        in_progress: Any = self.cycle
        if in_progress is not None and not in_progress.response_complete:
            self._stop_timer()
        elif self._timer is None:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._stop_timer()
        self.unread.remove(self.transport)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Pause the answer until the client has read what is sent."""
        super().pause_writing()
        self.unread.add(self.transport)

    def resume_writing(self) -> None:
        """Go on with the answer."""
        self.unread.remove(self.transport)
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Stop the timer: the next request on this connection starts its own."""
        self._stop_timer()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no valid HTTP with a problem, and close the connection."""
        scope = {"state": {"request_id": new_id("req")}}
        response = problem_response(scope, INVALID_REQUEST, f"{msg} Send it as HTTP/1.1 (RFC 9112) wants it.")
        headers = [*response.raw_headers, *security_headers(()), (b"connection", b"close")]
        headers.append((b"x-request-id", scope["state"]["request_id"].encode()))
        for event in (
            h11.Response(status_code=response.status_code, headers=headers, reason=b"Bad Request"),
            h11.Data(data=bytes(response.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event))
        self.transport.close()

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def refuse_connection(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer any request with 503 and close the connection (an ASGI app)."""
    request_id = scope.setdefault("state", {})["request_id"] = request_id_of(scope)
    response = problem_response(scope, TOO_MANY_CONNECTIONS, "too many connections are open: try again in a moment")
    response.headers.update({"connection": "close", "x-request-id": request_id})
    response.raw_headers.extend(security_headers(response.raw_headers))
    await response(scope, receive, send)


def _set_unread_timeout(transport: asyncio.Transport, seconds: float) -> None:
    """Let the kernel end the connection when the client acknowledges nothing for this long (RFC 5482)."""
    if (option := getattr(socket, "TCP_USER_TIMEOUT", None)) is not None:  # only Linux has it
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))
