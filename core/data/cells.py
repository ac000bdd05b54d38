"""One cell of a table: whether it is missing, its number, and how messages quote it.

CSV files and records sent for a prediction are read by these functions, so that the same text means the same in both.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

FLOAT32_MAX = 3.4028234663852886e38

MISSING = frozenset(
    [
        *("", "?", "NA", "N/A", "n/a", "<NA>", "NaN", "nan", "NAN", "-nan", "-NaN", "null", "NULL", "Null", "None"),
        *("#N/A", "#N/A N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NAME?", "#NULL!"),
    ],
)
"""The texts of a missing value, without the blanks around them; the last are errors of spreadsheets."""

MISSING_AMONG_NUMBERS = frozenset([".", "..", "-", "--", "–", "—"])
"""Texts of a missing value in a column that otherwise has numbers only."""

TRUTH = frozenset({"true", "false"})
"""Words of which all spellings are one category."""

IPV4_PARTS = 4
IPV4_MAX = 255
CURRENCIES = "$€£¥₹"
MINUS = "−–"
"""Characters of Unicode that stand for the sign of a number."""
BLANKS_IN_NUMBERS = "\u00a0\u202f"
"""Blanks that never separate words: they group digits."""

QUOTED_CHARACTERS = 40
QUOTED_NAMES = 10


def parse_number(text: str) -> float | None:
    """Return the number in a text, which may be infinite, or None; `1_000`, `nan` and non-ASCII digits are refused."""
    if "_" in text or not text.isascii():
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value


@dataclass(frozen=True, slots=True)
class NumberForm:
    """How numbers are written: the decimal sign, and what groups digits by three."""

    decimal: str = "."
    thousands: str = ","

    @property
    def pattern(self) -> str:
        """A regular expression of a whole number, for Python and RE2: `-1,200.5`, `$15`, `15 %`, `−3e5`.

        The digits of a number are all that is left when `decoration` is removed.
        """
        blank = f"[ {BLANKS_IN_NUMBERS}]?"
        group = f"[{re.escape(self.thousands)}{BLANKS_IN_NUMBERS}]"
        point = re.escape(self.decimal)
        integer = rf"([0-9]+|[0-9]{{1,3}}({group}[0-9]{{3}})+)"
        digits = rf"({integer}({point}[0-9]*)?|{point}[0-9]+)([eE][+\-]?[0-9]+)?"
        sign = rf"[+\-{MINUS}]?"
        return rf"{sign}{blank}[{CURRENCIES}]?{blank}{sign}{digits}{blank}[%{CURRENCIES}]?"

    @property
    def decoration(self) -> str:
        """A regular expression of the characters that `float` does not read."""
        return rf"[{CURRENCIES}%{re.escape(self.thousands)}{BLANKS_IN_NUMBERS} ]"


POINT = NumberForm()
COMMA = NumberForm(",", ".")
NUMBER_FORMS = (POINT, COMMA)


@lru_cache(maxsize=64)
def _compiled(form: NumberForm) -> tuple["re.Pattern[str]", "re.Pattern[str]"]:
    return re.compile(form.pattern), re.compile(form.decoration)


def parse_written_number(text: str, form: NumberForm = POINT) -> float | None:
    """Return the number in a text as people write it, or None: also `1,200`, `$15`, `15 %` and a minus of Unicode."""
    pattern, decoration = _compiled(form)
    if not pattern.fullmatch(text) or is_address(text):
        return None
    digits = decoration.sub("", text).replace(form.decimal, ".")
    for sign in MINUS:
        digits = digits.replace(sign, "-")
    return parse_number(digits)


def is_address(text: str) -> bool:
    """Return whether a text is an address of IPv4, such as 192.168.100.200, which points group as they do numbers."""
    parts = text.split(".")
    return len(parts) == IPV4_PARTS and all(part.isdigit() and int(part) <= IPV4_MAX for part in parts)


def number_in(text: str, decimal: str = ".") -> float | None:
    """Return the number in a text by the decimal sign of its table, as programs or people write it, or None."""
    if decimal == ".":
        plain = parse_number(text)
        return parse_written_number(text) if plain is None else plain
    return parse_written_number(text, COMMA)


def is_missing(value: Any) -> bool:
    """Return whether a value of a record is missing: null, NaN (from an array), or a text of `MISSING`."""
    return value is None or (value.strip() in MISSING if isinstance(value, str) else value != value)  # noqa: PLR0124


def fits_float32(value: float) -> bool:
    """Return whether a number is within the range of float32, in which nets compute."""
    return -FLOAT32_MAX <= value <= FLOAT32_MAX


def spellings_of(text: str) -> list[str]:
    """Return the texts that mean a category: its name, and of true and false every usual spelling."""
    if text.lower() not in TRUTH:
        return [text]
    return list(dict.fromkeys((text, text.lower(), text.capitalize(), text.upper())))


def category_texts(value: Any) -> list[str]:
    """Return the texts a JSON value may have as a category in a file: 3 and 3.0 as `3` or `3.0`, true as `true`, …."""
    if isinstance(value, str):
        return spellings_of(value.strip())
    if isinstance(value, bool):
        return [str(value).lower(), str(value), str(value).upper(), str(int(value))]
    whole = isinstance(value, int) or value.is_integer()
    return [str(int(value)), f"{int(value)}.0"] if whole else [repr(value)]


def quote(text: str) -> str:
    """Return a text in quotes for a message, cut after `QUOTED_CHARACTERS`."""
    return f'"{text[:QUOTED_CHARACTERS]}…"' if len(text) > QUOTED_CHARACTERS else f'"{text}"'


def quote_names(names: Sequence[str]) -> str:
    """Return names in quotes for a message: the first `QUOTED_NAMES`, and how many more there are."""
    more = f" and {len(names) - QUOTED_NAMES} more" if len(names) > QUOTED_NAMES else ""
    return ", ".join(quote(name) for name in names[:QUOTED_NAMES]) + more
