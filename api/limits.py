"""No body grows past its limit: what announces itself too large is refused unread, the rest is cut off while it comes.

FastAPI's own limit answers text/plain and passes by the exception handlers, so this one stands in its place.
"""

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import FACTS, BodyTooLarge, problem

LINGER_SECONDS = 2.0


class BodyLimit:
    """Counts the bytes of each body. Paths in `uploads` (without a slash at the end) have a limit of their own."""

    def __init__(self, app: ASGIApp, limit: int, upload_limit: int, uploads: frozenset[str]) -> None:
        self.app = app
        self.limit = limit
        self.upload_limit = upload_limit
        self.uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.upload_limit if scope["path"].rstrip("/") in self.uploads else self.limit
        if announced(scope) > limit:
            await refuse(scope, receive, send, limit)
            return
        counted, cut, started, more = 0, False, False, True

        async def receive_counted() -> Message:
            nonlocal counted, cut, more
            message = await receive()
            counted += len(message.get("body", b""))
            more = message.get("more_body", False)
            if counted > limit:
                cut = True
                raise BodyTooLarge(limit)
            return message

        async def send_unless_cut(message: Message) -> None:
            nonlocal started
            if not cut:
                started = True
                await send(message)

        await self.app(scope, receive_counted, send_unless_cut)
        if cut and not started:
            await refuse(scope, receive, send, limit, unread=more)


def announced(scope: Scope) -> int:
    """The Content-Length of this request; 0 where it says none (the server has refused what is no number)."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


async def refuse(scope: Scope, receive: Receive, send: Send, limit: int, *, unread: bool = True) -> None:
    """Answer 413, then read on and throw away for a moment.

    A connection closed over unread bytes is reset, and a reset can take the answer with it.
    """
    error = BodyTooLarge(limit)
    answer = problem(scope, FACTS[BodyTooLarge], str(error))
    answer.headers["connection"] = "close"
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while unread:
                unread = (await receive()).get("more_body", False)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
