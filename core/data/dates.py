"""Dates and times as texts: ISO 8601, and the usual national forms."""

import re
from datetime import UTC, datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = r"(?:[T\s]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*([AaPp][Mm])?\s*(Z|[+-]\d{2}:?\d{2})?)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_TIME}")
_YEAR_LAST = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}){_TIME}")
MONTHS_IN_A_YEAR = 12


def parse_seconds(text: str, form: str | None = None, *, day_first: bool | None = None) -> float | None:
    """Return a date, with or without a time, as seconds since 1970 in UTC; None where the text is none.

    Without an offset a time is in UTC. `form` is a format of `datetime.strptime`. Without it the year comes first, as
    in `2024-03-31`, or last, as in `31.3.2024` and `3/31/2024`: then the day comes first, or before a slash the month,
    unless `day_first` says otherwise or the first number cannot be a month.
    """
    try:
        if form is not None:
            return _seconds(datetime.strptime(text.strip(), form))  # noqa: DTZ007 - `_seconds` adds UTC
        return _parse(text.strip(), day_first)
    except (ValueError, OverflowError):
        return None


def _parse(text: str, day_first: bool | None) -> float | None:
    if match := _YEAR_FIRST.fullmatch(text):
        year, _, month, day, *time = match.groups()
    elif match := _YEAR_LAST.fullmatch(text):
        first, separator, second, year, *time = match.groups()
        swapped = separator != "/" if day_first is None else day_first
        if day_first is None and int(first) > MONTHS_IN_A_YEAR:
            swapped = True
        day, month = (first, second) if swapped else (second, first)
    else:
        return None
    return _seconds(_with_time(datetime(int(year), int(month), int(day)), time))  # noqa: DTZ001 - the same


def _with_time(date: datetime, parts: list[str | None]) -> datetime:
    """Return a date with hour, minute, second, fraction, half of the day and offset, as far as they are there."""
    hour, minute, second, fraction, half, offset = parts
    if hour is None:
        return date
    hours = int(hour)
    if half is not None:
        if not 1 <= hours <= MONTHS_IN_A_YEAR:
            raise ValueError("no hour of half a day")
        hours = hours % 12 + 12 * (half.lower() == "pm")
    microseconds = int((fraction or "0").ljust(6, "0")[:6])
    return date.replace(
        hour=hours, minute=int(minute or 0), second=int(second or 0), microsecond=microseconds, tzinfo=_zone(offset)
    )


def _zone(offset: str | None) -> timezone:
    if offset in (None, "Z"):
        return UTC
    sign = -1 if offset[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:])))


def _seconds(moment: datetime) -> float:
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - EPOCH).total_seconds()
