"""Prediction of one row beside an empty route of the same app, in turns on one connection."""

import time
from collections.abc import Iterator
from statistics import median

from benchmarks.outcome import Outcome, at_most, percentile
from benchmarks.service import Client, service
from core.jobs.examples import DOUBLING

TIMES = 1000
WARM = 50


def measure() -> Iterator[Outcome]:
    """Measure on the embedded service."""
    with service() as embedded, embedded.client() as client:
        job_id = client.post("/v1/jobs", DOUBLING)["id"]
        client.until_status(job_id, "succeeded")
        asked, empty = [], []
        for _ in range(WARM + TIMES):
            asked.append(_taken(client, "POST", f"/v1/jobs/{job_id}/predictions", b'{"instances": [[6]]}'))
            empty.append(_taken(client, "GET", "/health/live"))
    asked, empty = asked[WARM:], empty[WARM:]
    note = (
        f"p50 {median(asked):.2f} ms of {median(empty):.2f} ms; "
        f"p99 {percentile(asked, 0.99):.1f} ms of {percentile(empty, 0.99):.1f} ms"
    )
    yield at_most("one-row prediction against an empty route", median(asked) / median(empty), 2, "×", note)


def _taken(client: Client, method: str, path: str, body: bytes | None = None) -> float:
    began = time.perf_counter()
    client.raw(method, path, body)
    return 1000 * (time.perf_counter() - began)
