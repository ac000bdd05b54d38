"""What a text of a table means, as expressions of SQL; the tables of texts and forms are those of `core.data.cells`."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.data.cells import MINUS, MISSING, MISSING_AMONG_NUMBERS, NUMBER_FORMS, POINT, NumberForm, parse_number
from core.data.date_forms import ISO, ISO_PATTERN, DateForm
from core.data.readers.tables.connection import literal

WHOLE = 2**53
"""Integers of at least this size are not exact as numbers, and stay texts."""
SPACES = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
"""The blanks that DuckDB trims by default."""
BLANKS = "chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || ' ' || chr(160)"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRules:
    """How the cells of a table are read."""

    missing: frozenset[str] = MISSING
    """Texts of missing values."""

    form: NumberForm = POINT
    """How numbers are written."""

    dates: DateForm | None = None
    """How dates are written, where a client says it."""

    def plain(self, v: str = "{v}") -> str:
        """Return the number in a text as programs write it; NULL for others, infinite where it is too large."""
        return self._unless_missing(v, self._cast(v))

    def written(self, v: str, form: NumberForm) -> str:
        """Return the number in a text as people or programs write it; NULL for others."""
        written = written_number(v, form)
        return self._unless_missing(v, f"coalesce({self._cast(v)}, {written})" if form == self.form else written)

    def _unless_missing(self, v: str, number: str) -> str:
        numbers = [text for text in self.missing if parse_number(text) is not None]
        return f"CASE WHEN NOT {is_in(v, numbers)} THEN {number} END" if numbers else number

    def _cast(self, v: str) -> str:
        # Where a query uses a column in this cast only, DuckDB reads the column as numbers, and a text is an error.
        if self.form.decimal == ".":
            return f"TRY_CAST({v} AS DOUBLE)"
        point = literal(self.form.decimal)
        return f"CASE WHEN contains({v}, '.') THEN NULL ELSE TRY_CAST(replace({v}, {point}, '.') AS DOUBLE) END"

    @property
    def forms(self) -> tuple[NumberForm, ...]:
        """The forms in which numbers are tried, the table's own first."""
        return tuple(dict.fromkeys((self.form, *NUMBER_FORMS)))

    def is_missing(self, v: str = "{v}") -> str:
        """Return whether a text, without blanks around it, is missing."""
        return is_in(v, self.missing)

    def is_missing_number(self, v: str = "{v}") -> str:
        """Return whether a text of a column of numbers is missing."""
        return is_in(v, self.missing | MISSING_AMONG_NUMBERS)


def stripped(v: str = "{v}") -> str:
    """Return a text without the blanks around it."""
    # Trimming more than blanks takes ten times as long, and few cells begin with another.
    return f"CASE WHEN {v} < ' ' THEN trim({v}, {BLANKS}) ELSE trim({v}) END"


def strip(text: str) -> str:
    """Return a text as `stripped` does."""
    return text.strip("\t\n\v\f\r \u00a0") if text < " " else text.strip(SPACES)


def is_in(v: str, texts: Iterable[str]) -> str:
    """Return whether an expression is one of these texts."""
    return f"{v} IN ({', '.join(map(literal, sorted(texts))) or 'NULL'})"


def written_number(v: str, form: NumberForm) -> str:
    """Return the number in a text as people write it, as `parse_written_number` does; NULL for others."""
    digits = f"regexp_replace({v}, {literal(form.decoration)}, '', 'g')"
    for character in MINUS:
        digits = f"replace({digits}, {literal(character)}, '-')"
    digits = f"replace({digits}, {literal(form.decimal)}, '.')"
    return f"CASE WHEN regexp_full_match({v}, {literal(form.pattern)}) THEN TRY_CAST({digits} AS DOUBLE) END"


def seconds(v: str, form: DateForm) -> str:
    """Return the seconds since 1970 UTC of a date or time, as `parse_date` does; NULL for others."""
    if form == ISO:
        cast = f"epoch(TRY_CAST({v} AS TIMESTAMPTZ))"
        return f"CASE WHEN regexp_full_match({v}, {literal(ISO_PATTERN)}) THEN {cast} END"
    return f"epoch(try_strptime({v}, {literal(form.format)}))"
