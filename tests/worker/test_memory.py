"""The memory that a worker may use, and jobs that do not fit into it."""

from pathlib import Path

import pytest

from core.jobs.states import Status
from tests.worker.jobs import a_context, a_spec, post, row, statuses
from worker import memory as module
from worker.claim_loop import run_queued_jobs
from worker.memory import memory

GIB = 2**30
NO_LIMIT = "9223372036854771712\n"


def write_meminfo(root: Path, total: int, available: int) -> None:
    write_file(
        root / "proc/meminfo", f"MemTotal: {total // 1024} kB\nMemFree: 1 kB\nMemAvailable: {available // 1024} kB\n"
    )


def write_file(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the system's files."""
    monkeypatch.setattr(module, "ROOT", tmp_path / "root")
    write_meminfo(tmp_path / "root", 8 * GIB, 5 * GIB)
    return tmp_path / "root"


def test_memory_of_this_machine_is_plausible() -> None:
    total, available = memory()
    assert 0 < available <= total < 2**50


def test_memory_without_control_groups_is_that_of_the_machine(root: Path) -> None:
    assert memory() == (8 * GIB, 5 * GIB)


def test_cgroup_v2_limits_memory(root: Path) -> None:
    write_file(root / "proc/self/cgroup", "0::/system/worker\n")
    group = root / "sys/fs/cgroup/system/worker"
    write_file(group / "memory.max", f"{3 * GIB}\n")
    write_file(group / "memory.current", f"{2 * GIB}\n")
    write_file(group / "memory.stat", f"anon 5\ninactive_file {GIB // 2}\n")
    assert memory() == (3 * GIB, 3 * GIB // 2)
    write_file(group / "memory.max", "max\n")
    assert memory() == (8 * GIB, 5 * GIB)
    write_file(group.parent / "memory.max", f"{GIB}\n")
    write_file(group.parent / "memory.current", f"{2 * GIB}\n")
    assert memory() == (GIB, 0)


def test_cgroup_v1_limits_memory(root: Path) -> None:
    write_file(root / "proc/self/cgroup", "9:cpu:/\n4:memory:/docker/of-another-namespace\n0::/\n")
    group = root / "sys/fs/cgroup/memory"
    write_file(group / "memory.limit_in_bytes", f"{2 * GIB}\n")
    write_file(group / "memory.usage_in_bytes", f"{GIB}\n")
    write_file(group / "memory.stat", "inactive_file 1\ntotal_inactive_file 1024\n")
    assert memory() == (2 * GIB, GIB + 1024)
    write_file(group / "memory.limit_in_bytes", NO_LIMIT)
    assert memory() == (8 * GIB, 5 * GIB)


def test_memory_is_unlimited_without_system_information(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROOT", tmp_path)
    total, available = memory()
    assert total == available > 2**60


def test_job_waits_until_it_fits_into_memory(root: Path, tmp_path: Path) -> None:
    context = a_context(tmp_path)
    job = post(context.database, a_spec())
    write_meminfo(root, 8 * GIB, 0)
    run_queued_jobs(context)
    assert statuses(context.database, job) == ["queued"]
    write_meminfo(root, 8 * GIB, GIB)
    run_queued_jobs(context)
    assert row(context.database, job).status is Status.SUCCEEDED
