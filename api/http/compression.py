"""Compression of answers by gzip, for clients that accept it."""

from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.accept import accepts_coding

COMPRESSED_BYTES = 2**14
"""Size of answers from which they are compressed."""
UNCOMPRESSED = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/octet-stream")
"""Media types that are sent as they are: event streams, and bytes that do not shrink."""


class Compression(GZipMiddleware):
    """Compresses large answers, at level 1 since the event loop does it.

    Starlette's own looks for the word gzip anywhere in the header; here `gzip;q=0` refuses it and `*` accepts it.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, COMPRESSED_BYTES, compresslevel=1, exclude_content_types=UNCOMPRESSED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            headers = MutableHeaders(raw=list(scope["headers"]))
            accepted = ",".join(headers.getlist("Accept-Encoding"))
            headers["Accept-Encoding"] = "gzip" if accepts_coding(accepted, "gzip") else "identity"
            scope["headers"] = headers.raw  # in place: outer middleware reads what the router puts into the scope
        await super().__call__(scope, receive, send)
