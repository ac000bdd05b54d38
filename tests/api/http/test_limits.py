"""Slow and silent clients: other clients are served, and the slow connections end."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from harness.processes import Processes, processes
from tests.api.conftest import LINE

HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
UPLOAD = (
    b"POST /v1/datasets HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: 1000\r\n\r\nx,y\n1,2\n"
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with processes(tmp_path_factory.mktemp("api"), client_seconds=2) as running:
        running.start_api()
        yield running


def job_count(running: Processes) -> int:
    """Return the number of jobs."""
    return len(httpx.get(f"{running.url}/v1/jobs?limit=100", timeout=30).json()["items"])


def connect(running: Processes) -> socket.socket:
    return socket.create_connection((running.settings.host, running.settings.port), timeout=60)


def read_all(client: socket.socket) -> bytes:
    """Return all bytes until the server closes the connection."""
    received = b""
    try:
        while chunk := client.recv(65_536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def test_200_slow_clients_delay_nobody_and_are_disconnected(api: Processes) -> None:
    before = job_count(api)
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(api)) for _ in range(200)]
        for number, client in enumerate(clients):
            client.sendall((b"GET /v1/jobs HTTP/1.1\r\nX-A: ", HEAD + b"{", UPLOAD, b"")[number % 4])
        send_a_byte_each(clients)
        assert httpx.get(f"{api.url}/health/ready", timeout=30).status_code == 200
        assert httpx.post(f"{api.url}/v1/jobs", json=LINE, timeout=30).status_code == 201
        until = time.monotonic() + 60
        left = set(clients)
        while left and time.monotonic() < until:
            send_a_byte_each(left)
            left -= {client for client in left if is_closed(client)}
        assert not left
    assert job_count(api) == before + 1
    assert [path.name for path in api.settings.blob_dir.glob("*.part")] == []
    assert "Traceback" not in api.output()


def send_a_byte_each(clients: "set[socket.socket] | list[socket.socket]") -> None:
    """Send one byte on each connection."""
    for client in clients:
        with suppress(OSError):
            client.send(b" ")


def is_closed(client: socket.socket) -> bool:
    client.settimeout(0.005)
    try:
        return client.recv(65_536) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("partial", [HEAD + b"{", UPLOAD])
def test_body_that_stalls_gets_408_and_stores_nothing(api: Processes, partial: bytes) -> None:
    before = job_count(api)
    with connect(api) as client:
        client.sendall(partial)
        received = read_all(client)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert b'"code":"body_too_slow"' in body
    assert job_count(api) == before
    assert [path.name for path in api.settings.blob_dir.glob("*.part")] == []


def test_silent_connection_is_closed(api: Processes) -> None:
    with connect(api) as client:
        assert read_all(client) == b""


def test_second_request_on_a_connection_has_its_own_time_limit(api: Processes) -> None:
    with connect(api) as client:
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while not received.endswith(b'"ok"}'):
            received += client.recv(65_536)
        client.sendall(b"GET /health/live HTTP/1.1\r\nX-A: ")
        assert read_all(client) == b""


def test_event_stream_outlives_the_time_limit(api: Processes) -> None:
    job = httpx.post(f"{api.url}/v1/jobs", json=LINE).raise_for_status().json()["id"]
    with httpx.stream("GET", f"{api.url}/v1/jobs/{job}/events", timeout=30) as events:
        lines = events.iter_lines()
        next(lines)
        until = time.monotonic() + 3 * api.settings.client_seconds
        while time.monotonic() < until:
            assert httpx.get(f"{api.url}/health/live").status_code == 200
        httpx.post(f"{api.url}/v1/jobs/{job}/cancel").raise_for_status()
        assert any('"cancelled"' in line for line in lines)
