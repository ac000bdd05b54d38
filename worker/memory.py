"""Memory that this process may still use: the limits of the machine and of the control groups it is in.

Control groups: see Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of Linux. A system without this
information sets no limit.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path("/")


class Memory(NamedTuple):
    """Bytes of memory in total, and bytes that are free now."""

    total: int
    available: int


class _FileNames(NamedTuple):
    """File and field names of one version of control groups."""

    mount: str
    limit: str
    usage: str
    cache: str


V1 = _FileNames("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = _FileNames("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")


def memory() -> Memory:
    """Return the smallest total and the smallest free memory of all limits."""
    limits = [_machine(), *_groups()]
    return Memory(min(limit.total for limit in limits), min(limit.available for limit in limits))


def _machine() -> Memory:
    kibibytes = _read_table(ROOT / "proc/meminfo")
    total = kibibytes.get("MemTotal:", sys.maxsize // 1024)
    return Memory(1024 * total, 1024 * kibibytes.get("MemAvailable:", total))


def _groups() -> Iterator[Memory]:
    for line in _read_text(ROOT / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in {"", "memory"}:
            names = V1 if controllers else V2
            mount = ROOT / names.mount
            own = mount / path.lstrip("/")
            yield from (_group(folder, names) for folder in (own, *own.parents) if folder.is_relative_to(mount))


def _group(folder: Path, names: _FileNames) -> Memory:
    """Return the limit of one group; cache that the kernel can drop counts as free."""
    limit = _parse_bytes(_read_text(folder / names.limit))
    used = _parse_bytes(_read_text(folder / names.usage)) if limit < sys.maxsize else 0
    cache = _read_table(folder / "memory.stat").get(names.cache, 0)
    return Memory(limit, max(0, limit - max(0, used - cache)))


def _parse_bytes(text: str) -> int:
    """Return a number of bytes; `sys.maxsize` if there is no limit ("max", or no such file)."""
    return int(text) if text.strip().isdigit() else sys.maxsize


def _read_table(file: Path) -> dict[str, int]:
    rows = [line.split() for line in _read_text(file).splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def _read_text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
