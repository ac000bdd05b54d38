"""What happens to every request: an id, a line in the log, a measured latency, and the headers that all answers carry.

Pure ASGI, so that a stream is never buffered and an empty route stays cheap.
"""

import re
import time
from collections.abc import Mapping
from typing import Final

import structlog
from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import failed
from core.ids import new_id

log = structlog.get_logger("api")

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_QUIET: Final = frozenset({"/health/live", "/health/ready", "/metrics"})  # asked every few seconds by machines
_HEADERS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class Requests:
    """Names each request, logs and times it, and answers 500 where the app failed before it answered."""

    def __init__(self, app: ASGIApp, latency: Histogram) -> None:
        self.app = app
        self.latency = latency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode()), *_HEADERS]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_named)
            except Exception:
                log.exception("request failed", method=scope["method"], path=scope["path"])
                if status:  # too late for another answer: breaking the connection is the honest end
                    raise
                await failed(scope)(scope, receive, send_named)
            finally:
                self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = template(scope)
        self.latency.labels(scope["method"] if route else "", route or "none", str(status)).observe(seconds)
        note = log.debug if scope["path"] in _QUIET else log.info
        note("request", method=scope["method"], path=scope["path"], status=status, ms=round(seconds * 1000, 2))


def request_id_of(scope: Scope) -> str:
    """The client's `X-Request-Id` where it is sane (128 letters, digits, `._-`), else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            return str(value, "ascii")
    return new_id("req")


def template(scope: Mapping[str, object]) -> str:
    """The path of the route that served this request, with its parameters' names; empty where none did."""
    return str(getattr(scope.get("route"), "path", ""))
