"""One listener's stream of a job's events: in order, without gaps or duplicates, up to the last event.

A stream holds at most one page of events, continues after the last event that it sent, and frees everything when its
connection closes.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from fastapi.sse import format_sse_event
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.streaming.hub import EncodedEvent, Hub, JobFeed, LogHead

KEEPALIVE_SECONDS = 15.0
RETRY_MS = 1000


@dataclass(frozen=True)
class StreamFormat:
    """Format in which events are written to the connection."""

    media_type: str
    field: Literal["sse", "json_line"]
    """The field of `EncodedEvent` that is sent."""
    keepalive: bytes
    """Sent after `KEEPALIVE_SECONDS` without an event."""
    on_close: bytes
    """Sent last when the server stops: SSE's reconnection delay."""


SSE = StreamFormat("text/event-stream", "sse", format_sse_event(comment="keep-alive"), format_sse_event(retry=RETRY_MS))
JSON_LINES = StreamFormat("application/jsonl", "json_line", b"\n", b"")  # readers skip an empty line


class EventStream(StreamingResponse):
    """A streaming response whose generator is closed with its connection, whenever that ends."""

    def __init__(self, hub: Hub, job_id: str, head: LogHead, after: int, form: StreamFormat) -> None:
        self.rows = events(hub, job_id, head, after, form)
        super().__init__(self.rows, media_type=form.media_type)
        self.headers["Cache-Control"] = "no-cache"
        self.headers["X-Accel-Buffering"] = "no"  # nginx would buffer events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one listener."""
        async with aclosing(self.rows):
            await super().__call__(scope, receive, send)


async def events(hub: Hub, job_id: str, head: LogHead, after: int, form: StreamFormat) -> AsyncGenerator[bytes, None]:
    """Yield the job's events past `after`, several per chunk, up to the terminal one or until the hub closes."""
    with hub.subscribe(job_id, head) as feed:
        while not hub.closing.is_set():
            changed, head = feed.changed, feed.head
            rows = await _page(hub, job_id, feed, after) if after < head.last_seq else []
            if rows:
                after = rows[-1].seq
                yield b"".join(getattr(row, form.field) for row in rows)
            elif not head.status or (head.ended and after >= head.last_seq):
                return
            elif not await _wait(changed, KEEPALIVE_SECONDS if after >= head.last_seq else hub.poll_seconds):
                yield form.keepalive
        if form.on_close:
            yield form.on_close


async def _page(hub: Hub, job_id: str, feed: JobFeed, after: int) -> list[EncodedEvent]:
    try:
        return await hub.page(job_id, feed, after)
    except SQLAlchemyError:
        return []  # the poller logs it; the next poll reads again


async def _wait(changed: asyncio.Event, seconds: float) -> bool:
    """Wait for a change of the feed; return whether one came in time."""
    try:
        async with asyncio.timeout(seconds):
            await changed.wait()
    except TimeoutError:
        return False
    return True
