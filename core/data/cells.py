"""One cell of a table: whether it is missing, its number, and how messages quote it.

CSV files and records sent for a prediction are read by these functions, so that the same text means the same in both.
"""

import math
from collections.abc import Sequence
from typing import Any

FLOAT32_MAX = 3.4028234663852886e38

MISSING = frozenset(
    ["", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "Null", "None"],
)
"""The texts of a missing value, without the blanks around them."""

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


def is_missing(value: Any) -> bool:
    """Return whether a value of a record is missing: null, NaN (from an array), or a text of `MISSING`."""
    return value is None or (value.strip() in MISSING if isinstance(value, str) else value != value)  # noqa: PLR0124


def fits_float32(value: float) -> bool:
    """Return whether a number is within the range of float32, in which nets compute."""
    return -FLOAT32_MAX <= value <= FLOAT32_MAX


def category_texts(value: Any) -> list[str]:
    """Return the texts a JSON value may have as a category in a file: 3 and 3.0 as `3` or `3.0`, true as `true`, …."""
    if isinstance(value, str):
        return [value.strip()]
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
