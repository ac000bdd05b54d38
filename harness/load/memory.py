"""The memory of a process and its children, in megabytes."""

from contextlib import suppress
from pathlib import Path


def tree_megabytes(pid: int) -> float:
    """Return the memory of a process and all its descendants; pages that several of them share count once."""
    return sum(map(_proportional_megabytes, _tree(pid)))


def resident_megabytes(pid: int) -> float:
    """Return the resident set of the process itself; 0 if it has ended."""
    return _field(f"/proc/{pid}/status", "VmRSS:")


def peak_megabytes(pid: int) -> float:
    """Return the largest resident set that the process itself has had since `forget_peak`; 0 if it has ended."""
    return _field(f"/proc/{pid}/status", "VmHWM:")


def forget_peak(pid: int) -> None:
    """Let `peak_megabytes` begin again."""
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text(encoding="ascii").split():
                found += _tree(int(child))
    return found


def _proportional_megabytes(pid: int) -> float:
    return _field(f"/proc/{pid}/smaps_rollup", "Pss:")


def _field(path: str, name: str) -> float:
    with suppress(OSError):
        for line in Path(path).read_text(encoding="ascii").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0
