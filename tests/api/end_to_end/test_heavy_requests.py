"""Heavy requests beside light ones, on a running API: full queue, clients that leave, the end of the API."""

import signal
import socket
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import pytest

from harness.processes import Processes, processes
from tests.api.conftest import running
from tests.api.services.test_compute_pool import runs

FEATURES = 1000
TRAINING = {
    "data": {"type": "inline", "x": [[0.5] * FEATURES, [1.5] * FEATURES], "y": [1, 2]},
    "architecture": {
        "layers": [{"type": "dense", "units": 2000}, {"type": "dense", "units": 3000}, {"type": "dense", "units": 1}]
    },
    "optimizer": {"type": "sgd", "learning_rate": 1e-9},
    "training": {"epochs": 1, "seed": 1},
}
"""A network of 8 million weights."""


class Heavy(NamedTuple):
    """An API with one process for heavy requests and no queue, and a job with a large network."""

    processes: Processes
    pid: int
    url: str

    def post(self, rows: int, timeout: float = 30.0) -> httpx.Response:
        """Predict; 15,000 rows take more than two seconds."""
        return httpx.post(self.url, content=_rows(rows), headers={"Content-Type": "application/x-npy"}, timeout=timeout)

    def connect(self, rows: int) -> socket.socket:
        """Post rows and return the connection without reading the answer."""
        body = _rows(rows)
        settings = self.processes.settings
        connection = socket.create_connection((settings.host, settings.port))
        head = f"POST {httpx.URL(self.url).path} HTTP/1.1\r\nHost: {settings.host}\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(f"{head}Content-Type: application/x-npy\r\n\r\n".encode() + body)
        return connection


def _rows(count: int) -> bytes:
    buffer = BytesIO()
    np.save(buffer, np.ones((count, FEATURES), np.int8))
    return buffer.getvalue()


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


@pytest.fixture
def heavy(tmp_path: Path) -> Iterator[Heavy]:
    with processes(tmp_path, compute_processes=1, compute_queue=0) as started:
        with running(started.settings) as api:
            job = api.trained(**TRAINING)["id"]
        pid = started.start_api().pid
        yield Heavy(started, pid, f"{started.url}/v1/jobs/{job}/predictions")


def test_client_that_leaves_frees_its_place(heavy: Heavy) -> None:
    assert heavy.post(20).status_code == 200
    (process,) = children(heavy.pid)
    with heavy.connect(15_000):
        heavy.processes.until(lambda: heavy.post(20).status_code == 503, "the only place is taken")
        assert httpx.get(f"{heavy.processes.url}/health/live").status_code == 200
    heavy.processes.until(lambda: heavy.post(20).status_code == 200, "the place is free")
    assert not runs(process)
    assert len(children(heavy.pid)) == 1


def test_processes_end_with_the_api(heavy: Heavy) -> None:
    (api,) = heavy.processes.started
    with heavy.connect(15_000):
        (process,) = heavy.processes.until(lambda: children(heavy.pid), "a process computes")
        api.kill()
        api.wait()
        heavy.processes.until(lambda: not runs(process), "its process has ended")


def test_sigterm_stops_an_api_with_an_idle_process_at_once(heavy: Heavy) -> None:
    (api,) = heavy.processes.started
    assert heavy.post(20).status_code == 200
    (process,) = children(heavy.pid)
    began = time.monotonic()
    api.send_signal(signal.SIGTERM)
    assert api.wait(20) == 0, heavy.processes.output()
    assert time.monotonic() - began < 8
    assert not runs(process)
    assert "Traceback" not in heavy.processes.output()
