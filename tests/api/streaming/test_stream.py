"""Streams over a real socket: while a job writes, listeners come and go, and the server stops."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from api.app import create_app
from api.dependencies import Services
from api.server import Server
from api.streaming import stream
from core.jobs.states import Status, StopReason
from core.settings import Settings
from core.store import events, leases
from core.store.events import MetricRow
from core.store.guards import FencingToken, token_of
from core.store.migrate import upgrade
from tests.api.conftest import LINE, quiet

TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Service:
    """A running server on its own port."""

    url: str
    server: Server
    services: Services

    def claimed_job(self) -> "ClaimedJob":
        """Create a job and claim it."""
        job = httpx.post(f"{self.url}/v1/jobs", json=LINE).raise_for_status().json()["id"]
        with self.services.database.begin() as s:
            while (claimed := leases.claim(s, "someone", 60.0)) is not None and claimed.id != job:
                pass
            assert claimed is not None
            return ClaimedJob(self, job, token_of(claimed))

    def stream(self, job: str, after: int = 0) -> Iterator[dict[str, Any]]:
        """Yield the job's events as they arrive."""
        headers = {"Accept": "application/jsonl"}
        with httpx.stream(
            "GET", f"{self.url}/v1/jobs/{job}/events?after={after}", headers=headers, timeout=30
        ) as answer:
            yield from (json.loads(line) for line in answer.iter_lines() if line)

    def listeners(self) -> int:
        """Return the number of open streams."""
        return self.services.hub.listeners


@dataclass
class ClaimedJob:
    """A claimed job whose events a test writes."""

    service: Service
    id: str
    token: FencingToken
    step: int = 0

    def write(self, count: int) -> None:
        """Write `count` rows of loss."""
        rows = [MetricRow(self.step + n + 1, 1, "train", "loss", 1.0) for n in range(count)]
        with self.service.services.database.begin() as s:
            guarded = leases.guard(s, self.token, lease_seconds=60.0, events=count, recorded=count)
            events.append(s, guarded, rows)
        self.token, self.step = guarded.token, self.step + count

    def end(self) -> None:
        """End the job successfully."""
        with self.service.services.database.begin() as s:
            guarded = leases.guard(s, self.token, lease_seconds=60.0)
            leases.release(
                s,
                guarded.token,
                Status.SUCCEEDED,
                message="done",
                actor="someone",
                stop_reason=StopReason.EPOCHS_COMPLETED,
            )


