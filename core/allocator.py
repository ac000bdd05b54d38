"""Settings of the C library's allocator: keep freed memory in a process that trains, give it back in one that serves.

A training step allocates the same arrays again and again. By default glibc maps large blocks (above 128 KB to 32 MB)
separately and gives them back to the kernel when they are freed, so that each step pays the page faults of fresh
memory. With these options it keeps freed memory for the next step. Without them (another C library, such as musl's or
macOS's) steps are correct and up to 1.4 times slower.

A server allocates large blocks now and then, in many threads. By default the first freed block of some megabytes lets
glibc take such blocks from the heaps of the threads from then on, and keep twice as much at the end of each heap: up to
64 MB in each of 8 heaps a core, for good.
"""

import ctypes
import resource
import sys
from pathlib import Path
from typing import Any

M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
"""Parameters of `mallopt`, from glibc's malloc.h."""

KEPT_BYTES = 1 << 30
"""Blocks up to this size come from the heap, and as much freed memory stays at its end."""
KEPT_BYTES_BEFORE_2_35 = 1 << 25
"""Older releases of glibc refuse a larger threshold."""
GROWTH_BYTES = 1 << 26
"""By how much more than requested the heap grows at a time; pages take no memory before they are written."""

SERVER_BLOCK_BYTES = 1 << 20
"""Larger blocks of a server go back to the kernel when they are freed; what a socket reads at a time is smaller."""
SERVER_HEAPS = 4
"""Heaps of a server. Its threads take turns anyway, by the interpreter's lock."""


def keep_freed_memory() -> bool:
    """Tell the allocator to keep freed memory in this process; return whether it can."""
    library = _glibc()
    if library is None:
        return False
    threshold = library.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES) or library.mallopt(
        M_MMAP_THRESHOLD, KEPT_BYTES_BEFORE_2_35
    )
    return bool(
        threshold and library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES) and library.mallopt(M_TOP_PAD, GROWTH_BYTES)
    )


def return_freed_memory() -> bool:
    """Tell the allocator to keep little freed memory in this process, which serves; return whether it can.

    Call it before the process starts threads.
    """
    library = _glibc()
    if library is None:
        return False
    options = {M_MMAP_THRESHOLD: SERVER_BLOCK_BYTES, M_TRIM_THRESHOLD: SERVER_BLOCK_BYTES, M_ARENA_MAX: SERVER_HEAPS}
    return all(library.mallopt(option, value) for option, value in options.items())


def release_freed_memory() -> None:
    """Give freed memory back to the kernel, such as after a job."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def resident_bytes() -> int:
    """Return the memory of this process; where the system does not show it, 0."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def _glibc() -> Any:
    """Return the C library of this process if it is glibc, else None."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
