"""Dates and times as texts: the usual forms, ISO 8601 and national."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import product

MAX_FORMAT = 64
_LIKE_DATE = re.compile(r"^[A-Za-z0-9].{0,6}[./ -].{0,10}[./ -].*[0-9]")
"""Texts that may be dates: three parts."""


@dataclass(frozen=True, slots=True)
class DateForm:
    """How dates are written: a format of `strptime`, or `iso` for all forms of ISO 8601."""

    format: str

    @property
    def has_day_first(self) -> bool | None:
        """Whether the day comes before a numbered month; None where the month is a word or the year is first."""
        day, month, year = (self.format.find(part) for part in ("%d", "%m", "%Y"))
        return None if month < 0 or year == 0 else day < month


_CLOCK = r"([ T]\d{1,2}:\d{2}(:\d{2}([.,]\d{1,9})?)?( ?(Z|UTC|[+\-]\d{2}(:?\d{2})?))?)?"
ISO_PATTERN = rf"[+\-]?\d{{4}}[\-/]\d{{1,2}}[\-/]\d{{1,2}}{_CLOCK}"
"""A regular expression of ISO dates, with or without time and zone, for Python and RE2."""
ISO = DateForm("iso")

_DAYS = (
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y.%m.%d",
    "%d %b %Y",
    "%d-%b-%Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %d %Y",
    "%d.%m.%y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d-%b-%y",
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", "T%H:%M:%S")
DATE_FORMS = (ISO, *(DateForm(day + time) for time, day in product(_TIMES, _DAYS)))
"""Forms in the order in which they are tried: numbers that could be day or month are read as month, then day before a
slash, and else as day, then month."""


def parse_date(text: str, form: DateForm) -> float | None:
    """Return seconds since 1970 UTC, or None where a text is no date of this form. Without a zone, it is UTC."""
    try:
        if form != ISO:
            return datetime.strptime(text, form.format).replace(tzinfo=UTC).timestamp()
        if not re.fullmatch(ISO_PATTERN, text):
            return None
        found = datetime.fromisoformat(_canonical(text))
    except (ValueError, OverflowError):
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _canonical(text: str) -> str:
    day, _, time = text.replace("/", "-").replace("T", " ").partition(" ")
    year, month, date = day.split("-")
    clock = time.replace("UTC", "Z").replace(" ", "").replace(",", ".")
    clock = clock if not clock or clock[1] != ":" else f"0{clock}"
    return f"{year}-{month:0>2}-{date:0>2}" + (f"T{clock}" if clock else "")


@lru_cache(maxsize=4096)
def date_forms_of(text: str) -> tuple[DateForm, ...]:
    """Return the forms that a text may have."""
    if not _LIKE_DATE.search(text):
        return ()
    return tuple(form for form in DATE_FORMS if parse_date(text, form) is not None)


def parse_any_date(text: str, *, day_first: bool | None = None) -> float | None:
    """Return seconds since 1970 UTC of a text in one of the usual forms, or None.

    `day_first` decides where day and month could be either; None takes the month before a slash, and else the day.
    """
    forms = date_forms_of(text)
    if day_first is not None:
        forms = tuple(form for form in forms if form == ISO or form.has_day_first in (day_first, None))
    return parse_date(text, forms[0]) if forms else None
