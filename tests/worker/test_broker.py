"""Brokers that are killed, silent or forgotten by the network: the worker hears the next bell all the same."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.backends import missing
from harness.chaos.proxy import Proxy, State
from harness.chaos.servers import NoServer, Redis
from harness.processes import Processes, processes
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


@pytest.fixture
def cable(broker: Redis) -> Iterator[Proxy]:
    """What lies between the broker and the worker alone."""
    proxy = Proxy(broker.port)
    with closing(proxy):
        yield proxy


@contextmanager
def beyond(cable: Proxy, broker: Redis, folder: Path, workers: int = 1) -> Iterator[Processes]:
    """An API beside the broker, and a worker at the end of the cable."""
    folder.mkdir()
    with processes(folder, broker_url=f"redis://127.0.0.1:{broker.port}/0", workers=workers) as running:
        running.start_api()
        running.environment["CHAINRULE_BROKER_URL"] = f"redis://127.0.0.1:{cable.port}/0"
        running.start_worker()
        yield running


def test_an_idle_worker_hears_again_when_its_connections_are_forgotten(
    broker: Redis, cable: Proxy, tmp_path: Path
) -> None:
    with beyond(cable, broker, tmp_path / "service") as running:
        cable.set(State.SILENT)
        cable.forget()
        cable.set(State.OPEN)
        assert ended(running, post(running, 1))["status"] == "succeeded"


def test_a_worker_hears_again_with_one_child_when_the_other_trains(broker: Redis, cable: Proxy, tmp_path: Path) -> None:
    with beyond(cable, broker, tmp_path / "service", workers=2) as running:
        first = post(running, LONG)
        running.until(lambda: job(running, first)["status"] == "running", "the first job trains")
        cable.forget()
        assert ended(running, post(running, 1))["status"] == "succeeded"
        httpx.post(f"{running.url}/v1/jobs/{first}/cancel", timeout=30).raise_for_status()
        assert ended(running, first)["status"] == "cancelled"
        assert ended(running, post(running, 1))["status"] == "succeeded"


def test_a_bell_settled_over_a_forgotten_connection_makes_no_worker_deaf(
    broker: Redis, cable: Proxy, tmp_path: Path
) -> None:
    with beyond(cable, broker, tmp_path / "service") as running:
        first = post(running, LONG)
        running.until(lambda: job(running, first)["status"] == "running", "the first job trains")
        cable.forget()
        httpx.post(f"{running.url}/v1/jobs/{first}/cancel", timeout=30).raise_for_status()
        assert ended(running, first)["status"] == "cancelled"
        assert ended(running, post(running, 1))["status"] == "succeeded"


def test_a_worker_hears_again_after_the_broker_stood_still(broker: Redis, cable: Proxy, tmp_path: Path) -> None:
    with beyond(cable, broker, tmp_path / "service") as running:
        with broker.client as client:
            client.client_pause(12_000)
        assert ended(running, post(running, 1))["status"] == "succeeded"


def test_a_worker_ends_when_told_though_the_broker_is_silent(broker: Redis, cable: Proxy, tmp_path: Path) -> None:
    with beyond(cable, broker, tmp_path / "service") as running:
        job_id = post(running, LONG)
        running.until(lambda: job(running, job_id)["status"] == "running", "the job trains")
        cable.set(State.SILENT)
        worker = running.started[-1]
        worker.send_signal(signal.SIGTERM)
        running.until(lambda: job(running, job_id)["status"] == "queued", "the job is handed back")
        assert worker.wait(30) == 0


def test_an_embedded_worker_hears_again_when_the_brokers_folder_was_removed(tmp_path: Path) -> None:
    with processes(tmp_path) as running:
        running.start_api()
        running.start_worker()
        remove(running.settings.data_dir / "broker")
        assert ended(running, post(running, 1))["status"] == "succeeded"
        remove(running.settings.data_dir / "broker")
        assert ended(running, post(running, 1))["status"] == "succeeded"


def remove(folder: Path) -> None:
    """Take the folder away in one step: a worker that still writes could fill it again under a removal file by file."""
    shutil.rmtree(folder.rename(folder.with_name("removed")))


def post(running: Processes, epochs: int) -> str:
    """A job of so many epochs."""
    answer = httpx.post(f"{running.url}/v1/jobs", json=a_spec(SPIRALS, epochs=epochs), timeout=30)
    return str(answer.raise_for_status().json()["id"])


def job(running: Processes, job_id: str) -> dict[str, Any]:
    """The job as the API tells of it."""
    return dict(httpx.get(f"{running.url}/v1/jobs/{job_id}", timeout=30).json())


def ended(running: Processes, job_id: str) -> dict[str, Any]:
    """The job at its end."""
    running.until(lambda: job(running, job_id)["ended_at"], "the job ends")
    return job(running, job_id)
