"""The limit on the query of a request: its length, and the number of its parameters.

Each route bounds the parameters that it reads. This bounds the others and all together, before any is parsed.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.errors import InvalidParameter
from api.http.problem_types import PROBLEM_TYPES
from api.http.problems import problem_response

MAX_QUERY_BYTES = 2**15
MAX_PARAMETERS = 64


class QueryLimit:
    """ASGI middleware that refuses a long query, or one of many parameters, with 422."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        message = _excess(scope["query_string"]) if scope["type"] == "http" else ""
        if not message:
            await self.app(scope, receive, send)
            return
        error = InvalidParameter("query", message)
        kind = PROBLEM_TYPES[InvalidParameter]
        response = problem_response(scope, kind, str(error), errors=error.errors, error=error)
        await response(scope, receive, send)


def _excess(query: bytes) -> str:
    """Return what is too large about a query; empty if nothing is."""
    if len(query) > MAX_QUERY_BYTES:
        return f"has {len(query):,} bytes, more than the {MAX_QUERY_BYTES:,} allowed: send fewer or shorter parameters"
    if (count := query.count(b"&") + 1) > MAX_PARAMETERS:
        return f"has {count:,} parameters, more than the {MAX_PARAMETERS} allowed: send fewer"
    return ""
