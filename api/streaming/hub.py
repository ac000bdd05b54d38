"""One poller per process for all event streams: it reads the log heads of all jobs with listeners in one query.

The newest rows of each such job are cached in encoded form and shared, so a thousand listeners cost the database one
small query per poll. Listeners that connect at the same moment, as after a restart, share one read of the rows before
the cache; a listener that is further behind reads on its own.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from sqlalchemy.exc import SQLAlchemyError

from core.jobs.states import TERMINAL

log = structlog.get_logger("api")

POLL_SECONDS = 0.1
TAIL_ROWS = 2000  # cached per job with listeners, about 200 bytes each
PAGE_ROWS = 1000
READER_THREADS = 4
"""Threads that read for listeners that are behind. More would only wait for each other while encoding rows."""


@dataclass(frozen=True)
class EncodedEvent:
    """One event of a job's log in both formats: as a server-sent event and as a JSON line."""

    seq: int
    sse: bytes
    json_line: bytes


@dataclass(frozen=True)
class LogHead:
    """The `seq` of a job's newest event, and the job's status; empty if the job was deleted."""

    last_seq: int
    status: str

    @property
    def ended(self) -> bool:
        """Whether no further event can follow."""
        return not self.status or self.status in TERMINAL


class EventReader(Protocol):
    """The hub's access to the store. Its methods run in a thread."""

    def heads(self, job_ids: Collection[str]) -> Mapping[str, LogHead]:
        """Return the log heads of those jobs that exist, in one query."""

    def rows(self, job_id: str, after: int, limit: int) -> Sequence[EncodedEvent]:
        """Return the job's first `limit` events with a greater `seq` than `after`."""


@dataclass
class JobFeed:
    """A job with listeners: its log head and its newest events (`tail`)."""

    head: LogHead
    listeners: int = 0
    tail: deque[EncodedEvent] = field(default_factory=lambda: deque(maxlen=TAIL_ROWS))
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    backfill_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def advance(self, head: LogHead, rows: Sequence[EncodedEvent]) -> None:
        """Store a new head with the events up to it, and wake all waiting listeners."""
        if rows and self.tail and rows[0].seq != self.tail[-1].seq + 1:
            self.tail.clear()
        self.tail.extend(rows)
        self.head = head
        self.changed.set()
        self.changed = asyncio.Event()

    def backfill(self, rows: Sequence[EncodedEvent]) -> None:
        """Prepend the events directly before the tail, if they fit."""
        first = self.tail[0].seq if self.tail else self.head.last_seq + 1
        older = [row for row in rows if row.seq < first]
        if older and older[-1].seq == first - 1 and len(older) + len(self.tail) <= TAIL_ROWS:
            self.tail.extendleft(reversed(older))

    def cached_after(self, after: int, limit: int) -> list[EncodedEvent] | None:
        """Return the first events past `after` from the tail; None if the tail begins later."""
        if not self.tail or after < self.tail[0].seq - 1:
            return None
        first = after - self.tail[0].seq + 1
        return [self.tail[index] for index in range(first, min(first + limit, len(self.tail)))]


class Hub:
    """The poller and the feeds of all jobs with listeners. It runs on the event loop; only reads run in threads.

    It has its own thread limiters: slow requests that fill the shared thread pool must not delay every stream.
    """

    def __init__(self, reader: EventReader, poll_seconds: float = POLL_SECONDS) -> None:
        self.reader = reader
        self.poll_seconds = poll_seconds
        self.closing = asyncio.Event()
        self._feeds: dict[str, JobFeed] = {}
        self._has_listeners = asyncio.Event()
        self._poll_limiter = CapacityLimiter(1)
        self._read_limiter = CapacityLimiter(READER_THREADS)

    @property
    def listeners(self) -> int:
        """The number of open streams."""
        return sum(feed.listeners for feed in self._feeds.values())

    @contextmanager
    def subscribe(self, job_id: str, head: LogHead) -> Iterator[JobFeed]:
        """Follow a job, whose head was just read, for the duration of the block."""
        feed = self._feeds.setdefault(job_id, JobFeed(head))
        feed.listeners += 1
        self._has_listeners.set()
        try:
            yield feed
        finally:
            feed.listeners -= 1
            if not feed.listeners:
                self._feeds.pop(job_id, None)

    async def page(self, job_id: str, feed: JobFeed, after: int) -> list[EncodedEvent]:
        """Return the job's first events past `after`: from the tail if it begins early enough, else from the store."""
        if (cached := feed.cached_after(after, PAGE_ROWS)) is not None:
            return cached
        if feed.head.last_seq - after > TAIL_ROWS:
            return await self._read(job_id, after, PAGE_ROWS)
        async with feed.backfill_lock:
            if (cached := feed.cached_after(after, PAGE_ROWS)) is not None:
                return cached
            rows = await self._read(job_id, after, TAIL_ROWS)
            feed.backfill(rows)
            return rows[:PAGE_ROWS]

    async def _read(self, job_id: str, after: int, limit: int) -> list[EncodedEvent]:
        return list(await run_sync(self.reader.rows, job_id, after, limit, limiter=self._read_limiter))

    def close(self) -> None:
        """End every stream with a reconnection delay. May be called from a signal handler's loop callback."""
        self.closing.set()
        for feed in self._feeds.values():
            feed.changed.set()

    async def run(self) -> None:
        """Poll until cancelled, and wait while nobody listens. A failed query is repeated at the next poll."""
        while True:
            self._has_listeners.clear()
            if not self._feeds:
                await self._has_listeners.wait()
            try:
                await self._poll()
            except SQLAlchemyError as error:
                log.warning("cannot read the event log: trying again", reason=type(error).__name__)
            await asyncio.sleep(self.poll_seconds)

    async def _poll(self) -> None:
        polled = dict(self._feeds)  # a feed that joins during the query is missing from its result, but not deleted
        heads = await run_sync(self.reader.heads, list(polled), limiter=self._poll_limiter)
        for job_id, feed in polled.items():
            head = heads.get(job_id, LogHead(feed.head.last_seq, ""))
            if head != feed.head:
                feed.advance(head, await self._new_rows(job_id, feed, head))

    async def _new_rows(self, job_id: str, feed: JobFeed, head: LogHead) -> list[EncodedEvent]:
        """Return the events between the tail and `head`, at most the newest `TAIL_ROWS`."""
        known = feed.tail[-1].seq if feed.tail else feed.head.last_seq
        after = max(known, head.last_seq - TAIL_ROWS)
        rows: list[EncodedEvent] = []
        while after < head.last_seq:
            page = await run_sync(self.reader.rows, job_id, after, PAGE_ROWS, limiter=self._poll_limiter)
            if not page:
                break
            rows += page
            after = page[-1].seq
        return rows
