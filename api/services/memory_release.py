"""Memory given back to the kernel after a burst of requests.

Freed memory between blocks that are in use stays with the process, and garbage in cycles is kept until something
allocates again, which an idle process does not.
"""

import asyncio
import gc

from core import allocator

INTERVAL_SECONDS = 10.0
GROWTH_BYTES = 16 * 2**20
"""How much larger than at the start the process may be without being asked to give memory back."""


async def release_memory(seconds: float = INTERVAL_SECONDS) -> None:
    """Give freed memory back every few seconds while the process is larger than at its start, until cancelled."""
    at_start = allocator.resident_bytes()
    while True:
        await asyncio.sleep(seconds)
        if allocator.resident_bytes() > at_start + GROWTH_BYTES:
            gc.collect()
            await asyncio.to_thread(allocator.release_freed_memory)
