"""Unique identifiers: a prefix and 26 characters that sort by creation time. Any process can make one on its own."""

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
    """Return a new id such as `job_01kb…`: 48 bits of milliseconds, then 80 random bits, as a ULID.

    The ids of one process increase strictly, also within a millisecond and when the clock is set back.
    """
    return f"{prefix}_{_base32(_next())}"


def is_id(prefix: str, text: str) -> bool:
    """Return whether `text` has the form of an id from `new_id(prefix)`."""
    return re.fullmatch(rf"{re.escape(prefix)}_[0-7][{ALPHABET}]{{{LENGTH - 1}}}", text) is not None


def _next() -> int:
    global _last  # noqa: PLW0603 - the order is one of the whole process
    with _lock:
        fresh = time.time_ns() // 1_000_000 << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        # The increment is random, so that processes forked from one another do not make the same ids.
        _last = fresh if fresh > _last else _last + 1 + secrets.randbits(32)
        return _last


def _base32(number: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(LENGTH)))


def _reset_after_fork() -> None:
    global _lock, _last
    # The fork may have copied the lock while another thread held it.
    _lock, _last = threading.Lock(), 0


os.register_at_fork(after_in_child=_reset_after_fork)
