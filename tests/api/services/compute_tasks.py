"""Functions that tests run in the compute pool; its processes import this module."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from core.data.errors import InvalidInstance


def process_id() -> int:
    return os.getpid()


def wait(started: Path, seconds: float = 60.0) -> int:
    """Write the process id into a file, then sleep."""
    part = started.with_suffix(".part")
    part.write_text(str(os.getpid()))
    part.replace(started)
    time.sleep(seconds)
    return os.getpid()


def pieces(count: int, size: int) -> Iterator[bytes]:
    for number in range(count):
        yield bytes([number % 256]) * size


def invalid_instance() -> NoReturn:
    raise InvalidInstance(3, "/instances/3", "is wrong")


class WithLock(Exception):
    """An error with an attribute that cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("the text")
        self.lock = threading.Lock()


def fail(error: str) -> NoReturn:
    raise {"lock": WithLock, "key": KeyError}[error]


def allocate(size: int) -> int:
    return int(np.ones(size, np.uint8).sum())


def keep(size: int) -> int:
    """Leave memory in use after the end of the task."""
    global _kept  # noqa: PLW0603
    _kept = np.ones(size, np.uint8)
    return os.getpid()


_kept = np.ones(0, np.uint8)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
