"""The middleware of every request: a request id, a log line, a measured latency, common headers, unexpected errors.

It is pure ASGI, so streams are not buffered and the overhead stays small.
"""

import re
import time
from collections.abc import Iterable, Mapping
from typing import Final

import structlog
from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import shortened
from api.http.problems import internal_error_response, log_failure
from core import VERSION
from core.ids import new_id

log = structlog.get_logger("api")

_VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
# Requested every few seconds.
_POLLED_PATHS: Final = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})
VERSION_HEADER: Final = (b"x-chainrule-version", VERSION.encode())
SECURITY_HEADERS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # No other origin may embed an answer. It concerns requests without CORS only, so it may stay when CORS is enabled.
    (b"cross-origin-resource-policy", b"same-origin"),
]


DEFAULT_POLICY: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""The content security policy of an answer without one of its own: of everything but the pages."""


class RequestMiddleware:
    """ASGI middleware that names, logs and times each request, and adds the common headers to its answer."""

    def __init__(self, app: ASGIApp, latency: Histogram) -> None:
        self.app = app
        self.latency = latency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message["headers"])
                message["headers"] = [
                    *headers,
                    (b"x-request-id", request_id.encode()),
                    VERSION_HEADER,
                    *security_headers(headers),
                ]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_headers)
            finally:
                self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_template(scope)
        self.latency.labels(scope["method"] if route else "", route or "none", str(status)).observe(seconds)
        write = log.debug if scope["path"] in _POLLED_PATHS else log.info
        path = shortened(scope["path"])
        write("request", method=scope["method"], path=path, status=status, ms=round(seconds * 1000, 2))


class UnexpectedErrors:
    """ASGI middleware that logs an unexpected error and answers 500.

    It stands inside of CORS, so that a page of an allowed origin can read the answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except Exception as error:
            if scope["type"] != "http":
                raise
            log_failure("request failed", error, method=scope["method"], path=shortened(scope["path"]))
            if started:  # breaking the connection is the only way to signal the error
                raise
            await internal_error_response(scope)(scope, receive, send)


def security_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the security headers of an answer that has these headers."""
    has_policy = any(name == DEFAULT_POLICY[0] for name, _ in headers)
    return SECURITY_HEADERS if has_policy else [*SECURITY_HEADERS, DEFAULT_POLICY]


def request_id_of(scope: Scope) -> str:
    """Return the client's `X-Request-Id` if it is valid (1 to 128 letters, digits, `._-`), else a new id."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _VALID_REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return new_id("req")


def route_template(scope: Mapping[str, object]) -> str:
    """Return the path template of the matched route, such as `/v1/jobs/{job_id}`; empty if none matched."""
    return str(getattr(scope.get("route"), "path", ""))
