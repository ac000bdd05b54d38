"""Slow, silent and many clients: others are served, slow connections end, and bodies hold little memory."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

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


def start_of_post(path: str, size: int | None, media_type: str = "application/json") -> bytes:
    """Return the head of a request whose body has this size; without one it is chunked."""
    length = f"Content-Length: {size}" if size is not None else "Transfer-Encoding: chunked"
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n{length}\r\n\r\n".encode()


@pytest.mark.parametrize("last", [b"", b" "], ids=["silent", "trickling"])
@pytest.mark.parametrize(("path", "media_type"), [("/v1/jobs", "application/json"), ("/v1/datasets", "text/csv")])
def test_fast_start_earns_no_pause(api: Processes, path: str, media_type: str, last: bytes) -> None:
    with connect(api) as client:
        client.sendall(start_of_post(path, 2 * MEGABYTE, media_type) + b" " * MEGABYTE)
        client.settimeout(0.5)
        until = time.monotonic() + 30
        received = b""
        while not received and time.monotonic() < until:
            with suppress(TimeoutError):
                client.sendall(last)
                received = client.recv(65_536)
    assert received.startswith(b"HTTP/1.1 408 ")


MEGABYTE = 2**20
LARGE = 4 * MEGABYTE


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Start an API that takes bodies of 4 MB, and 32 MB of them together."""
    limits = {"max_body_bytes": LARGE, "max_bodies_bytes": 8 * LARGE, "max_upload_bytes": LARGE}
    with processes(tmp_path_factory.mktemp("small"), **limits, max_uploads_bytes=8 * LARGE) as running:
        running.start_api()
        yield running


def resident_bytes(pid: int) -> int:
    """Return the memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def spooled_bytes(running: Processes) -> int:
    """Return the bytes of the API's open files without a name in the data folder."""
    sizes = []
    for file in Path(f"/proc/{running.started[0].pid}/fd").iterdir():
        with suppress(OSError):
            target = str(file.readlink())
            if target.startswith(str(running.settings.data_dir)) and target.endswith("(deleted)"):
                sizes.append(file.stat().st_size)
    return sum(sizes)


def hold_bodies(running: Processes, stack: ExitStack, count: int, path: str = "/v1/jobs") -> list[socket.socket]:
    """Open connections that send all of a large body but its last byte, and return them."""
    clients = [stack.enter_context(connect(running)) for _ in range(count)]
    for client in clients:
        client.sendall(start_of_post(path, LARGE) + b" " * (LARGE - 1))
    return clients


def test_bodies_in_progress_hold_disk_and_no_memory(small: Processes) -> None:
    httpx.post(f"{small.url}/v1/jobs", content=b" " * LARGE, headers=JSON)
    pid, before = small.started[0].pid, resident_bytes(small.started[0].pid)
    names = {path for path in small.settings.data_dir.rglob("*") if path.is_file()}
    with ExitStack() as stack:
        hold_bodies(small, stack, 7)
        small.until(lambda: spooled_bytes(small) >= 7 * (LARGE - MEGABYTE), "the bodies are on disk")
        assert resident_bytes(pid) - before < 2 * LARGE
        assert {path for path in small.settings.data_dir.rglob("*") if path.is_file()} == names
    small.until(lambda: spooled_bytes(small) == 0, "the disk is free again")
    assert resident_bytes(pid) - before < 2 * LARGE


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/validate", "/v1/jobs/latest/predictions", "/v1/datasets"])
def test_bodies_beyond_the_sum_get_503_and_small_ones_are_accepted(small: Processes, path: str) -> None:
    with ExitStack() as stack:
        hold_bodies(small, stack, 7, path)
        for size in (LARGE, None):
            small.until(partial(refused, small, path, size), "a large body is refused")
        assert httpx.post(f"{small.url}/v1/jobs", json=LINE).status_code == 201
        assert httpx.post(f"{small.url}/v1/datasets", content=b"x\n1\n", headers=CSV).status_code in {200, 201}
    small.until(lambda: not refused(small, path, LARGE), "large bodies are accepted again")


CSV = {"Content-Type": "text/csv"}


def refused(running: Processes, path: str, size: int | None) -> bool:
    """Send only the head of a large body, or in chunks without its size all of it; return whether it gets 503."""
    with connect(running) as client:
        client.sendall(start_of_post(path, size))
        for _ in range(4 if size is None else 0):
            with suppress(OSError):  # it is cut off
                client.sendall(b"100000\r\n" + b" " * MEGABYTE + b"\r\n")
        client.settimeout(0.2)
        answer = b""
        with suppress(OSError):
            while not answer.endswith(b"}") and (received := client.recv(65_536)):
                answer += received
    if not answer.startswith(b"HTTP/1.1 503 "):
        return False
    assert b"retry-after: " in answer.lower()
    assert b'"code":"too_many_bodies"' in answer
    return True


def test_kill_leaves_no_spooled_body(tmp_path: Path) -> None:
    with processes(tmp_path) as running, ExitStack() as stack:
        api = running.start_api()
        names = {path for path in running.settings.data_dir.rglob("*") if path.is_file()}
        client = stack.enter_context(connect(running))
        client.sendall(start_of_post("/v1/jobs", LARGE) + b" " * (LARGE - 1))
        running.until(lambda: spooled_bytes(running) > 0, "the body is on disk")
        os.kill(api.pid, signal.SIGKILL)
        api.wait()
        assert {path for path in running.settings.data_dir.rglob("*") if path.is_file()} == names
