"""A burst of large bodies: when it is over, the API gives the memory back; and garbage in cycles is collected."""

import asyncio
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from api.services import memory_release
from core import allocator
from harness.load.memory import resident_megabytes
from harness.processes import processes

BODY_MEGABYTES = 15
CLIENTS = 8
ROUNDS = 3
KEPT_MEGABYTES = 32
"""By how much a burst may enlarge the API for good: about two bodies, of the eight that it holds at a time."""


@pytest.mark.skipif(allocator._glibc() is None, reason="mallopt is glibc's")
def test_api_gives_the_memory_of_a_burst_back(tmp_path: Path) -> None:
    with processes(tmp_path) as running:
        api = running.start_api()

        def post(size: int) -> int:
            headers = {"Content-Type": "application/json"}
            return httpx.post(f"{running.url}/v1/jobs", content=b" " * size, headers=headers, timeout=120).status_code

        assert post(2**21) == 422  # so that all code is loaded
        before = resident_megabytes(api.pid)
        with ThreadPoolExecutor(CLIENTS) as clients:
            for _ in range(ROUNDS):
                assert set(clients.map(post, [BODY_MEGABYTES * 2**20] * CLIENTS)) == {422}
        running.until(
            lambda: resident_megabytes(api.pid) < before + KEPT_MEGABYTES, f"the API is as small as before: {before} MB"
        )


class Cyclic:
    """An object that refers to itself, so that counting references never frees it."""

    def __init__(self) -> None:
        self.itself = self


def test_memory_is_released_while_the_process_is_larger_than_at_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([100, 100, 100 + memory_release.GROWTH_BYTES, 101 + memory_release.GROWTH_BYTES, 100])
    released: list[str] = []

    async def releases() -> None:
        task = asyncio.create_task(memory_release.release_memory(0))
        while not ended:
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    ended: list[bool] = []

    def size() -> int:
        found = next(sizes, None)
        if found is None:
            ended.append(True)
        return found or 0

    monkeypatch.setattr(allocator, "resident_bytes", size)
    monkeypatch.setattr(allocator, "release_freed_memory", lambda: released.append("released"))
    gc.disable()
    try:
        garbage = weakref.ref(Cyclic())
        assert garbage() is not None
        asyncio.run(releases())
        assert garbage() is None
    finally:
        gc.enable()
    assert released == ["released"]
