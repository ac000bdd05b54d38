"""A stream while its processes restart or are killed: no gap, no duplicate, no disorder."""

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.backends import redis_database
from harness.postgres import Server, postgres_server
from harness.processes import Processes, processes
from tests.worker.jobs import LONG, SPIRALS, a_spec

ENDLESS = a_spec(SPIRALS, epochs=LONG, batch_size=100, shuffle=True, log_every=10)
TERMINAL = {"succeeded", "failed", "cancelled"}


class Listener:
    """Reads a job's stream in a thread like a browser: it reconnects after the last received event."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[dict[str, Any]] = []
        self.connections = 0
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def last(self) -> int:
        """The id of the last received event."""
        return int(self.received[-1]["seq"]) if self.received else 0

    def _run(self) -> None:
        while not self.ended.is_set():
            try:
                self._listen()
            except httpx.HTTPError:
                self.ended.wait(0.05)

    def _listen(self) -> None:
        headers = {"Last-Event-ID": str(self.last)} if self.received else {}
        with httpx.stream("GET", self.url, headers=headers, timeout=30) as answer:
            answer.raise_for_status()
            self.connections += 1
            for frame in frames(answer.iter_lines()):
                row = json.loads(frame["data"])
                assert frame["id"] == str(row["seq"])
                self.received.append(row)
                if row.get("status") in TERMINAL:
                    self.ended.set()


def frames(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Yield complete server-sent events with data; skip comments and retry delays."""
    frame: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            frame[name] = value
        else:
            if "data" in frame:
                yield frame
            frame = {}


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and all its children."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def terminate(process: subprocess.Popen[bytes]) -> None:
    """Terminate the process and wait for it."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


@pytest.fixture(params=["embedded", "postgres and redis"])
def database(request: pytest.FixtureRequest) -> Iterator[Server | None]:
    """Start a database server that can be restarted; None for the embedded database."""
    if request.param == "embedded":
        yield None
        return
    with postgres_server() as server:
        yield server


def test_restarts_of_every_process_lose_no_event(database: Server | None, tmp_path: Path) -> None:
    with ExitStack() as stack:
        broker = stack.enter_context(redis_database()) if database else None
        running = stack.enter_context(
            processes(tmp_path, database_url=database and database.url, broker_url=broker, lease_seconds=2)
        )
        api, worker = running.start_api(), running.start_worker()
        url = f"{running.url}/v1/jobs/{httpx.post(f'{running.url}/v1/jobs', json=ENDLESS).json()['id']}"
        listener = Listener(f"{url}/events")
        stack.callback(listener.ended.set)

        def wait_for_events() -> None:
            last = listener.last
            running.until(lambda: listener.last > last + 200, "the stream continues")

        wait_for_events()
        for end in (terminate, kill):
            end(api)
            api = running.start_api()
            wait_for_events()
            end(worker)
            worker = running.start_worker()
            wait_for_events()
        for mode in ("fast", "immediate") if database else ():
            database.restart(mode)  # type: ignore[union-attr]
            wait_for_events()
        cancel(running, url)
        running.until(listener.ended.is_set, "the stream ends")
        assert [row["seq"] for row in listener.received] == list(range(1, listener.last + 1))
        assert listener.connections >= 3
        newest = max(0, listener.last - 5000)
        stored = httpx.get(f"{url}/metrics?limit=10000&after={newest}", timeout=30).json()["items"]
        streamed = [row for row in listener.received if row["event"] == "metric" and row["seq"] > newest]
        assert [{name: row[name] for name in row if name != "event"} for row in streamed] == stored


def cancel(running: Processes, url: str) -> None:
    """Cancel the job, retrying until the service answers."""

    def is_cancelled() -> bool:
        return httpx.post(f"{url}/cancel", timeout=30).status_code == 200

    running.until(is_cancelled, "the job is cancelled")


def test_disconnected_listeners_are_not_counted(tmp_path: Path) -> None:
    with processes(tmp_path) as running:
        running.start_api()
        job = httpx.post(f"{running.url}/v1/jobs", json=ENDLESS).json()["id"]
        clients = [socket.create_connection(("127.0.0.1", running.settings.port)) for _ in range(20)]
        for client in clients:
            client.sendall(f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        running.until(lambda: listeners(running) == 20, "all clients listen")
        for client in clients:
            client.close()
        running.until(lambda: listeners(running) == 0, "no client is counted")


def listeners(running: Processes) -> float:
    """Return the number of open streams by the metrics for Prometheus."""
    lines = httpx.get(f"{running.url}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("chainrule_event_listeners "))


def test_json_lines_end_cleanly_when_the_server_stops(tmp_path: Path) -> None:
    with processes(tmp_path) as running:
        api = running.start_api()
        job = httpx.post(f"{running.url}/v1/jobs", json=ENDLESS).json()["id"]
        with httpx.stream(
            "GET", f"{running.url}/v1/jobs/{job}/events", headers={"Accept": "application/jsonl"}, timeout=30
        ) as answer:
            lines = answer.iter_lines()
            assert json.loads(next(lines))["status"] == "queued"
            api.send_signal(signal.SIGTERM)
            assert [line for line in lines if line] == []  # a broken stream raises here
        assert api.wait(30) == 0
