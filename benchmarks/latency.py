"""Latency from POST to the first metric row and to the job's end: y = 2x, 100 steps, over HTTP."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from typing import NamedTuple

from benchmarks.outcome import Outcome, at_most, information, percentile
from benchmarks.service import Client, postgres, redis_database, service, until
from core.jobs.examples import DOUBLING

TIMES = 30
PAUSE = 0.003
"""Seconds between two requests of the polling client."""


class Times(NamedTuple):
    """Milliseconds since the POST was sent."""

    answered: float
    first_row: float
    succeeded: float


def measure() -> Iterator[Outcome]:
    """Measure on Postgres and Redis, then embedded."""
    yield from _embedded()
    yield from _networked()


def _networked() -> Iterator[Outcome]:
    with ExitStack() as stack:
        database, broker = stack.enter_context(postgres()), stack.enter_context(redis_database())
        client = stack.enter_context(stack.enter_context(service(database, broker)).client())
        times = _posted(client)
    first, done = [one.first_row for one in times], [one.succeeded for one in times]
    yield at_most("POST → first metric row readable, Postgres and Redis", median(first), 100, "ms", _note(first))
    yield at_most("y = 2x, 100 steps, POST → succeeded, Postgres and Redis", median(done), 250, "ms", _note(done))
    yield information("POST → 201, Postgres and Redis", median(one.answered for one in times), "ms")


def _embedded() -> Iterator[Outcome]:
    with service() as embedded, embedded.client() as client:
        times = _posted(client)
    first, done = [one.first_row for one in times], [one.succeeded for one in times]
    yield at_most("POST → first metric row readable, embedded", median(first), 600, "ms", _note(first))
    yield information("y = 2x, 100 steps, POST → succeeded, embedded", median(done), "ms", _note(done))


def _posted(client: Client) -> list[Times]:
    _post(client)  # the first request starts threads and connections
    return [_post(client) for _ in range(TIMES)]


def _post(client: Client) -> Times:
    began = time.perf_counter()
    job_id = client.post("/v1/jobs", DOUBLING)["id"]
    answered = time.perf_counter()
    until(lambda: client.get(f"/v1/jobs/{job_id}/metrics?limit=1")["items"], "a first metric row", PAUSE)
    first_row = time.perf_counter()
    client.until_status(job_id, "succeeded", PAUSE)
    return Times(*(1000 * (moment - began) for moment in (answered, first_row, time.perf_counter())))


def _note(values: list[float]) -> str:
    return f"median of {len(values)}; 90 % within {percentile(values, 0.9):.0f} ms"
