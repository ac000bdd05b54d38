"""Clients that read slowly or not at all: their connections end, and nobody else's."""

import asyncio
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from api.http.limits import MIN_BYTES_PER_SECOND
from api.http.unread import UnreadAnswers
from harness.load.jobs import inline_spec
from harness.processes import Processes, processes
from tests.api.conftest import LINE

ROWS = 300_000
"""Rows of a spec of 12 MB: more than the buffers of a connection hold."""
SECONDS = 3
SLOW_BYTES = 40
FAST_BYTES = 4_000
"""Bytes read every 20 ms: half of the least rate, and fifty times as many."""
HANGS_UP = select.POLLHUP | select.POLLERR


class Large(NamedTuple):
    """A running API, and the path of an answer of 12 MB."""

    running: Processes
    path: str
    bytes: int

    def connect(self, path: str = "") -> socket.socket:
        """Request an answer with a small buffer for it."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.connect((self.running.settings.host, self.running.settings.port))
        connection.sendall(f"GET {path or self.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return connection


@pytest.fixture
def large(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Large]:
    with processes(tmp_path, **request.param) as running:
        running.start_api()
        body, headers = inline_spec(ROWS), {"Content-Type": "application/json"}
        job = httpx.post(f"{running.url}/v1/jobs", content=body, headers=headers, timeout=120).raise_for_status().json()
        yield Large(running, f"/v1/jobs/{job['id']}/spec", len(body))


@pytest.mark.parametrize("large", [{"client_seconds": SECONDS}], indirect=True)
def test_slow_reader_is_cut_off_and_others_go_on(large: Large) -> None:
    running = large.running
    waiting = httpx.post(f"{running.url}/v1/jobs", json=LINE).raise_for_status().json()["id"]
    with large.connect(f"/v1/jobs/{waiting}/events") as listener, large.connect() as slow, large.connect() as fast:
        assert listener.recv(2**16)
        received = 0

        def slow_has_ended() -> bool:
            nonlocal received
            received += len(fast.recv(FAST_BYTES))
            return _ended(slow)

        running.until(slow_has_ended, "the slow reader is cut off")
        while data := fast.recv(2**20):
            received += len(data)
        assert received > large.bytes
        httpx.post(f"{running.url}/v1/jobs/{waiting}/cancel").raise_for_status()
        events = b"".join(iter(lambda: listener.recv(2**16), b""))
        assert b"cancelled" in events
    assert "its client reads too slowly" in running.output()
    assert "Traceback" not in running.output()


def _ended(connection: socket.socket) -> bool:
    """Read a little; return whether the connection has ended."""
    try:
        return not connection.recv(SLOW_BYTES)
    except ConnectionError:
        return True


@pytest.mark.parametrize("large", [{"max_unread_bytes": 2**20}], indirect=True)
def test_sum_of_unread_answers_is_bounded(large: Large) -> None:
    with ExitStack() as stack:
        poll = select.poll()
        connections = [stack.enter_context(large.connect()) for _ in range(12)]
        for connection in connections:
            poll.register(connection, 0)  # errors and hang-ups are always reported

        def ended() -> set[int]:
            return {number for number, event in poll.poll(0) if event & HANGS_UP}

        large.running.until(lambda: len(ended()) >= 6, "some connections are closed")
        assert "too many bytes wait for their readers" in large.running.output()
        assert len(ended()) < len(connections)
    assert len(httpx.get(f"{large.running.url}{large.path}").content) == large.bytes


class Transport(asyncio.Transport):
    """A transport of a real connection that holds as many bytes as told."""

    def __init__(self, connection: socket.socket, held: int) -> None:
        super().__init__({"socket": connection})
        self.held = held
        self.aborted = threading.Event()

    def get_write_buffer_size(self) -> int:
        return self.held

    def abort(self) -> None:
        self.aborted.set()


@pytest.fixture
def wire() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as wire:
        yield wire


def test_those_that_wait_longest_are_closed_first(wire: socket.socket) -> None:
    async def test() -> None:
        answers = UnreadAnswers(60, 100)
        first, second, third, fourth = (Transport(wire, held) for held in (40, 40, 40, 30))
        for transport in (first, second):
            answers.add(transport)
        answers.remove(first)
        answers.add(first)  # it has been read meanwhile
        answers.add(third)
        assert (first.aborted.is_set(), second.aborted.is_set(), third.aborted.is_set()) == (False, True, False)
        answers.remove(third)
        answers.remove(third)
        answers.add(fourth)
        assert not first.aborted.is_set()
        answers.remove(first)
        answers.remove(fourth)

    asyncio.run(test())


@pytest.mark.parametrize(("share", "closed"), [(0.9, True), (1.1, False)])
def test_reader_is_closed_below_the_least_rate(wire: socket.socket, share: float, closed: bool) -> None:
    async def test() -> None:
        seconds, started = 0.01, 10**6
        answers, transport = UnreadAnswers(seconds, 10**9), Transport(wire, started)
        answers.add(transport)
        transport.held -= round(share * MIN_BYTES_PER_SECOND * seconds)
        checks = answers._waiting[transport].timer
        while not transport.aborted.is_set() and answers._waiting[transport].timer is checks:
            await asyncio.sleep(0)
        assert transport.aborted.is_set() == closed
        answers.remove(transport)

    asyncio.run(test())
