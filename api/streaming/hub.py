"""One poller for all who watch: it asks for the heads of the jobs that someone listens to, and wakes their listeners.

The newest rows of each such job are kept encoded and shared, so that a thousand listeners cost the database one small
query a tick. A crowd that comes at once, as it does after a restart, reads what it lacks of them once; a listener that
is further behind reads for itself.
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

TICK_SECONDS = 0.1
TAIL_ROWS = 2000  # a job's rows held in memory for its listeners, some 200 bytes each
PAGE_ROWS = 1000
READERS = 4
"""Threads that read for who is behind: more would only take turns at the encoding of rows."""


@dataclass(frozen=True)
class Row:
    """One event as it goes out: an SSE frame and a JSON line."""

    seq: int
    frame: bytes
    line: bytes


@dataclass(frozen=True)
class Head:
    """Where a job's log ends, and whether more can come. `status` is empty when the job is gone."""

    last_seq: int
    status: str

    @property
    def ended(self) -> bool:
        """Whether no further event can follow."""
        return not self.status or self.status in TERMINAL


class Reader(Protocol):
    """What the hub asks of the store, in a thread."""

    def heads(self, job_ids: Collection[str]) -> Mapping[str, Head]:
        """The heads of those of these jobs that exist, in one query."""

    def rows(self, job_id: str, after: int, limit: int) -> Sequence[Row]:
        """The job's first `limit` events past `after`."""


@dataclass
class TracedArray:
    """A job that someone listens to."""

    head: Head
    listeners: int = 0
    tail: deque[Row] = field(default_factory=lambda: deque(maxlen=TAIL_ROWS))
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    reaching_back: asyncio.Lock = field(default_factory=asyncio.Lock)

    def move(self, head: Head, rows: Sequence[Row]) -> None:
        """Take a new head with the rows up to it, and wake whoever waits."""
        if rows and self.tail and rows[0].seq != self.tail[-1].seq + 1:
            self.tail.clear()
        self.tail.extend(rows)
        self.head = head
        self.moved.set()
        self.moved = asyncio.Event()

    def reach_back(self, rows: Sequence[Row]) -> None:
        """Take those rows that come just before the tail, if there is room for them."""
        first = self.tail[0].seq if self.tail else self.head.last_seq + 1
        older = [row for row in rows if row.seq < first]
        if older and older[-1].seq == first - 1 and len(older) + len(self.tail) <= TAIL_ROWS:
            self.tail.extendleft(reversed(older))

    def since(self, after: int, limit: int) -> list[Row] | None:
        """The rows past `after` from the tail; None where the tail does not reach back that far."""
        if not self.tail or after < self.tail[0].seq - 1:
            return None
        first = after - self.tail[0].seq + 1
        return [self.tail[index] for index in range(first, min(first + limit, len(self.tail)))]


class Hub:
    """The poller and the jobs it watches. All of it lives on the event loop; only reading is in a thread.

    Its threads are its own: in the pool that all requests share, a crowd of slow ones would hold up every stream.
    """

    def __init__(self, reader: Reader, tick: float = TICK_SECONDS) -> None:
        self.reader = reader
        self.tick = tick
        self.closing = asyncio.Event()
        self._watched: dict[str, TracedArray] = {}
        self._wanted = asyncio.Event()
        self._one = CapacityLimiter(1)
        self._readers = CapacityLimiter(READERS)

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return sum(watched.listeners for watched in self._watched.values())

    @contextmanager
    def watching(self, job_id: str, head: Head) -> Iterator[TracedArray]:
        """Watch a job, whose head was just read, for as long as the block lasts."""
        watched = self._watched.setdefault(job_id, TracedArray(head))
        watched.listeners += 1
        self._wanted.set()
        try:
            yield watched
        finally:
            watched.listeners -= 1
            if not watched.listeners:
                self._watched.pop(job_id, None)

    async def page(self, job_id: str, watched: TracedArray, after: int) -> list[Row]:
        """The job's first rows past `after`: from its tail, or where that does not reach back so far from the store."""
        if (shared := watched.since(after, PAGE_ROWS)) is not None:
            return shared
        if watched.head.last_seq - after > TAIL_ROWS:
            return await self._read(job_id, after, PAGE_ROWS)
        async with watched.reaching_back:
            if (shared := watched.since(after, PAGE_ROWS)) is not None:
                return shared
            rows = await self._read(job_id, after, TAIL_ROWS)
            watched.reach_back(rows)
            return rows[:PAGE_ROWS]

    async def _read(self, job_id: str, after: int, limit: int) -> list[Row]:
        return list(await run_sync(self.reader.rows, job_id, after, limit, limiter=self._readers))

    def close(self) -> None:
        """End every stream with a word on when to come back. Callable from a signal handler's loop callback."""
        self.closing.set()
        for watched in self._watched.values():
            watched.moved.set()

    async def run(self) -> None:
        """Poll until cancelled; idle while nobody listens. A database that is away is tried again at each tick."""
        while True:
            self._wanted.clear()
            if not self._watched:
                await self._wanted.wait()
            try:
                await self._poll()
            except SQLAlchemyError as error:
                log.warning("cannot read heads: will try again", reason=type(error).__name__)
            await asyncio.sleep(self.tick)

    async def _poll(self) -> None:
        asked = dict(self._watched)  # who joins while the query runs is not in its answer, and not gone
        heads = await run_sync(self.reader.heads, list(asked), limiter=self._one)
        for job_id, watched in asked.items():
            head = heads.get(job_id, Head(watched.head.last_seq, ""))
            if head != watched.head:
                watched.move(head, await self._between(job_id, watched, head))

    async def _between(self, job_id: str, watched: TracedArray, head: Head) -> list[Row]:
        """The rows up to `head` that the tail lacks, the newest `TAIL_ROWS` of them at most."""
        known = watched.tail[-1].seq if watched.tail else watched.head.last_seq
        after = max(known, head.last_seq - TAIL_ROWS)
        rows: list[Row] = []
        while after < head.last_seq:
            page = await run_sync(self.reader.rows, job_id, after, PAGE_ROWS, limiter=self._one)
            if not page:
                break
            rows += page
            after = page[-1].seq
        return rows
