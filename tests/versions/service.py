"""Deployments of two versions on one database, and the requests of their clients."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx

from harness.backends import postgres_database, redis_database
from harness.processes import Processes, unmigrated_processes

KINDS = ["embedded", "postgres and redis"]
LONG: dict[str, Any] = {
    "data": {"type": "builtin", "name": "spirals", "rows": 400},
    "architecture": {"layers": [{"type": "dense", "units": 24, "activation": "tanh"}, {"type": "dense", "units": 2}]},
    "loss": "cross_entropy",
    "training": {"epochs": 800, "batch_size": 10, "seed": 7},
}
"""Some seconds of training."""
ENDLESS = LONG | {"training": {"epochs": 10_000_000, "batch_size": 10, "seed": 7}}
SHORT = LONG | {"training": {"epochs": 2, "batch_size": 40, "seed": 7}}
ENDED = {"succeeded", "failed", "cancelled"}


@contextmanager
def two_versions(kind: str, folder: Path, other: Path) -> Iterator["TwoVersions"]:
    """Yield processes of this version and of another tree on one database without tables; none is started yet."""
    with ExitStack() as stack:
        urls = {}
        if kind != "embedded":
            urls["database_url"] = stack.enter_context(postgres_database())
            urls["broker_url"] = stack.enter_context(redis_database())
        (folder / "this").mkdir()
        this = stack.enter_context(unmigrated_processes(folder / "this", log_level="warning", **urls))
        others = this.of_version(other, folder / "other")
        stack.callback(others.stop)
        yield TwoVersions(this, others)


@dataclass
class TwoVersions:
    """Processes of this version and of another one."""

    this: Processes
    other: Processes

    def stop(self, process: Popen[bytes]) -> None:
        """End a process with SIGTERM; it must succeed."""
        process.terminate()
        assert process.wait(60) == 0, self.this.output() + self.other.output()

    def ended(self, job_id: str, api: Processes) -> dict[str, Any]:
        """Wait for the end of a job and return it."""
        self.this.until(lambda: job(api, job_id)["status"] in ENDED, f"{job_id} ends")
        return job(api, job_id)


def cancelled(both: TwoVersions, job_id: str, api: Processes) -> dict[str, Any]:
    """Wait until a job trains with this version's arithmetic, cancel it, and return it when it has ended."""
    both.this.until(lambda: job(api, job_id)["reproducible"] is False, f"{job_id} is resumed")
    httpx.post(f"{api.url}/v1/jobs/{job_id}/cancel", timeout=60).raise_for_status()
    return both.ended(job_id, api)


def post(api: Processes, spec: dict[str, Any] = SHORT, **changes: Any) -> str:
    """Post a job and return its id."""
    answer = httpx.post(f"{api.url}/v1/jobs", json=spec | changes, timeout=60)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def post_under_load(api: Processes, spec: dict[str, Any] = SHORT, *, clients: int = 3, jobs: int = 6) -> list[str]:
    """Post jobs by several clients at once and return their ids."""
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(lambda _: post(api, spec), range(jobs)))


def job(api: Processes, job_id: str) -> dict[str, Any]:
    """Return a job."""
    return dict(httpx.get(f"{api.url}/v1/jobs/{job_id}", timeout=60).raise_for_status().json())


def claims(found: dict[str, Any]) -> list[int]:
    """Return the process ids of the workers that claimed a job."""
    messages = (one["message"] for one in found["transitions"])
    return [int(text.split(":")[1]) for text in messages if text.startswith("claimed by ")]


def refusal(process: Popen[bytes], running: Processes, name: str) -> str:
    """Wait until a process refuses to start, and return the one line that it writes."""
    assert process.wait(60) == 1, running.output()
    (line,) = (running.folder / f"{name}-{len(running.started) - 1}.log").read_text().splitlines()
    return line
