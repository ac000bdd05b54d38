"""A worker knows what memory it may take, and leaves what does not fit to others."""

from pathlib import Path

import pytest

from core.jobs.states import Status
from tests.worker.jobs import a_desk, a_spec, post, row, story
from worker import memory as told
from worker.claim_loop import work
from worker.memory import memory

GIB = 2**30
NO_LIMIT = "9223372036854771712\n"


def machine(root: Path, total: int, available: int) -> None:
    write(root / "proc/meminfo", f"MemTotal: {total // 1024} kB\nMemFree: 1 kB\nMemAvailable: {available // 1024} kB\n")


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system's files, as this process sees them."""
    monkeypatch.setattr(told, "ROOT", tmp_path / "root")
    machine(tmp_path / "root", 8 * GIB, 5 * GIB)
    return tmp_path / "root"


def test_this_machine_has_some() -> None:
    total, available = memory()
    assert 0 < available <= total < 2**50


def test_without_groups_it_is_the_machine(root: Path) -> None:
    assert memory() == (8 * GIB, 5 * GIB)


def test_a_group_of_version_2_bounds_it(root: Path) -> None:
    write(root / "proc/self/cgroup", "0::/system/worker\n")
    group = root / "sys/fs/cgroup/system/worker"
    write(group / "memory.max", f"{3 * GIB}\n")
    write(group / "memory.current", f"{2 * GIB}\n")
    write(group / "memory.stat", f"anon 5\ninactive_file {GIB // 2}\n")
    assert memory() == (3 * GIB, 3 * GIB // 2)
    write(group / "memory.max", "max\n")
    assert memory() == (8 * GIB, 5 * GIB)
    write(group.parent / "memory.max", f"{GIB}\n")
    write(group.parent / "memory.current", f"{2 * GIB}\n")
    assert memory() == (GIB, 0)


def test_a_group_of_version_1_bounds_it(root: Path) -> None:
    write(root / "proc/self/cgroup", "9:cpu:/\n4:memory:/docker/of-another-namespace\n0::/\n")
    group = root / "sys/fs/cgroup/memory"
    write(group / "memory.limit_in_bytes", f"{2 * GIB}\n")
    write(group / "memory.usage_in_bytes", f"{GIB}\n")
    write(group / "memory.stat", "inactive_file 1\ntotal_inactive_file 1024\n")
    assert memory() == (2 * GIB, GIB + 1024)
    write(group / "memory.limit_in_bytes", NO_LIMIT)
    assert memory() == (8 * GIB, 5 * GIB)


def test_a_system_that_tells_nothing_bounds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "ROOT", tmp_path)
    total, available = memory()
    assert total == available > 2**60


def test_a_job_waits_for_memory_and_then_goes_on(root: Path, tmp_path: Path) -> None:
    context = a_desk(tmp_path)
    job = post(context.database, a_spec())
    machine(root, 8 * GIB, 0)
    work(context)
    assert story(context.database, job) == ["queued"]
    machine(root, 8 * GIB, GIB)
    work(context)
    assert row(context.database, job).status is Status.SUCCEEDED
