"""The database's clock."""

import time

from core.store.clock import MICROSECONDS_PER_SECOND, microseconds, read_clock
from core.store.database import Database


def test_clock_agrees_with_the_system_time(database: Database) -> None:
    before = time.time()
    with database.read() as s:
        clock = read_clock(s) / MICROSECONDS_PER_SECOND
    assert before - 1 < clock < time.time() + 1


def test_clock_advances_within_a_transaction(database: Database) -> None:
    with database.begin() as s:
        began = read_clock(s)
        deadline = time.monotonic() + 5
        while read_clock(s) == began:
            assert time.monotonic() < deadline


def test_microseconds_are_whole_numbers() -> None:
    assert microseconds(0.1) == 100_000
    assert microseconds(1.5) == 1_500_000
