"""A small file that a living worker touches, for health checks.

`celery inspect ping` would not do: a worker that trains answers late, and one that hangs may answer.
"""

import os
import socket
import time
from pathlib import Path

STALE = 15.0
"""Seconds without a touch after which a worker counts as hung."""
ABANDONED = 86_400.0
"""Seconds without a touch after which a file is what a killed worker left, perhaps on a machine that is no more."""


class LivenessFile:
    """The pulse of the worker whose parent is this process.

    Parameters
    ----------
    folder
        Where this machine's workers keep theirs; made where it is missing, and cleared of those long dead.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for file in folder.iterdir():
            if _age(file) > ABANDONED:
                file.unlink(missing_ok=True)
        self._file = folder / f"{socket.gethostname()}-{os.getpid()}"

    def beat(self) -> None:
        """Say that the worker lives."""
        self._file.touch()

    def stop(self) -> None:
        """Say that it has ended."""
        self._file.unlink(missing_ok=True)


def liveness_folder(data_dir: Path) -> Path:
    """Where the workers of a data folder keep their pulses."""
    return data_dir / "workers"


def alive(folder: Path, stale: float = STALE) -> bool:
    """Whether a worker of this machine has touched its file in the last `stale` seconds."""
    return any(_age(file) < stale for file in folder.glob(f"{socket.gethostname()}-*"))


def _age(file: Path) -> float:
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
