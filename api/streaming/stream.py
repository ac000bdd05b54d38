"""A job's events to one listener: no gap, no double, in order, until the last one.

The listener holds a page of rows at most, reads on from the last that it sent, and leaves nothing behind when it goes.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from fastapi.sse import format_sse_event
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.streaming.hub import Head, Hub, Row, TracedArray

COMMENT_SECONDS = 15.0
RETRY_MS = 1000


@dataclass(frozen=True)
class Form:
    """How rows are written: as server-sent events or as JSON lines."""

    media_type: str
    part: str
    comment: bytes
    goodbye: bytes


SSE = Form("text/event-stream", "frame", format_sse_event(comment="still here"), format_sse_event(retry=RETRY_MS))
LINES = Form("application/jsonl", "line", b"\n", b"")  # an empty line keeps the connection alive and is no row


class EventStream(StreamingResponse):
    """A stream that is closed with its connection, wherever in it that ends."""

    def __init__(self, hub: Hub, job_id: str, head: Head, after: int, form: Form) -> None:
        self.rows = events(hub, job_id, head, after, form)
        super().__init__(self.rows, media_type=form.media_type)
        self.headers["Cache-Control"] = "no-cache"
        self.headers["X-Accel-Buffering"] = "no"  # nginx would hold rows back

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one listener."""
        async with aclosing(self.rows):
            await super().__call__(scope, receive, send)


async def events(hub: Hub, job_id: str, head: Head, after: int, form: Form) -> AsyncGenerator[bytes, None]:
    """The job's events past `after`, several rows a chunk; ends after the terminal one or when the hub closes."""
    with hub.watching(job_id, head) as watched:
        while not hub.closing.is_set():
            moved, now = watched.moved, watched.head
            rows = await _page(hub, job_id, watched, after) if after < now.last_seq else []
            if rows:
                after = rows[-1].seq
                yield b"".join(getattr(row, form.part) for row in rows)
            elif not now.status or (now.ended and after >= now.last_seq):
                return
            elif not await _moves(moved, COMMENT_SECONDS if after >= now.last_seq else hub.tick):
                yield form.comment
        if form.goodbye:
            yield form.goodbye


async def _page(hub: Hub, job_id: str, watched: TracedArray, after: int) -> list[Row]:
    try:
        return await hub.page(job_id, watched, after)
    except SQLAlchemyError:
        return []  # the poller says so; the next tick tries again


async def _moves(moved: asyncio.Event, seconds: float) -> bool:
    """Whether the job moved in this time."""
    try:
        async with asyncio.timeout(seconds):
            await moved.wait()
    except TimeoutError:
        return False
    return True
