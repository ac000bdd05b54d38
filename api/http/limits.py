"""No body grows past its limit: what announces itself too large is refused unread, the rest is cut off while it comes.

None is waited for without end either.

FastAPI's own limit answers text/plain and passes by the exception handlers, so this one stands in its place.
"""

import asyncio
import contextlib
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import FACTS, BodyTooLarge, BodyTooSlow, Refusal, problem

LINGER_SECONDS = 2.0
BYTES_A_SECOND = 512
"""A body that comes faster than this may take as long as it does."""


class BodyLimit:
    """Counts the bytes of each body, and the seconds that it is waited for.

    Paths in `uploads` (without a slash at the end) have a limit of their own.
    """

    def __init__(
        self, app: ASGIApp, limit: int, upload_limit: int, uploads: frozenset[str], seconds: float = 30.0
    ) -> None:
        self.app = app
        self.seconds = seconds
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
            await refuse(scope, receive, send, BodyTooLarge(limit))
            return
        counted, waited, started, more = 0, 0.0, False, True
        cut: Refusal | None = None

        async def receive_counted() -> Message:
            nonlocal counted, waited, cut, more
            if not more:  # the body has come: what is waited for now is the client's end
                return await receive()
            began = time.monotonic()
            try:
                async with asyncio.timeout(self.seconds + counted / BYTES_A_SECOND - waited):
                    message = await receive()
            except TimeoutError:
                cut = BodyTooSlow(self.seconds)
                raise cut from None
            waited += time.monotonic() - began
            counted += len(message.get("body", b""))
            more = message.get("more_body", False)
            if counted > limit:
                cut = BodyTooLarge(limit)
                raise cut
            return message

        async def send_unless_cut(message: Message) -> None:
            nonlocal started
            if cut is None:
                started = True
                await send(message)

        await self.app(scope, receive_counted, send_unless_cut)
        if cut is not None and not started:
            await refuse(scope, receive, send, cut, unread=more and isinstance(cut, BodyTooLarge))


def announced(scope: Scope) -> int:
    """The Content-Length of this request; 0 where it says none (the server has refused what is no number)."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


async def refuse(scope: Scope, receive: Receive, send: Send, error: Refusal, *, unread: bool = True) -> None:
    """Answer with what is wrong, then read on and throw away for a moment.

    A connection closed over unread bytes is reset, and a reset can take the answer with it.
    """
    answer = problem(scope, FACTS[type(error)], str(error))
    answer.headers["connection"] = "close"
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while unread:
                unread = (await receive()).get("more_body", False)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
