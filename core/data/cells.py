"""One cell of a table as text: is it missing, is it a number.

A CSV file and a record sent for a prediction are read by the same two rules, so that both mean the same.
"""

import math
from typing import Any

FLOAT32_MAX = 3.4028234663852886e38

MISSING = frozenset(
    ["", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "Null", "None"],
)
"""The texts that say that a value is not there, after blanks around them are taken away."""


def number(text: str) -> float | None:
    """The number that a text writes (it may be infinite), or None; `1_000` and other scripts' digits are none."""
    if "_" in text or not text.isascii():
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value


def absent(value: Any) -> bool:
    """Whether a value of a record says that it is missing: null, NaN (from an array), or a text that says so."""
    return value is None or (value.strip() in MISSING if isinstance(value, str) else value != value)  # noqa: PLR0124


def fits(value: float) -> bool:
    """Whether a net, which computes in float32, can hold the value."""
    return -FLOAT32_MAX <= value <= FLOAT32_MAX


def spellings(value: Any) -> list[str]:
    """How a JSON value may stand as a category in a file: 3 and 3.0 as `3` or `3.0`, true as `true` or `True`."""
    if isinstance(value, str):
        return [value.strip()]
    if isinstance(value, bool):
        return [str(value).lower(), str(value), str(value).upper(), str(int(value))]
    whole = isinstance(value, int) or value.is_integer()
    return [str(int(value)), f"{int(value)}.0"] if whole else [repr(value)]


def shown(text: str) -> str:
    """A text as it may stand in a message: quoted, and cut where it is long."""
    return f'"{text[:40]}…"' if len(text) > 40 else f'"{text}"'
