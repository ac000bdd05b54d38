"""Latency of GET /v1/jobs/{id} at 200 requests per second in a database with 10,000 jobs and 1,000,000 rows.

Latency counts from the scheduled time of each request (open loop), so waiting for an earlier request counts.
"""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from sqlalchemy import insert, text

from benchmarks.outcome import Outcome, at_most, percentile
from benchmarks.service import Service, postgres, service
from core.jobs.states import Status
from core.store import jobs
from core.store.database import Database
from core.store.scope import EVERYTHING
from core.store.tables import Event

JOBS, ROWS = 10_000, 100
RATE, SECONDS, CONNECTIONS = 200, 20.0, 8


def measure() -> Iterator[Outcome]:
    """Measure on SQLite, then on Postgres."""
    with service(worker=False) as embedded:
        yield _outcome("SQLite", embedded)
    with ExitStack() as stack:
        database = stack.enter_context(postgres())
        yield _outcome("Postgres", stack.enter_context(service(database, worker=False)))


def _outcome(name: str, one: Service) -> Outcome:
    ids = _fill(one.database)
    _settle(one.database)
    taken = _asked(one, ids)
    what = f"GET /v1/jobs/{{id}}, {RATE} a second, {JOBS:,} jobs and {JOBS * ROWS:,} rows, {name}: p99"
    return at_most(what, percentile(taken, 0.99), 25, "ms", f"p50 {median(taken):.1f} ms; {len(taken)} requests")


def _fill(database: Database) -> list[str]:
    """Insert ended jobs with their rows; return their ids."""
    ids: list[str] = []
    for _ in range(JOBS // 500):
        with database.begin() as s:
            made = [
                jobs.insert(s, EVERYTHING, name="stored", spec="{}", metadata={}, epochs=1, steps=ROWS, threads=1)
                for _ in range(500)
            ]
            for job in made:
                job.status, job.ended_at = Status.SUCCEEDED, job.created_at
                job.last_seq = ROWS + 1
            s.flush()
            rows = [
                {"job_id": job.id, "seq": n + 2, "kind": "metric", "step": n + 1, "epoch": 1, "split": "train",
                 "name": "loss", "value": 1 / (n + 1), "at": job.created_at, "recorded": n}
                for job in made for n in range(ROWS)
            ]  # fmt: skip
            s.execute(insert(Event), rows)
            ids += [job.id for job in made]
    return ids


def _settle(database: Database) -> None:
    """Run Postgres's maintenance now that would follow the bulk insert within minutes; it is no part of a request."""
    if database.engine.dialect.name == "postgresql":
        with database.read() as s:
            for statement in ("VACUUM ANALYZE", "CHECKPOINT"):
                s.execute(text(statement))


def _asked(one: Service, ids: list[str]) -> list[float]:
    """Return milliseconds from each request's scheduled time to its answer."""
    rng = random.Random(0)
    plan = [(turn / RATE, rng.choice(ids)) for turn in range(int(RATE * SECONDS))]
    taken: list[float] = []
    with one.client() as client:
        for _, job_id in plan[:200]:
            client.raw("GET", f"/v1/jobs/{job_id}")
    began = time.perf_counter() + 0.1

    def ask(share: int) -> None:
        with one.client() as client:
            for due, job_id in plan[share::CONNECTIONS]:
                time.sleep(max(0.0, began + due - time.perf_counter()))
                client.raw("GET", f"/v1/jobs/{job_id}")
                taken.append(1000 * (time.perf_counter() - began - due))

    threads = [threading.Thread(target=ask, args=(share,)) for share in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken
