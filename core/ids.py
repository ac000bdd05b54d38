"""Names of things: a prefix and 26 characters that sort by time of making. Whoever makes one asks nobody."""

import os
import re
import secrets
import threading
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32: no i, l, o, u to misread
LENGTH = 26
_RANDOM_BITS = 80
_lock = threading.Lock()
_last = 0


def new_id(prefix: str) -> str:
    """A new name such as `job_01kb…`: 48 bits of milliseconds, then 80 random ones.

    Those made by one process sort in the order of their making, within a millisecond and under a clock set back too.
    """
    return f"{prefix}_{_base32(_next())}"


def is_id(prefix: str, text: str) -> bool:
    """Whether `text` could have been made by `new_id(prefix)`."""
    return re.fullmatch(rf"{re.escape(prefix)}_[0-7][{ALPHABET}]{{{LENGTH - 1}}}", text) is not None


def _next() -> int:
    global _last  # noqa: PLW0603 - the order of a process is a fact of the process
    with _lock:
        fresh = time.time_ns() // 1_000_000 << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        # A stride at random, so that processes forked from one another do not walk in step.
        _last = fresh if fresh > _last else _last + 1 + secrets.randbits(32)
        return _last


def _base32(number: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(LENGTH)))


def _start_anew() -> None:
    global _lock, _last
    # The fork may have copied a lock that some thread held.
    _lock, _last = threading.Lock(), 0


os.register_at_fork(after_in_child=_start_anew)
