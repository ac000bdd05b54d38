"""The soak run: an API, two workers of two processes each, concurrent clients, and a thread that kills workers."""

import contextlib
import os
import queue
import random
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from harness.backends import postgres_database, redis_database
from harness.processes import Processes, processes
from harness.soak.client import JOB_TIMEOUT_SECONDS, EndedJob, run_planned
from harness.soak.plan import Load, PlannedJob, planned_jobs
from harness.soak.usage import MAX_CONNECTION_GROWTH, ResourceUsage, connections, growth_failures, of_process, of_tree

WARM_UP_FRACTION = 0.1
"""Fraction of the jobs after which usage is measured first: by then pools are full and libraries loaded."""


@dataclass
class SoakReport:
    """The jobs as they ended, the kills, and the resource usage before and after."""

    load: Load
    jobs: list[EndedJob] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    before: dict[str, ResourceUsage] = field(default_factory=dict)
    after: dict[str, ResourceUsage] = field(default_factory=dict)
    connections: tuple[int, int] = (0, 0)
    seconds: float = 0.0

    def failures(self) -> list[str]:
        """Return a line for each failure."""
        lines = [job.failure for job in self.jobs if job.failure]
        if len(self.jobs) != self.load.jobs:
            lines.append(f"{len(self.jobs)} of {self.load.jobs} jobs ended")
        weights = {(job.size, job.weights) for job in self.jobs if job.status == "succeeded"}
        several = [size for size, count in Counter(size for size, _ in weights).items() if count > 1]
        lines += [f"{size} jobs ended with different weights" for size in several]
        lines += growth_failures(self.before, self.after)
        if self.connections[1] > self.connections[0] + MAX_CONNECTION_GROWTH:
            lines.append("connections to the database grew from {} to {}".format(*self.connections))
        return lines


def soak(load: Load) -> SoakReport:
    """Run the load and return the report; end all started processes."""
    report = SoakReport(load)
    with _running(load) as running:
        api, workers = running.start_api(), [running.start_worker() for _ in range(2)]
        began, stop, restart_lock = time.monotonic(), threading.Event(), threading.Lock()
        killer = threading.Thread(target=_kill, args=(running, workers, report, stop, restart_lock), daemon=True)
        killer.start()
        remaining: queue.SimpleQueue[PlannedJob] = queue.SimpleQueue()
        for planned in planned_jobs(load):
            remaining.put(planned)
        clients = [
            threading.Thread(target=_client, args=(running.url, remaining, began, report), daemon=True)
            for _ in range(load.clients)
        ]
        for client in clients:
            client.start()
        try:
            warm = began + load.seconds + JOB_TIMEOUT_SECONDS
            while len(report.jobs) < WARM_UP_FRACTION * load.jobs and time.monotonic() < warm:
                time.sleep(0.2)
            with restart_lock:
                report.before = _measure(api, workers)
            first = connections(running.settings.database_url)
            for client in clients:
                client.join()
        finally:
            stop.set()
            killer.join()
        time.sleep(min(10.0, load.seconds / 10))  # let the last work finish
        report.after, report.connections = _measure(api, workers), (first, connections(running.settings.database_url))
        report.seconds = time.monotonic() - began
    return report


@contextmanager
def _running(load: Load) -> Iterator[Processes]:
    with ExitStack() as stack:
        urls: dict[str, str] = {}
        if load.database == "postgres":
            urls["database_url"] = stack.enter_context(postgres_database())
            urls["broker_url"] = stack.enter_context(redis_database())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chainrule-soak-")))
        yield stack.enter_context(processes(folder, workers=2, lease_seconds=10, log_level="warning", **urls))


def _client(url: str, remaining: "queue.SimpleQueue[PlannedJob]", began: float, report: SoakReport) -> None:
    with httpx.Client(base_url=url, timeout=120) as client:
        while True:
            try:
                planned = remaining.get_nowait()
            except queue.Empty:
                return
            time.sleep(max(0.0, began + planned.start_seconds - time.monotonic()))
            try:
                report.jobs.append(run_planned(client, planned))
            except Exception as error:
                report.jobs.append(EndedJob(planned.size, planned.action, "lost", None, f"{planned}: {error!r}"))


def _kill(
    running: Processes,
    workers: list[subprocess.Popen[bytes]],
    report: SoakReport,
    stop: threading.Event,
    restart_lock: threading.Lock,
) -> None:
    """Kill a training child or a whole worker at random times; restart a killed worker under `restart_lock`."""
    rng = random.Random(report.load.seed)
    while not stop.wait(report.load.kill_seconds * rng.uniform(0.5, 1.5)):
        if rng.random() < 0.3:
            index = rng.randrange(len(workers))
            with restart_lock:
                os.killpg(workers[index].pid, signal.SIGKILL)
                workers[index].wait()
                workers[index] = running.start_worker()
            report.kills["workers"] += 1
        elif found := _training(running.url):
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(found), signal.SIGKILL)
                report.kills["children"] += 1


def _training(url: str) -> list[int]:
    """Return the ids of the processes that train now, from the names of the jobs' workers."""
    try:
        jobs = httpx.get(f"{url}/v1/jobs?status=running&limit=100", timeout=60).raise_for_status().json()["items"]
    except httpx.HTTPError:
        return []
    return sorted({int(job["worker"].split(":")[3]) for job in jobs if job["worker"]})


def _measure(api: subprocess.Popen[bytes], workers: list[subprocess.Popen[bytes]]) -> dict[str, ResourceUsage]:
    usages = [_measure_worker(worker) for worker in workers]
    largest = ResourceUsage(*(max(column) for column in zip(*usages, strict=True)))
    return {"API": of_process(api.pid), "workers (the largest process)": largest}


def _measure_worker(worker: subprocess.Popen[bytes]) -> ResourceUsage:
    """Return the usage of a worker; retry if one of its processes ends during the measurement."""
    for _ in range(50):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return of_tree(worker)
        time.sleep(0.1)
    return of_tree(worker)


def table(report: SoakReport) -> str:
    """Return the report as text."""
    ends = Counter((job.action, job.status) for job in report.jobs)
    lines = [
        f"{report.load}",
        f"{len(report.jobs)} jobs in {report.seconds:.0f} s; killed: {dict(report.kills)}",
        "",
        *(f"{action:>8} → {status:<10} {count:>6}" for (action, status), count in sorted(ends.items())),
        "",
        f"{'':<32}{'MB':>14}{'files':>14}{'threads':>14}",
        *(_line(part, report.before[part], report.after[part]) for part in report.before),
        f"{'connections to the database':<32}" + "{} → {}".format(*report.connections).rjust(14),
        "",
        *(report.failures() or ["no failures"]),
    ]
    return "\n".join(lines)


def _line(part: str, before: Mapping[int, float] | ResourceUsage, after: ResourceUsage) -> str:
    columns = (f"{then:.0f} → {now:.0f}".rjust(14) for then, now in zip(before, after, strict=True))
    return f"{part:<32}{''.join(columns)}"
