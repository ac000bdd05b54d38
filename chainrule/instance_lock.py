"""The data folder and the port that one `chainrule up` has to itself; a second one fails with a clear message."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE = "up.lock"


class CannotStart(Exception):
    """`chainrule up` cannot start; the message says why and what to do."""


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Create the data folder if it is missing, and lock it until the block or the process ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise CannotStart(f"the data folder {folder} cannot be used: {error.strerror}") from None
    try:
        _lock(lock, folder)
        yield
    finally:
        os.close(lock)


def free_port(host: str, port: int) -> int:
    """Return the port if it is free; return any free port for 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotStart(f"port {port} on {host} is in use: set CHAINRULE_PORT, or end its process") from None
            raise CannotStart(f"cannot listen on {host} port {port}: {error.strerror}") from None
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
