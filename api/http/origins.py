"""The check of where a request comes from: a web page of another site must not use this service through a browser.

The Host header is checked against DNS rebinding: a site's name that suddenly resolves to this machine would make its
pages same-origin. Origin and Sec-Fetch-Site are checked against cross-site request forgery: a page may send a form or
a `no-cors` request to any address. A browser sets all three headers itself, so no page can forge them. Programs send
neither Origin nor Sec-Fetch-Site.
"""

import re
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.errors import CrossSiteRequest, HostNotAllowed, RequestError
from api.http.limits import refuse

ANY_HOST = "*"

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, section 9.2.1
_OWN_SITES = frozenset({"same-origin", "none"})  # none: the user entered the address or opened a bookmark
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:[0-9]*)?")


class OriginCheck:
    """ASGI middleware that refuses requests for foreign hosts, and changes on behalf of pages of other origins.

    `hosts` are the allowed names besides those of the loopback interface, in lower case and without brackets; `*`
    allows all. `origins` are the other origins whose pages may make changes.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], origins: frozenset[str]) -> None:
        self.app = app
        self.hosts = hosts
        self.origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        error = self._refusal(scope) if scope["type"] == "http" else None
        if error is None:
            await self.app(scope, receive, send)
        else:
            await refuse(scope, receive, send, error)

    def _refusal(self, scope: Scope) -> RequestError | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if not self._is_allowed_host(host_name(host)):
            return HostNotAllowed(host)
        if scope["method"] not in _SAFE_METHODS and self._is_foreign(headers, host):
            return CrossSiteRequest(headers.get("origin"))
        return None

    def _is_allowed_host(self, name: str) -> bool:
        return ANY_HOST in self.hosts or name in self.hosts or is_loopback(name)

    def _is_foreign(self, headers: Headers, host: str) -> bool:
        """Return whether a page of another origin sent the request.

        The scheme of Origin is ignored, since a proxy may have terminated TLS. Sec-Fetch-Site still compares it.
        """
        origin = headers.get("origin")
        if origin in self.origins:
            return False
        if headers.get("sec-fetch-site", "none") not in _OWN_SITES:
            return True
        return origin is not None and origin.partition("://")[2] != host


def host_name(host: str) -> str:
    """Return the name or address in a Host header, without brackets and port; empty if it is malformed."""
    match = _HOST.fullmatch(host)
    return match[1].strip("[]") if match else ""


def is_loopback(name: str) -> bool:
    """Return whether a name is localhost or an address of the loopback interface (127.0.0.0/8, ::1)."""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
