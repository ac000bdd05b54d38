"""Memory freed in a process that trains is kept between steps, and released after a job."""

import mmap
import subprocess
import sys

import pytest

from core import allocator

PROGRAM = """
import resource
import numpy as np
from core.allocator import keep_freed_memory, release_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.empty(1 << 25, np.uint8).fill(1)
        np.empty(3 << 23, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
fresh = faults()
assert keep_freed_memory()
faults()
kept = faults()
before = resident()
release_freed_memory()
print(fresh, kept, before - resident())
"""


@pytest.mark.skipif(allocator._glibc() is None, reason="mallopt is glibc's")
def test_freed_memory_is_kept_until_it_is_released() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    fresh, kept, released = map(int, done.stdout.split())
    assert kept < 0.1 * fresh
    assert released > 1 << 24


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not allocator.keep_freed_memory()
    assert not allocator.return_freed_memory()
    allocator.release_freed_memory()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_resident_bytes_are_those_of_the_process() -> None:
    before = allocator.resident_bytes()
    with mmap.mmap(-1, 2**26) as block:  # not from the allocator, which may have freed memory left
        block.write(b"x" * 2**26)
        assert allocator.resident_bytes() > before + len(block) // 2
