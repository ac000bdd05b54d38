"""Limits on answers that clients do not read: the rate of each reader, and the bytes of all together.

The transport of a connection holds what the kernel does not take, and pauses the answer meanwhile. Without limits a
client that reads a few bytes now and then keeps that memory, and all that belongs to its request, for hours.
"""

import asyncio
import socket
import struct
import sys
from dataclasses import dataclass

import structlog

from api.http.limits import MIN_BYTES_PER_SECOND

if sys.platform == "linux":
    from fcntl import ioctl
    from termios import TIOCOUTQ

log = structlog.get_logger("api")

_COUNT = struct.Struct("i")
_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass
class _Unread:
    """An answer that waits for its reader."""

    held: int
    """Bytes that its transport held when it began to wait."""
    left: int
    """Bytes that the client had not acknowledged at the last check."""
    timer: asyncio.TimerHandle


class UnreadAnswers:
    """The answers of all connections that wait for their readers.

    A connection is closed when its client reads slower than `MIN_BYTES_PER_SECOND` for `seconds`, and when the answers
    that wait hold more than `max_bytes` in sum and none waits longer. One that has nothing to send never waits.
    """

    def __init__(self, seconds: float, max_bytes: int) -> None:
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._bytes = 0
        self._waiting: dict[asyncio.Transport, _Unread] = {}  # the longest first

    def add(self, transport: asyncio.Transport) -> None:
        """Count the answer of a transport that pauses, until `remove`."""
        self.remove(transport)
        held = transport.get_write_buffer_size()
        self._waiting[transport] = _Unread(held, _unacknowledged(transport), self._timer(transport))
        self._bytes += held
        while self._bytes > self._max_bytes:
            self._close(next(iter(self._waiting)), "too many bytes wait for their readers")

    def remove(self, transport: asyncio.Transport) -> None:
        """Forget the answer of a transport that goes on or has ended."""
        if unread := self._waiting.pop(transport, None):
            unread.timer.cancel()
            self._bytes -= unread.held

    def _timer(self, transport: asyncio.Transport) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._seconds, self._check, transport)

    def _check(self, transport: asyncio.Transport) -> None:
        unread, left = self._waiting[transport], _unacknowledged(transport)
        if unread.left - left < MIN_BYTES_PER_SECOND * self._seconds:
            self._close(transport, "its client reads too slowly")
        else:
            unread.left, unread.timer = left, self._timer(transport)

    def _close(self, transport: asyncio.Transport, reason: str) -> None:
        self.remove(transport)
        log.info("closed a connection in the midst of an answer", reason=reason)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)  # the kernel drops what it holds too
        transport.abort()


def _unacknowledged(transport: asyncio.Transport) -> int:
    """Return the bytes that the client has not acknowledged; elsewhere than on Linux those that the kernel refuses.

    The kernel takes no further bytes until a third of its own are acknowledged: a minute's worth for a slow client.
    """
    held = transport.get_write_buffer_size()
    if sys.platform == "linux":
        queued = ioctl(transport.get_extra_info("socket").fileno(), TIOCOUTQ, bytes(_COUNT.size))
        held += _COUNT.unpack(queued)[0]
    return held
