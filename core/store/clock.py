"""The database's own clock, as SQL: microseconds since the epoch, UTC. No process's clock decides anything."""

from typing import Any

from sqlalchemy import BigInteger, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

SECOND = 1_000_000
"""Microseconds in a second."""


class Now(GenericFunction[int]):
    """The moment at which the statement runs (not at which its transaction began)."""

    type = BigInteger()
    inherit_cache = True
    name = "chainrule_now"


def now() -> Now:
    """The database's clock, in microseconds."""
    return Now()


def read_clock(s: Session) -> int:
    """What the database's clock shows, in microseconds."""
    return s.execute(select(now())).scalar_one()


def microseconds(seconds: float) -> int:
    """Seconds as the store counts them."""
    return round(seconds * SECOND)


@compiles(Now, "sqlite")
def _sqlite(_element: Now, _compiler: SQLCompiler, **_options: Any) -> str:
    # A Julian day in a double is good to 40 µs and SQLite's clock to 1 ms: rounded to what it knows.
    return "(CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000)"


@compiles(Now, "postgresql")
def _postgresql(_element: Now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
