"""A small file that a live worker touches, for health checks.

`celery inspect ping` is not enough: a worker that trains answers late, and one that hangs may answer.
"""

import os
import socket
import time
from pathlib import Path

STALE_SECONDS = 15.0
"""Seconds without a touch after which a worker counts as hung."""
ABANDONED_SECONDS = 86_400.0
"""Seconds without a touch after which a file counts as left by a killed worker, perhaps on a machine that is gone."""


class LivenessFile:
    """The liveness file of the worker whose parent is this process.

    Parameters
    ----------
    folder
        Folder of this machine's liveness files; created if missing, and cleared of abandoned files.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for file in folder.iterdir():
            if _age(file) > ABANDONED_SECONDS:
                file.unlink(missing_ok=True)
        self._file = folder / f"{socket.gethostname()}-{os.getpid()}"

    def touch(self) -> None:
        """Record that the worker is alive now."""
        self._file.touch()

    def remove(self) -> None:
        """Record that the worker has ended."""
        self._file.unlink(missing_ok=True)


def liveness_folder(data_dir: Path) -> Path:
    """Return the folder of the liveness files of a data folder's workers."""
    return data_dir / "workers"


def alive(folder: Path, stale_seconds: float = STALE_SECONDS) -> bool:
    """Return whether a worker of this machine has touched its file in the last `stale_seconds` seconds."""
    return any(_age(file) < stale_seconds for file in folder.glob(f"{socket.gethostname()}-*"))


def _age(file: Path) -> float:
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
