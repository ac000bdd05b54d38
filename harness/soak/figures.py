"""What processes hold: memory, open files, threads; and the database, connections."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import psycopg

from harness.processes import forked_by

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


class Figures(NamedTuple):
    """Of one process; of several the most that one of them holds."""

    megabytes: float
    files: int
    threads: int


GROWTH = Figures(megabytes=64, files=40, threads=12)
"""How much more one may hold in the end: pools fill and caches warm, and what leaks goes far beyond in 2,000 jobs."""
CONNECTIONS = 12
"""The same of a database, all processes together."""


def of_process(pid: int) -> Figures:
    """Resident megabytes, open files and threads of a process."""
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text().split()[1])
    return Figures(pages * PAGE_MB, len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir())))


def of_tree(process: subprocess.Popen[bytes]) -> Figures:
    """The most that the process or one of its children holds."""
    every = [of_process(pid) for pid in (process.pid, *forked_by(process.pid))]
    return Figures(*(max(column) for column in zip(*every, strict=True)))


def connections(url: str | None) -> int:
    """How many connections a Postgres database has, but for this one; 0 without a URL."""
    if url is None:
        return 0
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()")
        return int((row.fetchone() or (0,))[0])


def grown(before: Mapping[str, Figures], after: Mapping[str, Figures]) -> list[str]:
    """What holds more than it may, one line each."""
    return [
        f"{part}: {name} grew from {then:.0f} to {now:.0f}, and may by {bound:g}"
        for part in before
        for name, then, now, bound in zip(Figures._fields, before[part], after[part], GROWTH, strict=True)
        if now > then + bound
    ]