@contextmanager
def serve_in_thread(settings: Settings) -> Iterator[Service]:
    """Run the real server in a thread."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    upgrade(settings.resolved_database_url)
    app = create_app(settings)
    config = uvicorn.Config(app, port=0, log_config=None, ws="none", http="h11", timeout_graceful_shutdown=5)
    server = Server(config, app)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Service(f"http://127.0.0.1:{port}", server, app.state.services)
    finally:
        server.should_exit = True
        thread.join(TIMEOUT_SECONDS)
        assert not thread.is_alive()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def service(database: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serve_in_thread(Settings(**quiet(tmp_path_factory.mktemp("stream"), database_url=database))) as service:
        yield service


def test_events_arrive_while_the_job_runs(service: Service) -> None:
    job = service.claimed_job()
    rows = service.stream(job.id)
    assert [next(rows)["status"] for _ in range(2)] == ["queued", "running"]
    for count in (1, 3, 2500):
        job.write(count)
        assert [next(rows)["step"] for _ in range(count)] == list(range(job.step - count + 1, job.step + 1))
    job.end()
    assert [row["status"] for row in rows] == ["succeeded"]


def test_20_listeners_receive_every_event(service: Service) -> None:
    job = service.claimed_job()
    received: dict[int, list[int]] = {}

    def listen(number: int) -> None:
        received[number] = [row["seq"] for row in service.stream(job.id, after=number % 3)]

    threads = [threading.Thread(target=listen, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    until(lambda: service.listeners() >= 20)
    for _ in range(20):
        job.write(37)
    job.end()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    last = 2 + 20 * 37 + 1
    assert received == {number: list(range(number % 3 + 1, last + 1)) for number in range(20)}
    until(lambda: service.listeners() == 0)


def test_reconnecting_after_every_event_loses_nothing(service: Service) -> None:
    job = service.claimed_job()
    job.write(10)
    seen: list[int] = []
    while len(seen) < 12:
        rows = service.stream(job.id, after=seen[-1] if seen else 0)
        seen.append(next(rows)["seq"])
        rows.close()  # type: ignore[attr-defined]
    assert seen == list(range(1, 13))
    until(lambda: service.listeners() == 0)
    job.end()


def test_disconnected_client_is_not_counted(service: Service) -> None:
    job = service.claimed_job()
    rows = service.stream(job.id)
    next(rows)
    assert service.listeners() == 1
    rows.close()  # type: ignore[attr-defined]
    until(lambda: service.listeners() == 0)
    job.end()


def test_client_that_does_not_read_delays_nobody(service: Service) -> None:
    job = service.claimed_job()
    address = httpx.URL(service.url)
    with socket.create_connection((address.host, address.port or 80)) as idle:
        idle.sendall(f"GET /v1/jobs/{job.id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        until(lambda: service.listeners() == 1)
        for _ in range(10):
            job.write(2000)
        rows = service.stream(job.id)
        assert sum(1 for _ in zip(rows, range(20_000), strict=False)) == 20_000
        rows.close()  # type: ignore[attr-defined]
    until(lambda: service.listeners() == 0)
    job.end()


def test_idle_stream_sends_keepalive_comments(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "KEEPALIVE_SECONDS", 0.05)
    job = service.claimed_job()
    with httpx.stream("GET", f"{service.url}/v1/jobs/{job.id}/events", timeout=30) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith((":", "id")))
        assert [next(lines) for _ in range(5)] == ["id: 1", "id: 2", *[": keep-alive"] * 3]
        job.write(1)
        assert next(line for line in lines if line != ": keep-alive") == "id: 3"
    job.end()


def test_stopping_server_ends_streams_with_a_retry_delay(tmp_path: Path) -> None:
    received: list[str] = []

    def listen(service: Service, job: str) -> None:
        received.append(httpx.get(f"{service.url}/v1/jobs/{job}/events", timeout=30).text)

    with serve_in_thread(Settings(**quiet(tmp_path))) as service:
        job = service.claimed_job()
        listener = threading.Thread(target=listen, args=(service, job.id))
        listener.start()
        until(lambda: service.listeners() == 1)
        started = time.monotonic()
        service.server.should_exit = True
        listener.join(TIMEOUT_SECONDS)
        assert time.monotonic() - started < 3
    assert received[0].endswith("retry: 1000\n\n")


def test_body_beyond_the_limit_gets_413(tmp_path: Path) -> None:
    with serve_in_thread(Settings(**quiet(tmp_path, max_body_bytes=100_000, max_upload_bytes=200_000))) as service:
        sent = 0

        def chunks() -> Iterator[bytes]:
            nonlocal sent
            for _ in range(10_000):
                sent += 10_000
                yield b" " * 10_000

        for path in ("/v1/jobs", "/v1/datasets"):
            sent = 0
            headers = {"Content-Type": "application/json" if path == "/v1/jobs" else "text/csv"}
            answer = httpx.post(f"{service.url}{path}", content=chunks(), headers=headers)
            assert answer.status_code == 413
            assert answer.json()["code"] == "body_too_large"
            answer = httpx.post(f"{service.url}{path}", content=b" " * 1_000_000, headers=headers)
            assert answer.status_code == 413
        assert httpx.get(f"{service.url}/health/live").status_code == 200
        assert not [path for path in service.services.settings.blob_dir.rglob("*") if path.is_file()]
