"""The database's clock as SQL: microseconds since the epoch, UTC. No decision depends on a process's clock."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

MICROSECONDS_PER_SECOND = 1_000_000
MAX_AHEAD_MICROSECONDS = 300 * MICROSECONDS_PER_SECOND
"""A timestamp further in the future was written before the clock was set back; nothing is scheduled so far ahead."""


class Now(GenericFunction[int]):
    """The time at which the statement runs, not at which its transaction began."""

    type = BigInteger()
    inherit_cache = True
    name = "chainrule_now"


def now() -> Now:
    """Return the SQL expression of the database's time, in microseconds."""
    return Now()


def read_clock(s: Session) -> int:
    """Return the database's time, in microseconds."""
    return s.execute(select(now())).scalar_one()


def microseconds(seconds: float) -> int:
    """Convert seconds to the store's unit."""
    return round(seconds * MICROSECONDS_PER_SECOND)


def is_far_ahead(timestamp: Any) -> ColumnElement[bool]:
    """Return the SQL condition that a timestamp was written before the clock was set back."""
    return timestamp > now() + MAX_AHEAD_MICROSECONDS


def is_past(timestamp: Any, moment: ColumnElement[int]) -> ColumnElement[bool]:
    """Return the SQL condition that a timestamp is not later than `moment`, or was written before a set-back."""
    return or_(timestamp <= moment, is_far_ahead(timestamp))


@compiles(Now, "sqlite")
def _sqlite(_element: Now, _compiler: SQLCompiler, **_options: Any) -> str:
    # A Julian day as a double is exact to 40 µs and SQLite's clock to 1 ms, so this rounds to milliseconds.
    return "(CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000)"


@compiles(Now, "postgresql")
def _postgresql(_element: Now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
