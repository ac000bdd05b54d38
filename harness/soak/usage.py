"""Resource usage of processes (memory, open files, threads) and of the database (connections)."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import psycopg

from harness.processes import child_pids

PAGE_MEGABYTES = os.sysconf("SC_PAGE_SIZE") / 1e6


class ResourceUsage(NamedTuple):
    """The usage of one process, or the largest usage of several."""

    megabytes: float
    files: int
    threads: int


MAX_GROWTH = ResourceUsage(megabytes=64, files=40, threads=12)
"""Growth that is allowed until the end: pools and caches fill, while a leak in 2,000 jobs goes far beyond."""
MAX_CONNECTION_GROWTH = 12
"""Growth that is allowed for the database connections of all processes together."""


def of_process(pid: int) -> ResourceUsage:
    """Return the usage of a process; its memory is the resident set."""
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text().split()[1])
    files, threads = (len(list((folder / name).iterdir())) for name in ("fd", "task"))
    return ResourceUsage(pages * PAGE_MEGABYTES, files, threads)


def of_tree(process: subprocess.Popen[bytes]) -> ResourceUsage:
    """Return the largest usage of the process and its children."""
    usages = [of_process(pid) for pid in (process.pid, *child_pids(process.pid))]
    return ResourceUsage(*(max(column) for column in zip(*usages, strict=True)))


def connections(url: str | None) -> int:
    """Return the number of connections to a Postgres database, except this one; 0 without a URL."""
    if url is None:
        return 0
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()")
        return int((row.fetchone() or (0,))[0])


def growth_failures(before: Mapping[str, ResourceUsage], after: Mapping[str, ResourceUsage]) -> list[str]:
    """Return a line for each usage that grew by more than `MAX_GROWTH`."""
    return [
        f"{part}: {name} grew from {then:.0f} to {now:.0f}, by more than {bound:g}"
        for part in before
        for name, then, now, bound in zip(ResourceUsage._fields, before[part], after[part], MAX_GROWTH, strict=True)
        if now > then + bound
    ]
