"""Steps per second of a job in a real worker, with a loss row per step, beside the bare core in a loop."""

import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.nets import LINE, LITTLE, SAME_STEPS, Net, made_ready
from benchmarks.outcome import Missing, Outcome, at_least, information, ratios
from benchmarks.service import Service, postgres, service, until
from core.jobs.spec import JobSpec
from core.nn.step.state import start
from core.nn.training.learner import Learner
from core.store import jobs
from core.store.scope import EVERYTHING
from core.store.tables import Job

NETS = (LITTLE, SAME_STEPS, LINE)
LEAST = 0.95
ROUNDS = 9
SECONDS = 1.0
"""Seconds of one round."""
WARM = 0.5
LATE = 0.5
"""Seconds by which the stored rows may fall behind the training during a round."""


def measure() -> Iterator[Outcome]:
    """Measure each network on SQLite and on Postgres; 1-1 has no bound, since no network is smaller."""
    with ExitStack() as stack:
        services = {"SQLite": stack.enter_context(service())}
        try:
            services["Postgres"] = stack.enter_context(service(stack.enter_context(postgres())))
        except Missing:
            yield from _compared(services)
            raise
        yield from _compared(services)


def _compared(services: dict[str, Service]) -> Iterator[Outcome]:
    for net in NETS:
        bare = Bare(net)
        loop: list[float] = []
        running: dict[str, list[float]] = {name: [] for name in services}
        for _ in range(ROUNDS):
            for name, one in services.items():
                rate, threads = _of_a_job(one, net)
                running[name].append(rate)
            loop.append(bare.steps_per_second(threads))
        for name, rates in running.items():
            ratio, spread = ratios(rates, loop)
            what = f"steps per second of a running job against the bare core, {name}: {net.name}"
            note = f"{spread}; {median(rates):,.0f} of {median(loop):,.0f} a second"
            yield information(what, ratio, "", note) if net is LINE else at_least(what, ratio, LEAST, "", note)


class Bare:
    """Run `Learner.train()` in this process, with a job's number of threads."""

    def __init__(self, net: Net) -> None:
        np.seterr(all="ignore")  # as in a worker
        spec = JobSpec.model_validate_json(json.dumps(net.spec()))
        resolved, data = made_ready(spec)
        self._state = start(resolved.network, spec.optimizer, spec.training.seed)
        network, loss, training = resolved.network, resolved.loss, resolved.training
        self._items = Learner(network, loss, spec.optimizer, training, data, self._state).train()
        self._portion = 32

    def steps_per_second(self, threads: int) -> float:
        """Return steps per second of one round, with nothing in the loop but the training."""
        with threadpool_limits(threads, user_api="blas"):
            self._take(self._portion)
            before, began = self._state.step, time.perf_counter()
            while (taken := time.perf_counter() - began) < SECONDS:
                self._take(self._portion)
        return (self._state.step - before) / taken

    def _take(self, items: int) -> None:
        deque(islice(self._items, items), maxlen=0)


def _of_a_job(one: Service, net: Net) -> tuple[float, int]:
    """Return steps per second between two writes of the job's row in steady state, and its threads."""
    with one.client() as client:
        job_id = client.post("/v1/jobs", net.spec())["id"]
    try:
        _next_write(one, job_id)
        time.sleep(WARM)
        first = _next_write(one, job_id)
        time.sleep(SECONDS)
        last = _next_write(one, job_id)
    finally:
        with one.client() as client:
            client.post(f"/v1/jobs/{job_id}/cancel", {})
            client.until_status(job_id, "cancelled", 0.02)
    if last.recorded < last.step:
        raise RuntimeError(f"{last.step} steps left only {last.recorded} rows")
    trained = last.runtime - first.runtime
    written = (last.heartbeat_at or 0) - (first.heartbeat_at or 0)
    # If the stored rows fall behind, the rate of the writes counts.
    took = written if written - trained > LATE * 1e6 else trained
    return (last.step - first.step) / took * 1e6, last.threads


def _next_write(one: Service, job_id: str) -> Job:
    """Return the job's row after the worker's next write."""
    before = _row(one, job_id).writes

    def look() -> Job | None:
        job = _row(one, job_id)
        return job if job.step and job.writes > before else None

    return until(look, f"{job_id} trains")


def _row(one: Service, job_id: str) -> Job:
    with one.database.read() as s:
        return jobs.get(s, EVERYTHING, job_id)
