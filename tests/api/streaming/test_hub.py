"""One poller, many listeners: each sees every row once and in order, and leaves nothing behind."""

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

TICK = 0.001
Told = TypeVar("Told")


class Log:
    """The hub's reader over rows in memory, which counts how often it is asked."""

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
        self._refuse()
        self.head_queries += 1
        return {job: self.head(job) for job in job_ids if job in self.last}

    def rows(self, job_id: str, after: int, limit: int) -> list[EncodedEvent]:
        self._refuse()
        self.row_queries += 1
        end = min(after + limit, self.last.get(job_id, 0))
        return [EncodedEvent(seq, b"frame %d\n" % seq, b"%d\n" % seq) for seq in range(after + 1, end + 1)]

    def asked(self, times: int) -> bool:
        return self.head_queries >= times

    def _refuse(self) -> None:
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
    """All rows of the job until its stream ends; `into` holds what came so far."""
    seen = [] if into is None else into
    async with aclosing(events(hub, job, log.head(job), after, form)) as chunks:
        async for chunk in chunks:
            seen += [int(line) for line in chunk.split()]
    return seen


async def until(true: Callable[[], object], hub: Hub, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(hub.poll_seconds)


async def with_poller(hub: Hub, work: Awaitable[Told]) -> Told:
    poller = asyncio.create_task(hub.run())
    try:
        async with asyncio.timeout(20):
            return await work
    finally:
        poller.cancel()


def test_an_ended_job_is_told_and_over(log: Log) -> None:
    log.grow("job", 2, "succeeded")
    assert asyncio.run(collect(Hub(log), log)) == [1, 2, 3, 4, 5]
    assert asyncio.run(collect(Hub(log), log, after=3)) == [4, 5]


@pytest.mark.parametrize("listeners", [1, 50])
def test_listeners_see_each_row_once_in_order(log: Log, listeners: int) -> None:
    hub = Hub(log, TICK)

    async def story() -> list[list[int]]:
        watching = [asyncio.create_task(collect(hub, log, after=number % 4)) for number in range(listeners)]
        await until(lambda: hub.listeners == listeners, hub)
        for rows in (1, 7, 1500, 1, 4000, 2):
            log.grow("job", rows)
            await asyncio.sleep(2 * TICK)
        log.grow("job", 1, "succeeded")
        return list(await asyncio.gather(*watching))

    seen = asyncio.run(with_poller(hub, story()))
    last = log.last["job"]
    assert seen == [list(range(number % 4 + 1, last + 1)) for number in range(listeners)]
    assert hub.listeners == 0


def test_a_crowd_costs_one_query_a_tick(log: Log) -> None:
    hub = Hub(log, TICK)

    async def story() -> int:
        watching = [asyncio.create_task(collect(hub, log, after=3)) for _ in range(500)]
        await until(lambda: hub.listeners == 500, hub)
        before = log.row_queries
        for _ in range(20):
            reached = log.head_queries + 2
            log.grow("job", 5)
            await until(partial(log.asked, reached), hub)
        log.grow("job", 1, "succeeded")
        await asyncio.gather(*watching)
        return log.row_queries - before

    assert asyncio.run(with_poller(hub, story())) <= 21


def test_nobody_listens_nobody_asks(log: Log) -> None:
    hub = Hub(log, TICK)

    async def story() -> None:
        await asyncio.sleep(20 * TICK)

    asyncio.run(with_poller(hub, story()))
    assert log.head_queries == 0


def test_a_deleted_job_ends_its_streams(log: Log) -> None:
    hub = Hub(log, TICK)

    async def story() -> list[int]:
        came: list[int] = []
        watching = asyncio.create_task(collect(hub, log, into=came))
        await until(lambda: len(came) == 3, hub)
        del log.last["job"]
        return await watching

    assert asyncio.run(with_poller(hub, story())) == [1, 2, 3]


def test_a_database_that_was_away_costs_no_row(log: Log) -> None:
    hub = Hub(log, TICK)

    async def story() -> list[int]:
        watching = asyncio.create_task(collect(hub, log, after=3))
        await until(lambda: hub.listeners and log.head_queries, hub)
        log.away = True
        log.grow("job", 4, "succeeded")
        await asyncio.sleep(20 * TICK)
        log.away = False
        return await watching

    assert asyncio.run(with_poller(hub, story())) == [4, 5, 6, 7]


def test_a_listener_that_goes_frees_everything(log: Log) -> None:
    hub = Hub(log, TICK)

    async def story() -> None:
        watching = asyncio.create_task(collect(hub, log))
        await until(lambda: hub.listeners, hub)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert hub.listeners == 0
        assert not hub._feeds

    asyncio.run(with_poller(hub, story()))


def test_closing_says_when_to_come_back(log: Log) -> None:
    hub = Hub(log, TICK)

    async def story() -> bytes:
        chunks = [chunk async for chunk in events(hub, "job", log.head("job"), 0, SSE)]
        return b"".join(chunks)

    async def closing() -> bytes:
        told = asyncio.create_task(story())
        await until(lambda: hub.listeners, hub)
        await asyncio.sleep(5 * TICK)
        hub.close()
        return await told

    told = asyncio.run(with_poller(hub, closing()))
    assert told == b"frame 1\nframe 2\nframe 3\nretry: 1000\n\n"


def test_silence_is_filled_with_comments(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "KEEPALIVE_SECONDS", TICK)
    hub = Hub(log, TICK)

    async def story() -> bytes:
        async with aclosing(events(hub, "job", log.head("job"), 3, SSE)) as chunks:
            return await anext(chunks)

    assert asyncio.run(with_poller(hub, story())) == b": keep-alive\n\n"


def test_memory_is_bounded(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "PAGE_ROWS", 100)
    hub = Hub(log, TICK)

    async def story() -> int:
        with hub.subscribe("job", log.head("job")) as watched:
            log.grow("job", 50_000)
            await until(lambda: watched.head.last_seq == 50_003, hub)
            return len(watched.tail)

    assert asyncio.run(with_poller(hub, story())) == hub_module.TAIL_ROWS


def test_slow_requests_hold_up_no_stream(log: Log) -> None:
    hub = Hub(log, TICK)

    async def story() -> list[int]:
        over = threading.Event()
        slow = [asyncio.create_task(run_in_threadpool(over.wait)) for _ in range(100)]
        heard: list[int] = []
        watching = asyncio.create_task(collect(hub, log, after=3, into=heard))
        await until(lambda: hub.listeners == 1, hub)
        try:
            log.grow("job", 4)
            await until(lambda: heard == [4, 5, 6, 7], hub)
        finally:
            over.set()
            await asyncio.gather(*slow)
        log.grow("job", 1, "succeeded")
        return await watching

    assert asyncio.run(with_poller(hub, story())) == [4, 5, 6, 7, 8]


def test_a_crowd_that_comes_at_once_reads_what_it_lacks_once(log: Log) -> None:
    log.grow("job", 1500)
    hub = Hub(log, TICK)

    async def story() -> list[list[int]]:
        watching = [asyncio.create_task(collect(hub, log, after=200 + number % 3)) for number in range(100)]
        await until(lambda: hub.listeners == 100, hub)
        log.grow("job", 5)
        await asyncio.sleep(5 * TICK)
        log.grow("job", 1, "succeeded")
        return list(await asyncio.gather(*watching))

    seen = asyncio.run(with_poller(hub, story()))
    assert seen == [list(range(201 + number % 3, 1510)) for number in range(100)]
    assert log.row_queries <= 3 + 3  # one for each place from which they read on, and those of the poller
