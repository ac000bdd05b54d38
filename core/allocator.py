"""Settings of the C library's allocator for large blocks in a process that trains.

A training step allocates the same arrays again and again. By default glibc maps large blocks (above 128 KB to 32 MB)
separately and gives them back to the kernel when they are freed, so that each step pays the page faults of fresh
memory. With these options it keeps freed memory for the next step. Without them (another C library, such as musl's or
macOS's) steps are correct and up to 1.4 times slower.
"""

import ctypes
import sys
from typing import Any

M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_THRESHOLD = -3
"""Parameters of `mallopt`, from glibc's malloc.h."""

KEPT_BYTES = 1 << 30
"""Blocks up to this size come from the heap, and as much freed memory stays at its end."""
KEPT_BYTES_BEFORE_2_35 = 1 << 25
"""Older releases of glibc refuse a larger threshold."""
GROWTH_BYTES = 1 << 26
"""By how much more than requested the heap grows at a time; pages take no memory before they are written."""


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


def release_freed_memory() -> None:
    """Give freed memory back to the kernel, such as after a job."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> Any:
    """Return the C library of this process if it is glibc, else None."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
