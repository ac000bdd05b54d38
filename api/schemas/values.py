"""Conversion of stored values to JSON values."""

import math
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(microseconds: int) -> str:
    """Return microseconds since 1970 as RFC 3339 in UTC, such as `2026-01-31T12:00:00.000000Z`."""
    return (EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rfc3339_or_none(microseconds: int | None) -> str | None:
    """Return the time as RFC 3339; None for None."""
    return None if microseconds is None else rfc3339(microseconds)


def finite_or_none(value: float | str | None) -> float | None:
    """Return a finite number as it is; None for a non-finite one, which the store may hold as a string."""
    return None if value is None or isinstance(value, str) or not math.isfinite(value) else value
