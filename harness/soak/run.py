"""The soak: an API and two workers of two processes each, clients at once, and a hand that kills."""

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
from harness.soak.client import PATIENCE, Ended, serve_errand
from harness.soak.figures import CONNECTIONS, Figures, connections, grown, of_process, of_tree
from harness.soak.plan import Errand, Load, errands

WARM = 0.1
"""The part of the jobs after which the first figures are taken: by then pools are full and libraries loaded."""


@dataclass
class Soak:
    """What happened: the jobs as they ended, the kills, and the figures before and after."""

    load: Load
    jobs: list[Ended] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    before: dict[str, Figures] = field(default_factory=dict)
    after: dict[str, Figures] = field(default_factory=dict)
    connections: tuple[int, int] = (0, 0)
    seconds: float = 0.0

    def wrong(self) -> list[str]:
        """Everything that is not as it should be, one line each."""
        lines = [job.wrong for job in self.jobs if job.wrong]
        if len(self.jobs) != self.load.jobs:
            lines.append(f"{len(self.jobs)} of {self.load.jobs} jobs came to an end")
        weights = {(job.size, job.weights) for job in self.jobs if job.status == "succeeded"}
        several = [size for size, count in Counter(size for size, _ in weights).items() if count > 1]
        lines += [f"{size} jobs ended with different weights" for size in several]
        lines += grown(self.before, self.after)
        if self.connections[1] > self.connections[0] + CONNECTIONS:
            lines.append("connections to the database grew from {} to {}".format(*self.connections))
        return lines


def soak(load: Load) -> Soak:
    """Run it, and end everything that it started."""
    told = Soak(load)
    with _running(load) as running:
        api, workers = running.start_api(), [running.start_worker() for _ in range(2)]
        began, over, whole = time.monotonic(), threading.Event(), threading.Lock()
        hand = threading.Thread(target=_kill, args=(running, workers, told, over, whole), daemon=True)
        hand.start()
        waiting: queue.SimpleQueue[Errand] = queue.SimpleQueue()
        for errand in errands(load):
            waiting.put(errand)
        clients = [
            threading.Thread(target=_client, args=(running.url, waiting, began, told), daemon=True)
            for _ in range(load.clients)
        ]
        for client in clients:
            client.start()
        try:
            warm = began + load.seconds + PATIENCE
            while len(told.jobs) < WARM * load.jobs and time.monotonic() < warm:
                time.sleep(0.2)
            with whole:
                told.before = _figures(api, workers)
            first = connections(running.settings.database_url)
            for client in clients:
                client.join()
        finally:
            over.set()
            hand.join()
        time.sleep(min(10.0, load.seconds / 10))  # what is under way comes to rest
        told.after, told.connections = _figures(api, workers), (first, connections(running.settings.database_url))
        told.seconds = time.monotonic() - began
    return told


@contextmanager
def _running(load: Load) -> Iterator[Processes]:
    with ExitStack() as stack:
        urls: dict[str, str] = {}
        if load.database == "postgres":
            urls["database_url"] = stack.enter_context(postgres_database())
            urls["broker_url"] = stack.enter_context(redis_database())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chainrule-soak-")))
        yield stack.enter_context(processes(folder, workers=2, lease_seconds=10, log_level="warning", **urls))


def _client(url: str, waiting: "queue.SimpleQueue[Errand]", began: float, told: Soak) -> None:
    with httpx.Client(base_url=url, timeout=120) as client:
        while True:
            try:
                errand = waiting.get_nowait()
            except queue.Empty:
                return
            time.sleep(max(0.0, began + errand.at - time.monotonic()))
            try:
                told.jobs.append(serve_errand(client, errand))
            except Exception as error:
                told.jobs.append(Ended(errand.size, errand.wish, "lost", None, f"{errand}: {error!r}"))


def _kill(
    running: Processes,
    workers: list[subprocess.Popen[bytes]],
    told: Soak,
    over: threading.Event,
    whole: threading.Lock,
) -> None:
    """Kill a child that trains or a whole worker now and then; the latter is started again, under the lock `whole`."""
    draw = random.Random(told.load.seed)
    while not over.wait(told.load.kill_seconds * draw.uniform(0.5, 1.5)):
        if draw.random() < 0.3:
            place = draw.randrange(len(workers))
            with whole:
                os.killpg(workers[place].pid, signal.SIGKILL)
                workers[place].wait()
                workers[place] = running.start_worker()
            told.kills["workers"] += 1
        elif found := _training(running.url):
            with contextlib.suppress(ProcessLookupError):
                os.kill(draw.choice(found), signal.SIGKILL)
                told.kills["children"] += 1


def _training(url: str) -> list[int]:
    """The processes that train now, by the names of the jobs' workers."""
    try:
        jobs = httpx.get(f"{url}/v1/jobs?status=running&limit=100", timeout=60).raise_for_status().json()["items"]
    except httpx.HTTPError:
        return []
    return sorted({int(job["worker"].split(":")[3]) for job in jobs if job["worker"]})


def _figures(api: subprocess.Popen[bytes], workers: list[subprocess.Popen[bytes]]) -> dict[str, Figures]:
    every = [_patiently(worker) for worker in workers]
    most = Figures(*(max(column) for column in zip(*every, strict=True)))
    return {"API": of_process(api.pid), "workers (the largest process)": most}


def _patiently(worker: subprocess.Popen[bytes]) -> Figures:
    """The figures of a worker, some process of which may end while it is looked at."""
    for _ in range(50):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return of_tree(worker)
        time.sleep(0.1)
    return of_tree(worker)


def table(told: Soak) -> str:
    """What happened, for a reader."""
    ends = Counter((job.wish, job.status) for job in told.jobs)
    lines = [
        f"{told.load}",
        f"{len(told.jobs)} jobs in {told.seconds:.0f} s; killed: {dict(told.kills)}",
        "",
        *(f"{wish:>8} → {status:<10} {count:>6}" for (wish, status), count in sorted(ends.items())),
        "",
        f"{'':<32}{'MB':>14}{'files':>14}{'threads':>14}",
        *(_line(part, told.before[part], told.after[part]) for part in told.before),
        f"{'connections to the database':<32}" + "{} → {}".format(*told.connections).rjust(14),
        "",
        *(told.wrong() or ["everything ended rightly, and nothing grew"]),
    ]
    return "\n".join(lines)


def _line(part: str, before: Mapping[int, float] | Figures, after: Figures) -> str:
    columns = (f"{then:.0f} → {now:.0f}".rjust(14) for then, now in zip(before, after, strict=True))
    return f"{part:<32}{''.join(columns)}"
