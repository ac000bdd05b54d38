"""A thousand event streams of one training job: their cost for the API and their delay.

The clients are raw sockets in a process of their own. A third process polls the database every few milliseconds for the
number of the job's last event, which gives the commit times.
"""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from sqlalchemy import select

from benchmarks.outcome import Outcome, at_most, percentile
from benchmarks.service import ROOT, Client, Service, postgres, redis_database, service
from core.store.database import Database
from core.store.tables import Job

LISTENERS = 1000
SECONDS = 20.0
LOOK_SECONDS = 0.002
"""Seconds between two polls of the database; measured delays are too short by at most this and one poll."""
SEQ = re.compile(rb'"seq":(\d+),')
JOB: dict[str, Any] = {
    "name": "watched",
    "data": {"type": "builtin", "name": "spirals", "validation": {"fraction": 0.2}},
    "architecture": {"layers": [{"type": "dense", "units": 64, "activation": "tanh"}, {"type": "dense", "units": 1}]},
    "training": {"epochs": 10_000_000, "batch_size": 32, "log_every": 200, "seed": 1},
}


def measure() -> Iterator[Outcome]:
    """Measure on SQLite, then on Postgres and Redis."""
    with service() as embedded:
        yield from _watched("SQLite", embedded)
    with ExitStack() as stack:
        database, broker = stack.enter_context(postgres()), stack.enter_context(redis_database())
        yield from _watched("Postgres", stack.enter_context(service(database, broker)))


class Committed(threading.Thread):
    """Records when each event of a job became readable, while the block lasts."""

    def __init__(self, database: Database, job_id: str) -> None:
        super().__init__()
        self._database = database
        self._last = select(Job.last_seq).where(Job.id == job_id)
        self._over = threading.Event()
        self._numbers: list[int] = []
        self._times: list[float] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Poll until the block ends."""
        with self._database.read_connection() as connection:
            while not self._over.wait(LOOK_SECONDS):
                number = int(connection.scalars(self._last).one())
                if not self._numbers or number > self._numbers[-1]:
                    self._numbers.append(number)
                    self._times.append(time.time())

    def at(self, number: int) -> float:
        """Return when this event was first seen, in seconds since 1970; `IndexError` if it never was."""
        return self._times[bisect_left(self._numbers, number)]


def _watched(name: str, one: Service) -> Iterator[Outcome]:
    with one.client() as client:
        job_id = client.post("/v1/jobs", JOB)["id"]
        client.until_status(job_id, "running")
    with Committed(one.database, job_id) as committed:
        crowd = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.listeners", str(one.port), job_id], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert crowd.stdout is not None
        crowd.stdout.readline()  # all clients are connected
        began, used = time.perf_counter(), _figure(one, "process_cpu_seconds_total")
        printed, _ = crowd.communicate(timeout=10 * SECONDS)
        cores = (_figure(one, "process_cpu_seconds_total") - used) / (time.perf_counter() - began)
        megabytes = _figure(one, "process_resident_memory_bytes") / 1e6
    delays = [1000 * (came - committed.at(number)) for number, came in json.loads(printed)]
    what = f"{LISTENERS:,} listeners on one API process while a job trains, {name}"
    note = f"p50 {percentile(delays, 0.5):.0f} ms; {len(delays):,} pieces"
    yield at_most(f"{what}: p99 delay from commit to client", percentile(delays, 0.99), 500, "ms", note)
    yield at_most(f"{what}: resident memory", megabytes, 300, "MB")
    yield at_most(f"{what}: processor", cores, 1, "cores")


def _figure(one: Service, name: str) -> float:
    """Return one of the API's Prometheus values, over a new connection, since the API closes idle ones."""
    with one.client() as client:
        lines = client.raw("GET", "/metrics").decode().splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


async def _crowd(port: int, job_id: str) -> list[tuple[int, float]]:
    """Return the first event of each received chunk and its time in seconds since 1970, once all are connected."""
    came: list[tuple[int, float]] = []
    request = f"GET /v1/jobs/{job_id}/events?after={_last(port, job_id)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    heard: set[int] = set()

    async def listen(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        while piece := await reader.read(1 << 20):
            heard.add(number)
            came.extend(_first(piece))

    crowd = [asyncio.create_task(listen(number)) for number in range(LISTENERS)]
    while len(heard) < LISTENERS:
        await asyncio.sleep(0.1)
    since = await asyncio.to_thread(_last, port, job_id)
    print("all listen", flush=True)
    await asyncio.sleep(SECONDS)
    for one in crowd:
        one.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    return [(number, at) for number, at in came if number > since]


def _last(port: int, job_id: str) -> int:
    """Return the number of the job's last metric row."""
    with contextlib.closing(Client(port)) as client:
        return int(client.get(f"/v1/jobs/{job_id}/metrics?points=4")["items"][-1]["seq"])


def _first(piece: bytes) -> Iterator[tuple[int, float]]:
    if found := SEQ.search(piece):
        yield int(found[1]), time.time()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_crowd(int(sys.argv[1]), sys.argv[2]))))
