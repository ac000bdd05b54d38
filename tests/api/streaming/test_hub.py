"""The hub: every listener receives every event once and in order, at a bounded cost in queries and memory."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import aclosing
from functools import partial
from typing import TypeVar

import pytest
from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool

from api.streaming import hub as hub_module
from api.streaming import stream
from api.streaming.hub import EncodedEvent, Hub, LogHead
from api.streaming.stream import JSON_LINES, SSE, StreamFormat, events

POLL_SECONDS = 0.001
Result = TypeVar("Result")


class Log:
    """An `EventReader` over events in memory that counts its queries."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}
        self.status: dict[str, str] = {}
        self.head_queries = 0
        self.row_queries = 0
        self.away = False

    def grow(self, job: str, rows: int, status: str = "running") -> None:
        self.last[job] = self.last.get(job, 0) + rows
        self.status[job] = status

    def head(self, job: str) -> LogHead:
        return LogHead(self.last[job], self.status[job])

    def heads(self, job_ids: Collection[str]) -> Mapping[str, LogHead]:
        self._raise_if_away()
        self.head_queries += 1
        return {job: self.head(job) for job in job_ids if job in self.last}

    def rows(self, job_id: str, after: int, limit: int) -> list[EncodedEvent]:
        self._raise_if_away()
        self.row_queries += 1
        end = min(after + limit, self.last.get(job_id, 0))
        return [EncodedEvent(seq, b"frame %d\n" % seq, b"%d\n" % seq) for seq in range(after + 1, end + 1)]

    def was_polled(self, times: int) -> bool:
        return self.head_queries >= times

    def _raise_if_away(self) -> None:
        if self.away:
            raise OperationalError("SELECT", {}, Exception("away"))


@pytest.fixture
def log() -> Log:
    log = Log()
    log.grow("job", 3)
    return log


async def collect(
    hub: Hub, log: Log, after: int = 0, job: str = "job", form: StreamFormat = JSON_LINES, into: list[int] | None = None
) -> list[int]:
    """Return all events of the job until its stream ends; `into` receives them as they come."""
    seen = [] if into is None else into
    async with aclosing(events(hub, job, log.head(job), after, form)) as chunks:
        async for chunk in chunks:
            seen += [int(line) for line in chunk.split()]
    return seen


