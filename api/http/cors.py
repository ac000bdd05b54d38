"""Cross-origin resource sharing (CORS): pages of allowed origins read every answer, problems included.

The middleware stands outside of all that refuses a request. Without allowed origins it is not installed, so that no
answer has a CORS header.
"""

from fastapi.middleware.cors import CORSMiddleware
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.errors import CrossSiteRequest, PreflightRefused
from api.http.problem_types import PROBLEM_TYPES
from api.http.problems import problem_response

METHODS = ("GET", "POST", "PATCH", "DELETE")
REQUEST_HEADERS = (
    "Content-Type",
    "Idempotency-Key",
    "Last-Event-ID",
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "X-Request-Id",
)
RESPONSE_HEADERS = (
    "Location",
    "Retry-After",
    "Tus-Resumable",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Offset",
    "X-Chainrule-Version",
    "X-Request-Id",
)


class Cors(CORSMiddleware):
    """Starlette's CORS middleware with these methods and headers; a refused preflight gets a problem."""

    def __init__(self, app: ASGIApp, origins: frozenset[str]) -> None:
        super().__init__(
            app,
            allow_origins=sorted(origins),
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            headers = Headers(scope=scope)
            if "origin" in headers and "access-control-request-method" in headers:
                await self._preflight(scope, headers)(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    def _preflight(self, scope: Scope, headers: Headers) -> Response:
        response = self.preflight_response(headers)
        if response.status_code == 200:
            return response
        allowed = self.is_allowed_origin(headers["origin"])
        error = PreflightRefused(METHODS, REQUEST_HEADERS) if allowed else CrossSiteRequest(headers["origin"])
        problem = problem_response(scope, PROBLEM_TYPES[type(error)], str(error))
        cors = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        problem.headers.update(cors)
        return problem


def with_cors(app: ASGIApp, origins: frozenset[str]) -> ASGIApp:
    """Return the app behind `Cors`, or the app itself without allowed origins."""
    return Cors(app, origins) if origins else app
