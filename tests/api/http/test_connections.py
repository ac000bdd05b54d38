"""Connections that are too many, and clients that read no more: others are served, and nothing of them stays."""

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

MANY = 60_000
"""Rows whose frames no socket's buffers hold."""


def connected(running: Processes) -> socket.socket:
    return socket.create_connection((running.settings.host, running.settings.port), timeout=60)


def test_one_connection_too_many_is_told_so_and_the_others_stay(tmp_path: Path) -> None:
    with processes(tmp_path, max_connections=3) as running:
        running.start_api()
        with ExitStack() as stack:
            client = stack.enter_context(httpx.Client(base_url=running.url))
            assert client.get("/health/live").status_code == 200
            for _ in range(2):
                stack.enter_context(connected(running))
            answer = httpx.get(f"{running.url}/v1/jobs", headers={"X-Request-Id": "mine"})
            assert (answer.status_code, answer.json()["code"]) == (503, "too_many_connections")
            assert answer.headers["retry-after"]
            assert answer.headers["connection"] == "close"
            assert answer.headers["x-request-id"] == answer.json()["request_id"] == "mine"
            assert client.get("/v1/jobs").status_code == 200
        running.until(lambda: httpx.get(f"{running.url}/v1/jobs").status_code == 200, "there is room again")


def test_a_listener_that_reads_no_more_is_let_go(tmp_path: Path) -> None:
    with processes(tmp_path, client_seconds=1) as running:
        running.start_api()
        job = httpx.post(f"{running.url}/v1/jobs", json=LINE).raise_for_status().json()["id"]
        fill(running, MANY)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((running.settings.host, running.settings.port))
            client.sendall(f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert client.recv(1)
            running.until(lambda: listeners(running) == 0, "the listener is let go")
        assert "Traceback" not in running.said()


def fill(running: Processes, count: int) -> None:
    """Write so many rows of the job that waits, as its worker would."""
    database = open_database(running.settings.resolved_database_url)
    with database.begin() as s:
        claimed = leases.claim(s, "someone", 60.0)
        assert claimed is not None
        rows = [MetricRow(n + 1, 1, "train", "loss", 1.0) for n in range(count)]
        events.append(s, leases.guard(s, token_of(claimed), lease_seconds=60.0, events=count, recorded=count), rows)
    database.close()


def listeners(running: Processes) -> float:
    """How many streams the API counts."""
    figures = httpx.get(f"{running.url}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in figures if line.startswith("chainrule_event_listeners "))
