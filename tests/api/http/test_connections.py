"""Too many connections, and clients that no longer read: other clients are served, and the connections end."""

import json
import socket
from contextlib import ExitStack
from pathlib import Path

import httpx

from core.store import events, leases
from core.store.database import open_database
from core.store.events import MetricRow
from core.store.guards import token_of
from harness.processes import Processes, processes
from tests.api.conftest import LINE

UNBUFFERED_ROWS = 60_000
"""More rows than the buffers of a socket hold."""


def connect(running: Processes) -> socket.socket:
    return socket.create_connection((running.settings.host, running.settings.port), timeout=60)


def test_connection_beyond_the_limit_gets_503_and_others_are_served(tmp_path: Path) -> None:
    with processes(tmp_path, max_connections=3) as running:
        running.start_api()
        with ExitStack() as stack:
            client = stack.enter_context(httpx.Client(base_url=running.url))
            assert client.get("/health/live").status_code == 200
            require_problem_for_invalid_http(running)
            for _ in range(2):
                stack.enter_context(connect(running))
            answer = httpx.get(f"{running.url}/v1/jobs", headers={"X-Request-Id": "mine"})
            assert (answer.status_code, answer.json()["code"]) == (503, "too_many_connections")
            assert answer.headers["retry-after"]
            assert answer.headers["connection"] == "close"
            assert answer.headers["x-request-id"] == answer.json()["request_id"] == "mine"
            assert client.get("/v1/jobs").status_code == 200
        running.until(lambda: httpx.get(f"{running.url}/v1/jobs").status_code == 200, "connections are accepted again")


def require_problem_for_invalid_http(running: Processes) -> None:
    """Fail unless lines that are no HTTP get a problem."""
    for lines in (
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: 1\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\n\r\n",
    ):
        with connect(running) as wire:
            wire.sendall(lines)
            head, _, body = b"".join(iter(lambda: wire.recv(65536), b"")).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"content-type: application/problem+json" in head
        problem = json.loads(body)
        assert problem["code"] == "invalid_request"
        assert f"x-request-id: {problem['request_id']}".encode() in head


def test_listener_that_stops_reading_is_disconnected(tmp_path: Path) -> None:
    with processes(tmp_path, client_seconds=1) as running:
        running.start_api()
        job = httpx.post(f"{running.url}/v1/jobs", json=LINE).raise_for_status().json()["id"]
        write_rows(running, UNBUFFERED_ROWS)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((running.settings.host, running.settings.port))
            client.sendall(f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert client.recv(1)
            running.until(lambda: listeners(running) == 0, "the connection is closed")
        assert "Traceback" not in running.output()


def write_rows(running: Processes, count: int) -> None:
    """Write metric rows of the queued job, as its worker would."""
    database = open_database(running.settings.resolved_database_url)
    with database.begin() as s:
        claimed = leases.claim(s, "someone", 60.0)
        assert claimed is not None
        rows = [MetricRow(n + 1, 1, "train", "loss", 1.0) for n in range(count)]
        events.append(s, leases.guard(s, token_of(claimed), lease_seconds=60.0, events=count, recorded=count), rows)
    database.close()


def listeners(running: Processes) -> float:
    """Return the number of open streams by the API's metrics."""
    lines = httpx.get(f"{running.url}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("chainrule_event_listeners "))
