"""The database's clock counts microseconds, and goes on within a transaction."""

import time

from core.store.clock import MICROSECONDS_PER_SECOND, microseconds, read_clock
from core.store.database import Database


def test_the_clock_shows_the_time(database: Database) -> None:
    before = time.time()
    with database.read() as s:
        shown = read_clock(s) / MICROSECONDS_PER_SECOND
    assert before - 1 < shown < time.time() + 1


def test_the_clock_goes_on_within_a_transaction(database: Database) -> None:
    with database.begin() as s:
        begun = read_clock(s)
        deadline = time.monotonic() + 5
        while read_clock(s) == begun:
            assert time.monotonic() < deadline


def test_seconds_become_whole_microseconds() -> None:
    assert microseconds(0.1) == 100_000
    assert microseconds(1.5) == 1_500_000
