"""How much memory this process may still take: of the machine, and of the control groups that it is in.

Control groups, see Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of Linux. Where the system tells
nothing of this, there is no bound.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path("/")


class Memory(NamedTuple):
    """Bytes that there are at most, and those that are free now."""

    total: int
    available: int


class _Names(NamedTuple):
    """What a version of control groups calls things."""

    mount: str
    limit: str
    usage: str
    cache: str


V1 = _Names("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = _Names("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")


def memory() -> Memory:
    """The tightest of all bounds: the least in all, and the least that is free."""
    bounds = [_machine(), *_groups()]
    return Memory(min(bound.total for bound in bounds), min(bound.available for bound in bounds))


def _machine() -> Memory:
    told = _table(ROOT / "proc/meminfo")
    total = told.get("MemTotal:", sys.maxsize // 1024)
    return Memory(1024 * total, 1024 * told.get("MemAvailable:", total))


def _groups() -> Iterator[Memory]:
    for line in _text(ROOT / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in {"", "memory"}:
            names = V1 if controllers else V2
            mount = ROOT / names.mount
            place = mount / path.lstrip("/")
            yield from (_group(folder, names) for folder in (place, *place.parents) if folder.is_relative_to(mount))


def _group(folder: Path, names: _Names) -> Memory:
    """The bound of one group; a cache that the kernel can drop counts as free."""
    limit = _number(_text(folder / names.limit))
    used = _number(_text(folder / names.usage)) if limit < sys.maxsize else 0
    cache = _table(folder / "memory.stat").get(names.cache, 0)
    return Memory(limit, max(0, limit - max(0, used - cache)))


def _number(text: str) -> int:
    """A count of bytes; no bound where it is none ("max", or no such file)."""
    return int(text) if text.strip().isdigit() else sys.maxsize


def _table(file: Path) -> dict[str, int]:
    rows = [line.split() for line in _text(file).splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