async def until(condition: Callable[[], object], hub: Hub, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(hub.poll_seconds)


async def with_poller(hub: Hub, work: Awaitable[Result]) -> Result:
    poller = asyncio.create_task(hub.run())
    try:
        async with asyncio.timeout(20):
            return await work
    finally:
        poller.cancel()


def test_stream_of_an_ended_job_sends_all_events_and_ends(log: Log) -> None:
    log.grow("job", 2, "succeeded")
    assert asyncio.run(collect(Hub(log), log)) == [1, 2, 3, 4, 5]
    assert asyncio.run(collect(Hub(log), log, after=3)) == [4, 5]


@pytest.mark.parametrize("listeners", [1, 50])
def test_listeners_receive_each_event_once_in_order(log: Log, listeners: int) -> None:
    hub = Hub(log, POLL_SECONDS)

    async def scenario() -> list[list[int]]:
        watching = [asyncio.create_task(collect(hub, log, after=number % 4)) for number in range(listeners)]
        await until(lambda: hub.listeners == listeners, hub)
        for rows in (1, 7, 1500, 1, 4000, 2):
            log.grow("job", rows)
            await asyncio.sleep(2 * POLL_SECONDS)
        log.grow("job", 1, "succeeded")
        return list(await asyncio.gather(*watching))

    seen = asyncio.run(with_poller(hub, scenario()))
    last = log.last["job"]
    assert seen == [list(range(number % 4 + 1, last + 1)) for number in range(listeners)]
    assert hub.listeners == 0


def test_500_listeners_cost_one_query_per_poll(log: Log) -> None:
    hub = Hub(log, POLL_SECONDS)

    async def scenario() -> int:
        watching = [asyncio.create_task(collect(hub, log, after=3)) for _ in range(500)]
        await until(lambda: hub.listeners == 500, hub)
        before = log.row_queries
        for _ in range(20):
            reached = log.head_queries + 2
            log.grow("job", 5)
            await until(partial(log.was_polled, reached), hub)
        log.grow("job", 1, "succeeded")
        await asyncio.gather(*watching)
        return log.row_queries - before

    assert asyncio.run(with_poller(hub, scenario())) <= 21


def test_hub_without_listeners_does_not_query(log: Log) -> None:
    hub = Hub(log, POLL_SECONDS)

    async def scenario() -> None:
        await asyncio.sleep(20 * POLL_SECONDS)

    asyncio.run(with_poller(hub, scenario()))
    assert log.head_queries == 0


def test_deleted_job_ends_its_streams(log: Log) -> None:
    hub = Hub(log, POLL_SECONDS)

    async def scenario() -> list[int]:
        received: list[int] = []
        watching = asyncio.create_task(collect(hub, log, into=received))
        await until(lambda: len(received) == 3, hub)
        del log.last["job"]
        return await watching

    assert asyncio.run(with_poller(hub, scenario())) == [1, 2, 3]


def test_database_outage_loses_no_event(log: Log) -> None:
    hub = Hub(log, POLL_SECONDS)

    async def scenario() -> list[int]:
        watching = asyncio.create_task(collect(hub, log, after=3))
        await until(lambda: hub.listeners and log.head_queries, hub)
        log.away = True
        log.grow("job", 4, "succeeded")
        await asyncio.sleep(20 * POLL_SECONDS)
        log.away = False
        return await watching

    assert asyncio.run(with_poller(hub, scenario())) == [4, 5, 6, 7]


def test_disconnected_listener_frees_its_feed(log: Log) -> None:
    hub = Hub(log, POLL_SECONDS)

    async def scenario() -> None:
        watching = asyncio.create_task(collect(hub, log))
        await until(lambda: hub.listeners, hub)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert hub.listeners == 0
        assert not hub._feeds

    asyncio.run(with_poller(hub, scenario()))


def test_closing_hub_ends_streams_with_a_retry_delay(log: Log) -> None:
    hub = Hub(log, POLL_SECONDS)

    async def scenario() -> bytes:
        chunks = [chunk async for chunk in events(hub, "job", log.head("job"), 0, SSE)]
        return b"".join(chunks)

    async def closing() -> bytes:
        streaming = asyncio.create_task(scenario())
        await until(lambda: hub.listeners, hub)
        await asyncio.sleep(5 * POLL_SECONDS)
        hub.close()
        return await streaming

    streamed = asyncio.run(with_poller(hub, closing()))
    assert streamed == b"frame 1\nframe 2\nframe 3\nretry: 1000\n\n"


def test_idle_stream_sends_keepalive_comments(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "KEEPALIVE_SECONDS", POLL_SECONDS)
    hub = Hub(log, POLL_SECONDS)

    async def scenario() -> bytes:
        async with aclosing(events(hub, "job", log.head("job"), 3, SSE)) as chunks:
            return await anext(chunks)

    assert asyncio.run(with_poller(hub, scenario())) == b": keep-alive\n\n"


def test_feed_caches_at_most_tail_rows(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "PAGE_ROWS", 100)
    hub = Hub(log, POLL_SECONDS)

    async def scenario() -> int:
        with hub.subscribe("job", log.head("job")) as feed:
            log.grow("job", 50_000)
            await until(lambda: feed.head.last_seq == 50_003, hub)
            return len(feed.tail)

    assert asyncio.run(with_poller(hub, scenario())) == hub_module.TAIL_ROWS


def test_slow_requests_do_not_delay_streams(log: Log) -> None:
    hub = Hub(log, POLL_SECONDS)

    async def scenario() -> list[int]:
        released = threading.Event()
        slow = [asyncio.create_task(run_in_threadpool(released.wait)) for _ in range(100)]
        received: list[int] = []
        watching = asyncio.create_task(collect(hub, log, after=3, into=received))
        await until(lambda: hub.listeners == 1, hub)
        try:
            log.grow("job", 4)
            await until(lambda: received == [4, 5, 6, 7], hub)
        finally:
            released.set()
            await asyncio.gather(*slow)
        log.grow("job", 1, "succeeded")
        return await watching

    assert asyncio.run(with_poller(hub, scenario())) == [4, 5, 6, 7, 8]


def test_listeners_that_connect_together_share_one_read(log: Log) -> None:
    log.grow("job", 1500)
    hub = Hub(log, POLL_SECONDS)

    async def scenario() -> list[list[int]]:
        watching = [asyncio.create_task(collect(hub, log, after=200 + number % 3)) for number in range(100)]
        await until(lambda: hub.listeners == 100, hub)
        log.grow("job", 5)
        await asyncio.sleep(5 * POLL_SECONDS)
        log.grow("job", 1, "succeeded")
        return list(await asyncio.gather(*watching))

    seen = asyncio.run(with_poller(hub, scenario()))
    assert seen == [list(range(201 + number % 3, 1510)) for number in range(100)]
    assert log.row_queries <= 3 + 3  # one per starting position, and those of the poller
