"""`chainrule`, with places in its code where an ambush may lie: a file named so says which signal falls there.

The processes are the real ones and so are the signals; only the moment, which no clock outside could hit, is chosen.
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

FOLDER = Path(os.environ["CHAINRULE_CHAOS_AMBUSHES"])
COMMAND = sys.argv[1]

PLACES: dict[str, list[tuple[str, Any, str]]] = {
    "worker": [
        ("before", worker.run.run.JobRun, "__init__"),
        ("before", BlobWriter, "commit"),
        ("after", FolderBlobs, "put"),
        ("before", worker.run.run.JobRun, "_finish"),
        ("before", leases, "release"),
        ("after", worker.run.run, "_attempt"),
    ],
    "api": [("after", jobs, "insert"), ("before", Notifier, "notify"), ("before", BlobWriter, "commit")],
}
"""Of each command: before or after which function one may lie."""


def strike(place: str) -> None:
    """Send the signal that waits at this place, to this process or to its parent; one that fell is over."""
    ambush = FOLDER / f"{COMMAND} {place}"
    mine = ambush.with_name(f"{ambush.name} {os.getpid()} struck")
    try:
        number, whom = ambush.read_text().split()
        ambush.rename(mine)  # whoever sees that it fell may clear it away
    except FileNotFoundError:
        return
    os.kill(os.getppid() if whom == "parent" else os.getpid(), int(number))


def ambushed(when: str, function: Callable[..., Any], place: str) -> Callable[..., Any]:
    """The function, with the place before or after it."""

    def call(*arguments: Any, **options: Any) -> Any:
        if when == "before":
            strike(place)
        result = function(*arguments, **options)
        if when == "after":
            strike(place)
        return result

    return call


if __name__ == "__main__":
    for when, owner, name in PLACES[COMMAND]:
        setattr(owner, name, ambushed(when, getattr(owner, name), f"{when} {name.strip('_')}"))
    app()
