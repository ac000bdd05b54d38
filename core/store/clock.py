"""The database's own clock, as SQL: microseconds since the epoch, UTC. No process's clock decides anything."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

SECOND = 1_000_000
"""Microseconds in a second."""
SET_BACK = 300 * SECOND
"""A stamp of a moment further ahead than this was made before the clock was set back; nothing is put off so long."""


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


def ahead(stamp: Any) -> ColumnElement[bool]:
    """Whether the stamp is of a moment so far ahead that the clock must have been set back since."""
    return stamp > now() + SET_BACK


def past(stamp: Any, moment: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether the stamp is no later than the moment, as far as the clock can tell."""
    return or_(stamp <= moment, ahead(stamp))


@compiles(Now, "sqlite")
def _sqlite(_element: Now, _compiler: SQLCompiler, **_options: Any) -> str:
    # A Julian day in a double is good to 40 µs and SQLite's clock to 1 ms: rounded to what it knows.
    return "(CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000)"


@compiles(Now, "postgresql")
def _postgresql(_element: Now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
