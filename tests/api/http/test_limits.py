"""Clients that send a byte now and then, or nothing any more: others are served all the same, and all of it ends."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from harness.processes import Processes, processes
from tests.api.conftest import LINE

HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
UPLOAD = b"POST /v1/datasets HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 1000\r\n\r\nx,y\n1,2\n"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with processes(tmp_path_factory.mktemp("api"), client_seconds=2) as running:
        running.start_api()
        yield running


def jobs(running: Processes) -> int:
    """How many jobs there are."""
    return len(httpx.get(f"{running.url}/v1/jobs?limit=100", timeout=30).json()["items"])


def connected(running: Processes) -> socket.socket:
    return socket.create_connection((running.settings.host, running.settings.port), timeout=60)


def answer(client: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    told = b""
    try:
        while piece := client.recv(65_536):
            told += piece
    except ConnectionResetError:
        pass
    return told


def test_two_hundred_that_drip_hold_up_nobody_and_are_all_ended(api: Processes) -> None:
    before = jobs(api)
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(api)) for _ in range(200)]
        for number, client in enumerate(clients):
            client.sendall((b"GET /v1/jobs HTTP/1.1\r\nX-A: ", HEAD + b"{", UPLOAD, b"")[number % 4])
        drip(clients)
        assert httpx.get(f"{api.url}/health/ready", timeout=30).status_code == 200
        assert httpx.post(f"{api.url}/v1/jobs", json=LINE, timeout=30).status_code == 201
        until = time.monotonic() + 60
        left = set(clients)
        while left and time.monotonic() < until:
            drip(left)
            left -= {client for client in left if closed(client)}
        assert not left
    assert jobs(api) == before + 1
    assert [path.name for path in api.settings.blob_dir.glob("*.part")] == []
    assert "Traceback" not in api.said()


def drip(clients: "set[socket.socket] | list[socket.socket]") -> None:
    """Send a byte each."""
    for client in clients:
        with suppress(OSError):
            client.send(b" ")


def closed(client: socket.socket) -> bool:
    client.settimeout(0.005)
    try:
        return client.recv(65_536) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("begun", [HEAD + b"{", UPLOAD])
def test_a_body_that_stops_half_way_is_a_408_and_leaves_nothing(api: Processes, begun: bytes) -> None:
    before = jobs(api)
    with connected(api) as client:
        client.sendall(begun)
        told = answer(client)
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert b'"code":"body_too_slow"' in body
    assert jobs(api) == before
    assert [path.name for path in api.settings.blob_dir.glob("*.part")] == []


def test_a_connection_that_says_nothing_is_closed(api: Processes) -> None:
    with connected(api) as client:
        assert answer(client) == b""


def test_a_second_request_has_its_own_time(api: Processes) -> None:
    with connected(api) as client:
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        told = b""
        while not told.endswith(b'"ok"}'):
            told += client.recv(65_536)
        client.sendall(b"GET /health/live HTTP/1.1\r\nX-A: ")
        assert answer(client) == b""


def test_a_stream_outlives_the_limit(api: Processes) -> None:
    job = httpx.post(f"{api.url}/v1/jobs", json=LINE).raise_for_status().json()["id"]
    with httpx.stream("GET", f"{api.url}/v1/jobs/{job}/events", timeout=30) as events:
        lines = events.iter_lines()
        next(lines)
        until = time.monotonic() + 3 * api.settings.client_seconds
        while time.monotonic() < until:
            assert httpx.get(f"{api.url}/health/live").status_code == 200
        httpx.post(f"{api.url}/v1/jobs/{job}/cancel").raise_for_status()
        assert any('"cancelled"' in line for line in lines)
