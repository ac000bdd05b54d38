"""The compute pool: a bounded queue, limits of a task, the end of tasks whose client leaves, and of its processes."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message

from api.http import problems
from api.http.errors import ServiceBusy, TooMuchWork
from api.services import compute_pool
from api.services.compute_pool import ComputeLimits, ComputePool
from core.data.errors import InvalidInstance
from tests.api.services import compute_tasks as tasks

LIMITS = ComputeLimits(processes=1, waiting=1, seconds=30, memory_bytes=2**30, answer_bytes=2**22)


class Client:
    """The client of a request; it leaves when `leave` is called."""

    def __init__(self) -> None:
        self._left = asyncio.Event()
        self.request = Request({"type": "http"}, self._receive)

    async def _receive(self) -> Message:
        await self._left.wait()
        return {"type": "http.disconnect"}

    def leave(self) -> None:
        self._left.set()


@asynccontextmanager
async def pool_of(tmp_path: Path, **limits: Any) -> AsyncIterator[ComputePool]:
    pool = ComputePool(replace(LIMITS, **limits), tmp_path)
    try:
        yield pool
    finally:
        await pool.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def content(response: Response) -> bytes:
    """Send a response as the server does and return its body."""
    parts: list[bytes] = []

    async def send(message: Message) -> None:
        parts.append(message.get("body", b""))

    await response({"type": "http", "asgi": {"spec_version": "2.4"}}, Client().request.receive, send)
    return b"".join(parts)


def test_problems_have_a_code_and_say_when_to_retry() -> None:
    busy = asyncio.run(problems.handlers()[ServiceBusy](Client().request, ServiceBusy()))
    assert (busy.status_code, json.loads(bytes(busy.body))["code"]) == (503, "service_busy")
    assert int(busy.headers["retry-after"]) > 0
    assert "database" not in json.loads(bytes(busy.body))["detail"]
    large = asyncio.run(problems.handlers()[TooMuchWork](Client().request, TooMuchWork.time(60)))
    assert (large.status_code, json.loads(bytes(large.body))["code"]) == (422, "too_much_work")


def test_tasks_share_one_process_that_is_not_this_one(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, waiting=4) as pool:
            client = Client()
            pids = await asyncio.gather(*(pool.run(client.request, tasks.process_id) for _ in range(5)))
            assert len(set(pids)) == 1
            assert pids[0] != os.getpid()
            assert pool.in_progress == 0
        assert not runs(pids[0])

    run(test)


def test_small_and_large_responses_have_every_piece(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path) as pool:
            for count in (0, 3, 4_000):
                answer = await pool.respond(Client().request, tasks.pieces, count, 1000)
                assert answer.headers["content-length"] == str(count * 1000)
                assert await content(answer) == b"".join(tasks.pieces(count, 1000))
            assert pool._unsent.bytes == 0

    run(test)


def test_answers_that_clients_still_read_leave_room_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(compute_pool, "MAX_UNSENT_ANSWERS", 2)
        async with pool_of(tmp_path, answer_bytes=2**20) as pool:
            first = await pool.respond(Client().request, tasks.pieces, 4, 2**18)
            assert isinstance(first, StreamingResponse)
            unread = aiter(first.body_iterator)
            await anext(unread)
            with pytest.raises(ServiceBusy):
                await pool.respond(Client().request, tasks.pieces, 4, 2**18)
            for size in (2**15, 2**17):  # one of them is not counted, the other one is smaller than what it leaves
                answer = await pool.respond(Client().request, tasks.pieces, 4, size)
                assert len(await content(answer)) == 4 * size
            async for _ in unread:
                pass
            assert len(await content(await pool.respond(Client().request, tasks.pieces, 4, 2**18))) == 2**20

    run(test)


def test_result_beyond_its_limit_is_refused_and_the_process_kept(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path) as pool:
            first = await pool.run(Client().request, tasks.process_id)
            with pytest.raises(TooMuchWork, match="CHAINRULE_MAX_ANSWER_BYTES"):
                await pool.respond(Client().request, tasks.pieces, 5, 2**20)
            with pytest.raises(TooMuchWork):
                await pool.run(Client().request, bytes, compute_pool.MAX_VALUE_BYTES)
            assert await pool.run(Client().request, tasks.process_id) == first

    run(test)


def test_exception_keeps_its_class_and_attributes(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path) as pool:
            with pytest.raises(InvalidInstance) as caught:
                await pool.run(Client().request, tasks.invalid_instance)
            assert (caught.value.index, caught.value.pointer, caught.value.message) == (3, "/instances/3", "is wrong")
            assert any("in invalid_instance" in note for note in caught.value.__notes__)
            with pytest.raises(KeyError):
                await pool.run(Client().request, tasks.fail, "key")
            with pytest.raises(RuntimeError, match="WithLock: the text"):
                await pool.run(Client().request, tasks.fail, "lock")

    run(test)


def test_full_queue_refuses_and_takes_tasks_again_later(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path) as pool:
            running, waiting, refused = Client(), Client(), Client()
            first = asyncio.create_task(pool.run(running.request, tasks.wait, tmp_path / "first"))
            await until((tmp_path / "first").exists)
            second = asyncio.create_task(pool.run(waiting.request, tasks.process_id))
            await until(lambda: pool.in_progress == 2)
            with pytest.raises(ServiceBusy):
                await pool.run(refused.request, tasks.process_id)
            running.leave()
            with pytest.raises(ClientDisconnect):
                await first
            assert await second > 0
            assert await pool.run(refused.request, tasks.process_id) > 0

    run(test)


def test_client_that_leaves_ends_its_process_or_its_place_in_the_queue(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path) as pool:
            running, waiting = Client(), Client()
            first = asyncio.create_task(pool.run(running.request, tasks.wait, tmp_path / "first"))
            await until((tmp_path / "first").exists)
            second = asyncio.create_task(pool.run(waiting.request, tasks.wait, tmp_path / "second"))
            await until(lambda: pool.in_progress == 2)
            waiting.leave()
            with pytest.raises(ClientDisconnect):
                await second
            assert pool.in_progress == 1
            running.leave()
            with pytest.raises(ClientDisconnect):
                await first
            assert not runs(int((tmp_path / "first").read_text()))
            assert pool.in_progress == 0
        assert not (tmp_path / "second").exists()

    run(test)


def test_task_beyond_its_time_is_ended(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, seconds=2) as pool:
            await pool.run(Client().request, tasks.process_id)
            with pytest.raises(TooMuchWork, match=r"longer than 2 s.*CHAINRULE_COMPUTE_SECONDS"):
                await pool.run(Client().request, tasks.wait, tmp_path / "first")
            assert not runs(int((tmp_path / "first").read_text()))
            assert await pool.run(Client().request, tasks.process_id) > 0

    run(test)


def test_task_beyond_its_memory_is_refused_and_its_process_replaced(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path) as pool:
            first = await pool.run(Client().request, tasks.process_id)
            with pytest.raises(TooMuchWork, match="CHAINRULE_COMPUTE_MEMORY_BYTES"):
                await pool.run(Client().request, tasks.allocate, 2**31)
            assert await pool.run(Client().request, tasks.process_id) != first

    run(test)


def test_process_that_dies_in_a_task_or_between_two_is_replaced(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path) as pool:
            with pytest.raises(TooMuchWork, match="SIGKILL"):
                await pool.run(Client().request, tasks.die)
            idle = await pool.run(Client().request, tasks.process_id)
            os.kill(idle, 9)
            time.sleep(0.05)
            assert await pool.run(Client().request, tasks.process_id) != idle

    run(test)


def test_process_that_keeps_much_memory_is_replaced(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, memory_bytes=2**31) as pool:
            small = await pool.run(Client().request, tasks.keep, 2**20)
            assert await pool.run(Client().request, tasks.keep, 350 * 2**20) == small
            assert await pool.run(Client().request, tasks.process_id) != small

    run(test)


def test_idle_processes_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute_pool, "IDLE_SECONDS", 0.2)

    async def test() -> None:
        async with pool_of(tmp_path) as pool:
            pid = await pool.run(Client().request, tasks.process_id)
            await until(lambda: not runs(pid))
            assert await pool.run(Client().request, tasks.process_id) != pid

    run(test)


def test_stopping_service_refuses_tasks_that_wait_and_completes_those_that_run(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path) as pool:
            first = asyncio.create_task(pool.run(Client().request, tasks.wait, tmp_path / "first", 0.5))
            await until((tmp_path / "first").exists)
            second = asyncio.create_task(pool.run(Client().request, tasks.process_id))
            await until(lambda: pool.in_progress == 2)
            pool.drain()
            with pytest.raises(ServiceBusy):
                await second
            assert not first.done()
            assert await first > 0

    run(test)


def test_task_that_waits_too_long_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(tmp_path, seconds=1.5) as pool:
            await pool.run(Client().request, tasks.process_id)
            first = asyncio.create_task(pool.run(Client().request, tasks.wait, tmp_path / "first"))
            await until((tmp_path / "first").exists)
            pool._limits = replace(pool._limits, seconds=0.1)
            with pytest.raises(ServiceBusy):
                await pool.run(Client().request, tasks.process_id)
            with pytest.raises(TooMuchWork):
                await first

    run(test)


PARENT = """
import asyncio, sys
from pathlib import Path
from tests.api.services.test_compute_pool import Client, LIMITS, ComputePool, tasks

async def main():
    pool = ComputePool(LIMITS, Path(sys.argv[1]))
    await pool.run(Client().request, tasks.wait, Path(sys.argv[1]) / "started")

asyncio.run(main())
"""


def test_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)])
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / "started").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        pid = int((tmp_path / "started").read_text())
        assert runs(pid)
    finally:
        parent.kill()
        parent.wait()
    while runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
