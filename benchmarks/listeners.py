"""A thousand who watch one job while it trains: what they cost the API, and how late they hear of a row.

They are raw sockets in a process of their own. A row's time is the database's when its transaction began, which is
before its commit: what is told is a little more than the delay from commit to client.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from benchmarks.outcome import Outcome, at_most, percentile
from benchmarks.service import ROOT, Client, Service, postgres, redis_database, service

LISTENERS = 1000
SECONDS = 20.0
JOB: dict[str, Any] = {
    "name": "watched",
    "data": {"type": "builtin", "name": "spirals", "validation": {"fraction": 0.2}},
    "architecture": {"layers": [{"type": "dense", "units": 64, "activation": "tanh"}, {"type": "dense", "units": 1}]},
    "training": {"epochs": 10_000_000, "batch_size": 32, "log_every": 200, "seed": 1},
}


def measure() -> Iterator[Outcome]:
    """SQLite, then Postgres and Redis."""
    with service() as embedded:
        yield from _watched("SQLite", embedded)
    with ExitStack() as stack:
        database, broker = stack.enter_context(postgres()), stack.enter_context(redis_database())
        yield from _watched("Postgres", stack.enter_context(service(database, broker)))


def _watched(name: str, one: Service) -> Iterator[Outcome]:
    with one.client() as client:
        job_id = client.post("/v1/jobs", JOB)["id"]
        client.until_status(job_id, "running")
    crowd = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.listeners", str(one.port), job_id], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert crowd.stdout is not None
    crowd.stdout.readline()  # all of them listen
    began, used = time.perf_counter(), _figure(one, "process_cpu_seconds_total")
    told, _ = crowd.communicate(timeout=10 * SECONDS)
    cores = (_figure(one, "process_cpu_seconds_total") - used) / (time.perf_counter() - began)
    megabytes = _figure(one, "process_resident_memory_bytes") / 1e6
    delays = json.loads(told)
    what = f"{LISTENERS:,} listeners on one API process while a job trains, {name}"
    note = f"p50 {percentile(delays, 0.5):.0f} ms; {len(delays):,} pieces"
    yield at_most(f"{what}: p99 delay to the client", percentile(delays, 0.99), 500, "ms", note)
    yield at_most(f"{what}: resident memory", megabytes, 300, "MB")
    yield at_most(f"{what}: processor", cores, 1, "cores")


def _figure(one: Service, name: str) -> float:
    """One of the API's figures for Prometheus; by a new connection, since the API closes one that is idle."""
    with one.client() as client:
        lines = client.raw("GET", "/metrics").decode().splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


async def _crowd(port: int, job_id: str) -> list[float]:
    """Milliseconds by which the first row of each piece that came was late, once all were there."""
    delays: list[float] = []
    with contextlib.closing(Client(port)) as client:
        last = client.get(f"/v1/jobs/{job_id}/metrics?points=4")["items"][-1]["seq"]
    request = f"GET /v1/jobs/{job_id}/events?after={last} HTTP/1.1\r\nHost: benchmark\r\n\r\n".encode()
    heard: set[int] = set()
    counting = asyncio.Event()

    async def listen(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        while piece := await reader.read(1 << 20):
            heard.add(number)
            if counting.is_set():
                delays.extend(_late(piece))

    crowd = [asyncio.create_task(listen(number)) for number in range(LISTENERS)]
    while len(heard) < LISTENERS:
        await asyncio.sleep(0.1)
    await asyncio.sleep(SECONDS / 4)  # until all have caught up
    print("all listen", flush=True)
    counting.set()
    await asyncio.sleep(SECONDS)
    for one in crowd:
        one.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    return delays


def _late(piece: bytes) -> Iterator[float]:
    now = time.time()
    start = piece.find(b'"at":"') + 6
    if start >= 6 and len(piece) >= start + 27:
        yield 1000 * (now - datetime.fromisoformat(piece[start : start + 27].decode()).timestamp())


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_crowd(int(sys.argv[1]), sys.argv[2]))))
