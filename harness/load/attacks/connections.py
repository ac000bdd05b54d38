"""Connections that hold memory, files or time without finishing their requests."""

import time
from collections.abc import Callable
from functools import partial

from harness.load.attack import Attack, Must, Run, Target
from harness.load.client import CLOSED, Answer, connect, post_head, together, wait_for_answer

CLIENT_SECONDS = 4
"""The setting `client_seconds` of these services: a silent client must be gone soon after."""
LIMIT = CLIENT_SECONDS + 4.0
"""Seconds after which no silent client may have its connection."""
SILENT = Must(statuses=(CLOSED, 408, 413, 429, 503), seconds=LIMIT)


def stalled(target: Target, sent: bytes, connections: int) -> Run:
    """Return the attack of connections that send these bytes, and nothing further; their seconds count from then."""

    def send_and_wait() -> Answer:
        connection = connect(target.port, sent, seconds=target.extent.seconds)
        return wait_for_answer(connection, time.monotonic(), seconds=target.extent.seconds)

    calls: list[Callable[[], Answer]] = [send_and_wait] * connections
    return partial(together, calls)


def bodies_without_their_last_byte(target: Target) -> Run:
    """Open 60 connections that send 16 MB less a byte."""
    size = target.scaled(16 * 2**20)
    sent = post_head("/v1/jobs", "application/json", f"Content-Length: {size}") + b" " * (size - 1)
    return stalled(target, sent, target.scaled(60, 5))


def chunked_bodies(target: Target) -> Run:
    """Open 60 connections that send 8 MB in chunks, and no last chunk."""
    chunk = b" " * target.scaled(2**20)
    sent = post_head("/v1/jobs", "application/json", "Transfer-Encoding: chunked")
    sent += (f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n") * 8
    return stalled(target, sent, target.scaled(60, 5))


def stalled_uploads(target: Target) -> Run:
    """Open 20 uploads of 64 MB that lack their last byte."""
    size = target.scaled(64 * 2**20)
    sent = post_head("/v1/datasets", "text/csv", f"Content-Length: {size}") + b"1" * (size - 1)
    return stalled(target, sent, target.scaled(20, 5))


def silent_connections(target: Target) -> Run:
    """Open 800 connections that send nothing."""
    return stalled(target, b"", target.scaled(800, 20))


def half_heads(target: Target) -> Run:
    """Open 800 connections that send half a head."""
    return stalled(
        target, b"GET /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"x" * 8000, target.scaled(800, 20)
    )


SETTINGS = {"client_seconds": CLIENT_SECONDS}
CONNECTIONS = (
    Attack("60 bodies of 16 MB without the last byte", bodies_without_their_last_byte, SILENT, SETTINGS),
    Attack("60 chunked bodies without an end", chunked_bodies, SILENT, SETTINGS),
    Attack("20 uploads of 64 MB without the last byte", stalled_uploads, SILENT, SETTINGS),
    Attack("800 silent connections", silent_connections, SILENT, SETTINGS),
    Attack("800 half heads", half_heads, SILENT, SETTINGS),
)
