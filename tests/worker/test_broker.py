"""Brokers that are killed, silent or cut off by the network: the worker still receives the next notification."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.backends import skip_or_fail
from harness.chaos.proxy import Proxy, State
from harness.chaos.servers import NoServer, Redis
from harness.processes import Processes, processes
from tests.worker.jobs import LONG, SPIRALS, a_spec


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Redis]:
    try:
        server = Redis(tmp_path / "redis", os.environ)
    except NoServer as error:
        skip_or_fail("redis", error)
    with ExitStack() as stack:
        stack.callback(server.stop)
        server.start()
        yield server


@pytest.mark.parametrize("settled", ["acknowledged", "rejected"])
def test_failed_acknowledgement_does_not_block_a_worker(broker: Redis, tmp_path: Path, settled: str) -> None:
    folder = tmp_path / "service"
    folder.mkdir()
    with processes(folder, broker_url=f"redis://127.0.0.1:{broker.port}/0") as running:
        running.start_api()
        running.start_worker()
        first = post(running, LONG)
        running.until(lambda: job(running, first)["status"] == "running", "the first job trains")
        broker.end(signal.SIGKILL)
        if settled == "rejected":  # Celery rejects the message of a child that died
            os.kill(int(job(running, first)["worker"].split(":")[3]), signal.SIGKILL)
            running.until(lambda: job(running, first)["status"] == "queued", "the job is requeued")
        httpx.post(f"{running.url}/v1/jobs/{first}/cancel", timeout=30).raise_for_status()
        running.until(lambda: job(running, first)["status"] == "cancelled", "the first job ends")
        broker.start()
        second = post(running, 1)
        running.until(lambda: job(running, second)["ended_at"], "the second job ends")
        assert job(running, second)["status"] == "succeeded"


@pytest.fixture
def network(broker: Redis) -> Iterator[Proxy]:
    """Open a proxy between the broker and the worker only."""
    proxy = Proxy(broker.port)
    with closing(proxy):
        yield proxy


@contextmanager
def behind(network: Proxy, broker: Redis, folder: Path, workers: int = 1) -> Iterator[Processes]:
    """Start an API with direct access to the broker, and a worker behind the proxy."""
    folder.mkdir()
    with processes(folder, broker_url=f"redis://127.0.0.1:{broker.port}/0", workers=workers) as running:
        running.start_api()
        running.environment["CHAINRULE_BROKER_URL"] = f"redis://127.0.0.1:{network.port}/0"
        running.start_worker()
        yield running


def test_idle_worker_reconnects_after_its_connections_are_dropped(
    broker: Redis, network: Proxy, tmp_path: Path
) -> None:
    with behind(network, broker, tmp_path / "service") as running:
        network.set(State.SILENT)
        network.drop_silently()
        network.set(State.OPEN)
        assert ended(running, post(running, 1))["status"] == "succeeded"


def test_worker_reconnects_while_one_of_its_processes_trains(broker: Redis, network: Proxy, tmp_path: Path) -> None:
    with behind(network, broker, tmp_path / "service", workers=2) as running:
        first = post(running, LONG)
        running.until(lambda: job(running, first)["status"] == "running", "the first job trains")
        network.drop_silently()
        assert ended(running, post(running, 1))["status"] == "succeeded"
        httpx.post(f"{running.url}/v1/jobs/{first}/cancel", timeout=30).raise_for_status()
        assert ended(running, first)["status"] == "cancelled"
        assert ended(running, post(running, 1))["status"] == "succeeded"


def test_acknowledgement_over_a_dropped_connection_does_not_block_a_worker(
    broker: Redis, network: Proxy, tmp_path: Path
) -> None:
    with behind(network, broker, tmp_path / "service") as running:
        first = post(running, LONG)
        running.until(lambda: job(running, first)["status"] == "running", "the first job trains")
        network.drop_silently()
        httpx.post(f"{running.url}/v1/jobs/{first}/cancel", timeout=30).raise_for_status()
        assert ended(running, first)["status"] == "cancelled"
        assert ended(running, post(running, 1))["status"] == "succeeded"


def test_worker_reconnects_after_the_broker_paused(broker: Redis, network: Proxy, tmp_path: Path) -> None:
    with behind(network, broker, tmp_path / "service") as running:
        with broker.client as client:
            client.client_pause(12_000)
        assert ended(running, post(running, 1))["status"] == "succeeded"


def test_worker_ends_on_sigterm_while_the_broker_is_silent(broker: Redis, network: Proxy, tmp_path: Path) -> None:
    with behind(network, broker, tmp_path / "service") as running:
        job_id = post(running, LONG)
        running.until(lambda: job(running, job_id)["status"] == "running", "the job trains")
        network.set(State.SILENT)
        worker = running.started[-1]
        worker.send_signal(signal.SIGTERM)
        running.until(lambda: job(running, job_id)["status"] == "queued", "the job is requeued")
        assert worker.wait(30) == 0


def test_embedded_worker_survives_removal_of_the_broker_folder(tmp_path: Path) -> None:
    with processes(tmp_path) as running:
        running.start_api()
        running.start_worker()
        remove(running.settings.data_dir / "broker")
        assert ended(running, post(running, 1))["status"] == "succeeded"
        remove(running.settings.data_dir / "broker")
        assert ended(running, post(running, 1))["status"] == "succeeded"


def remove(folder: Path) -> None:
    """Remove the folder in one step: a worker could write into it during a removal file by file."""
    shutil.rmtree(folder.rename(folder.with_name("removed")))


def post(running: Processes, epochs: int) -> str:
    """Post a job and return its id."""
    answer = httpx.post(f"{running.url}/v1/jobs", json=a_spec(SPIRALS, epochs=epochs), timeout=30)
    return str(answer.raise_for_status().json()["id"])


def job(running: Processes, job_id: str) -> dict[str, Any]:
    """Return the job from the API."""
    return dict(httpx.get(f"{running.url}/v1/jobs/{job_id}", timeout=30).json())


def ended(running: Processes, job_id: str) -> dict[str, Any]:
    """Wait for the job's end and return it."""
    running.until(lambda: job(running, job_id)["ended_at"], "the job ends")
    return job(running, job_id)
