"""The command `chainrule` with fault points: a file with the name of a fault point arms it and names a signal.

Processes and signals are real; a fault point only chooses a moment that no clock outside of the process could hit.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import worker.run.run
from chainrule.cli import app
from core.blobs.folder import FolderBlobs
from core.blobs.writer import BlobWriter
from core.queue.notifier import Notifier
from core.store import jobs, leases

FOLDER = Path(os.environ["CHAINRULE_CHAOS_FAULT_POINTS"])
COMMAND = sys.argv[1]

FAULT_POINTS: dict[str, list[tuple[str, Any, str]]] = {
    "worker": [
        ("before", worker.run.run.JobRun, "__init__"),
        ("before", BlobWriter, "commit"),
        ("after", FolderBlobs, "put"),
        ("before", worker.run.run.JobRun, "_finish"),
        ("before", leases, "release"),
        ("after", worker.run.run, "_attempt"),
    ],
    "api": [
        ("after", jobs, "insert"),
        ("before", Notifier, "notify"),
        ("before", BlobWriter, "commit"),
        ("after", FolderBlobs, "put"),
    ],
}
"""The fault points of each command: before or after which function."""


def trigger(point: str) -> None:
    """Send the signal of an armed fault point to this process or its parent, and disarm the fault point."""
    armed = FOLDER / f"{COMMAND} {point}"
    triggered = armed.with_name(f"{armed.name} {os.getpid()} triggered")
    try:
        number, target = armed.read_text().split()
        armed.rename(triggered)
    except FileNotFoundError:
        return
    os.kill(os.getppid() if target == "parent" else os.getpid(), int(number))


def with_fault_point(when: str, function: Callable[..., Any], point: str) -> Callable[..., Any]:
    """Return the function with a fault point before or after it."""

    def call(*arguments: Any, **options: Any) -> Any:
        if when == "before":
            trigger(point)
        result = function(*arguments, **options)
        if when == "after":
            trigger(point)
        return result

    return call


if __name__ == "__main__":
    for when, owner, name in FAULT_POINTS[COMMAND]:
        setattr(owner, name, with_fault_point(when, getattr(owner, name), f"{when} {name.strip('_')}"))
    app()
