"""A broker that is killed while a bell is under way: the worker hears the next one all the same."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backends import missing
from tests.chaos.servers import NoServer, Redis
from tests.processes import Processes, processes
from tests.worker.jobs import LONG, SPIRALS, a_spec


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Redis]:
    try:
        server = Redis(tmp_path / "redis", os.environ)
    except NoServer as error:
        missing("redis", error)
    with ExitStack() as stack:
        stack.callback(server.stop)
        server.start()
        yield server


@pytest.mark.parametrize("settled", ["acknowledged", "rejected"])
def test_a_bell_that_cannot_be_settled_makes_no_worker_deaf(broker: Redis, tmp_path: Path, settled: str) -> None:
    folder = tmp_path / "service"
    folder.mkdir()
    with processes(folder, broker_url=f"redis://127.0.0.1:{broker.port}/0") as running:
        running.start_api()
        running.start_worker()
        first = post(running, LONG)
        running.until(lambda: job(running, first)["status"] == "running", "the first job trains")
        broker.end(signal.SIGKILL)
        if settled == "rejected":  # as Celery does for a child that died
            os.kill(int(job(running, first)["worker"].split(":")[3]), signal.SIGKILL)
            running.until(lambda: job(running, first)["status"] == "queued", "the job is given back")
        httpx.post(f"{running.url}/v1/jobs/{first}/cancel", timeout=30).raise_for_status()
        running.until(lambda: job(running, first)["status"] == "cancelled", "the first job ends")
        broker.start()
        second = post(running, 1)
        running.until(lambda: job(running, second)["ended_at"], "the second job is heard of")
        assert job(running, second)["status"] == "succeeded"


def post(running: Processes, epochs: int) -> str:
    """A job of so many epochs."""
    answer = httpx.post(f"{running.url}/v1/jobs", json=a_spec(SPIRALS, epochs=epochs), timeout=30)
    return str(answer.raise_for_status().json()["id"])


def job(running: Processes, job_id: str) -> dict[str, Any]:
    """The job as the API tells of it."""
    return dict(httpx.get(f"{running.url}/v1/jobs/{job_id}", timeout=30).json())
