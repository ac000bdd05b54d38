"""What one `chainrule up` has for itself: a data folder and a port. A second one is told so in a line."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class CannotStart(Exception):
    """Why `chainrule up` ends before it began, and what to do."""


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the data folder, made where it is missing, for as long as the block lasts or the process lives."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise CannotStart(f"the data folder {folder} cannot be used: {error.strerror}") from None
    try:
        _lock(lock, folder)
        yield
    finally:
        os.close(lock)


def free_port(host: str, port: int) -> int:
    """The port, if it is free (any free one for 0)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotStart(
                    f"port {port} on {host} is in use: set CHAINRULE_PORT, or end what runs there"
                ) from None
            raise CannotStart(f"nothing can listen on {host} port {port}: {error.strerror}") from None
        return int(probe.getsockname()[1])


def _lock(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 32).decode() or "another process"
        raise CannotStart(
            f"the data folder {folder} is in use by another `chainrule up` (process {owner}): "
            "end it, or set CHAINRULE_DATA_DIR"
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
