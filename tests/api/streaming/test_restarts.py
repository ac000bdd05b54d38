"""A stream over real processes that are restarted and killed under it: no gap, no double, no disorder."""

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

FOR_EVER = a_spec(SPIRALS, epochs=LONG, batch_size=100, shuffle=True, log_every=10)
TERMINAL = {"succeeded", "failed", "cancelled"}


class Listener:
    """Reads a job's stream in a thread as a browser does: whenever it breaks off, it goes on behind the last event."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[dict[str, Any]] = []
        self.connections = 0
        self.comments = 0
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def last(self) -> int:
        """The id of the last event that came."""
        return int(self.seen[-1]["seq"]) if self.seen else 0

    def _run(self) -> None:
        while not self.over.is_set():
            try:
                self._listen()
            except httpx.HTTPError:
                self.over.wait(0.05)

    def _listen(self) -> None:
        headers = {"Last-Event-ID": str(self.last)} if self.seen else {}
        with httpx.stream("GET", self.url, headers=headers, timeout=30) as answer:
            answer.raise_for_status()
            self.connections += 1
            for frame in frames(answer.iter_lines()):
                row = json.loads(frame["data"])
                assert frame["id"] == str(row["seq"])
                self.seen.append(row)
                if row.get("status") in TERMINAL:
                    self.over.set()


def frames(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Whole server-sent events; one that broke off, comments and hints are none."""
    frame: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            frame[name] = value
        else:
            if "data" in frame:
                yield frame
            frame = {}


def killed(process: subprocess.Popen[bytes]) -> None:
    """The process and all its children, at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def ended(process: subprocess.Popen[bytes]) -> None:
    """The process, as it is told to end."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


@pytest.fixture(params=["embedded", "postgres and redis"])
def database(request: pytest.FixtureRequest) -> Iterator[Server | None]:
    """A server that may be restarted; None for the embedded database."""
    if request.param == "embedded":
        yield None
        return
    with postgres_server() as server:
        yield server


def test_restarts_of_every_part_cost_a_stream_no_row(database: Server | None, tmp_path: Path) -> None:
    with ExitStack() as stack:
        broker = stack.enter_context(redis_database()) if database else None
        running = stack.enter_context(
            processes(tmp_path, database_url=database and database.url, broker_url=broker, lease_seconds=2)
        )
        api, worker = running.start_api(), running.start_worker()
        url = f"{running.url}/v1/jobs/{httpx.post(f'{running.url}/v1/jobs', json=FOR_EVER).json()['id']}"
        listener = Listener(f"{url}/events")
        stack.callback(listener.over.set)

        def goes_on() -> None:
            last = listener.last
            running.until(lambda: listener.last > last + 200, "the stream goes on")

        goes_on()
        for end in (ended, killed):
            end(api)
            api = running.start_api()
            goes_on()
            end(worker)
            worker = running.start_worker()
            goes_on()
        for mode in ("fast", "immediate") if database else ():
            database.restart(mode)  # type: ignore[union-attr]
            goes_on()
        cancelled(running, url)
        running.until(listener.over.is_set, "the stream tells the end")
        assert [row["seq"] for row in listener.seen] == list(range(1, listener.last + 1))
        assert listener.connections >= 3
        newest = max(0, listener.last - 5000)
        stored = httpx.get(f"{url}/metrics?limit=10000&after={newest}", timeout=30).json()["items"]
        told = [row for row in listener.seen if row["event"] == "metric" and row["seq"] > newest]
        assert [{name: row[name] for name in row if name != "event"} for row in told] == stored


def cancelled(running: Processes, url: str) -> None:
    """Cancel the job, as soon as the service can."""

    def ask() -> bool:
        return httpx.post(f"{url}/cancel", timeout=30).status_code == 200

    running.until(ask, "the job is cancelled")


def test_listeners_that_go_are_not_counted_any_more(tmp_path: Path) -> None:
    with processes(tmp_path) as running:
        running.start_api()
        job = httpx.post(f"{running.url}/v1/jobs", json=FOR_EVER).json()["id"]
        crowd = [socket.create_connection(("127.0.0.1", running.settings.port)) for _ in range(20)]
        for one in crowd:
            one.sendall(f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        running.until(lambda: listeners(running) == 20, "all of them listen")
        for one in crowd:
            one.close()
        running.until(lambda: listeners(running) == 0, "none of them is counted")


def listeners(running: Processes) -> float:
    """How many streams are open by the figures for Prometheus."""
    lines = httpx.get(f"{running.url}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("chainrule_event_listeners "))


def test_lines_end_cleanly_with_the_server(tmp_path: Path) -> None:
    with processes(tmp_path) as running:
        api = running.start_api()
        job = httpx.post(f"{running.url}/v1/jobs", json=FOR_EVER).json()["id"]
        with httpx.stream(
            "GET", f"{running.url}/v1/jobs/{job}/events", headers={"Accept": "application/jsonl"}, timeout=30
        ) as answer:
            lines = answer.iter_lines()
            assert json.loads(next(lines))["status"] == "queued"
            api.send_signal(signal.SIGTERM)
            assert [line for line in lines if line] == []  # a stream that breaks off raises here
        assert api.wait(30) == 0
