"""The headers of tus 1.0 (tus.io), the protocol of resumable uploads, on every answer of its paths."""

import re
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import UnsupportedTusVersion
from api.http.limits import refuse

PATHS = re.compile(r"/v1/uploads(/.*)?")
VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,termination"


class TusProtocol:
    """ASGI middleware that adds `Tus-Resumable` to answers, and refuses clients of another version.

    A client that names no version, such as curl, is served.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.discovery = {"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS, "Tus-Max-Size": str(max_bytes)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not PATHS.fullmatch(scope["path"]):
            await self.app(scope, receive, send)
            return
        version = Headers(scope=scope).get("tus-resumable", VERSION)
        refused = version != VERSION and scope["method"] != "OPTIONS"
        added: Mapping[str, str] = self.discovery if refused or scope["method"] == "OPTIONS" else {}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update({"Tus-Resumable": VERSION, **added})
            await send(message)

        if refused:
            await refuse(scope, receive, send_with_headers, UnsupportedTusVersion(version, VERSION))
        else:
            await self.app(scope, receive, send_with_headers)
