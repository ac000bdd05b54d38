"""The machine that the figures come from, and its load."""

import os
import platform
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from threadpoolctl import threadpool_info


def described() -> list[tuple[str, str]]:
    """Return `(name, value)` of everything that the figures depend on."""
    return [
        ("Date", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
        ("CPU", f"{_line_of('/proc/cpuinfo', 'model name')}, {len(os.sched_getaffinity(0))} cores"),
        ("Memory", f"{int(_line_of('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.1f} GiB"),
        ("System", f"{platform.system()} {platform.release()}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("NumPy", f"{version('numpy')}, {_blas()}"),
        ("PyTorch", _version_of("torch")),
        ("scikit-learn", _version_of("scikit-learn")),
        ("Load average before the run", "{:.2f} {:.2f} {:.2f}".format(*os.getloadavg())),
    ]


def busy(seconds: float = 0.5) -> float:
    """Return the share of all cores (0 to 1) that others use while this process waits."""
    idle_before, all_before = _ticks()
    time.sleep(seconds)
    idle, total = _ticks()
    return 1 - (idle - idle_before) / max(1, total - all_before)


def _ticks() -> tuple[int, int]:
    ticks = [int(field) for field in Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:]]
    return ticks[3] + ticks[4], sum(ticks[:8])


def _line_of(file: str, name: str) -> str:
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "unknown")


def _blas() -> str:
    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return ", ".join(f"{one['internal_api']} {one['version']} ({one.get('architecture', '?')})" for one in found)


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
