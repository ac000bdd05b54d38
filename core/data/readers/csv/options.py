"""Options of reading CSV that a client may say with an upload: their texts, read and checked."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from core.data.cells import quote
from core.data.date_forms import MAX_FORMAT
from core.data.errors import InvalidFile
from core.data.readers.csv.layout import BLANKS
from core.data.readers.csv.sample import ENCODINGS
from core.spelling import closest

MAX_SKIPPED = 10_000
MAX_SPELLINGS = 100
HEADER_WORDS: Mapping[str, bool] = MappingProxyType({"yes": True, "true": True, "no": False, "false": False})
DELIMITER_WORDS: Mapping[str, str] = MappingProxyType(
    {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "blanks": BLANKS, " ": BLANKS}
)
CHARACTER_WORDS: Mapping[str, str] = MappingProxyType({"none": "", "blank": " "})


def parse_header(text: str) -> bool | tuple[str, ...]:
    """Return whether the first row names the columns, or the names. Raises `InvalidFile`."""
    if text.startswith("["):
        return _texts("header", text)
    if text not in HEADER_WORDS:
        raise InvalidFile('header must be yes or no, or a list of names such as ["age", "city"]')
    return HEADER_WORDS[text]


def parse_delimiter(text: str) -> str:
    """Return a delimiter. Raises `InvalidFile`."""
    found = DELIMITER_WORDS.get(text, text)
    if len(found) != 1 or found.isalnum() or found in "\"'\r\n\\" or not (found.isprintable() or found == "\t"):
        raise InvalidFile("a delimiter must be a comma, a semicolon, a tab, a bar, another sign, or the word blanks")
    return found


def parse_decimal(text: str) -> str:
    """Return a decimal sign. Raises `InvalidFile`."""
    if text not in (".", ","):
        raise InvalidFile("decimal must be a point or a comma")
    return text


def _character(name: str, allowed: str, *, none: bool) -> Callable[[str], str]:
    def parse(text: str) -> str:
        found = CHARACTER_WORDS.get(text, text)
        if (len(found) != 1 or found not in allowed) and not (none and not found):
            raise InvalidFile(f"{name} must be one of {' '.join(allowed.strip())}" + (", or none" if none else ""))
        return found

    return parse


def parse_skip_rows(text: str) -> int:
    """Return a number of lines. Raises `InvalidFile`."""
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= MAX_SKIPPED):
        raise InvalidFile(f"skip_rows must be the number of lines above the table, at most {MAX_SKIPPED}")
    return int(text)


def parse_encoding(text: str) -> str:
    """Return an encoding's name. Raises `InvalidFile`."""
    word = text.lower().replace("_", "-")
    found = {
        "utf8": "utf-8",
        "utf16": "utf-16",
        "cp1252": "windows-1252",
        "latin-1": "iso-8859-1",
        "latin1": "iso-8859-1",
    }
    word = found.get(word, "shift_jis" if word == "shift-jis" else word)
    if word not in ENCODINGS:
        meant = closest(word, ENCODINGS)
        remedy = f"did you mean {meant}?" if meant else f"use one of {', '.join(ENCODINGS)}"
        raise InvalidFile(f"there is no encoding {quote(text)}: {remedy}")
    return word


def parse_missing(text: str) -> tuple[str, ...]:
    """Return the texts of missing values, of a list as JSON or between commas. Raises `InvalidFile`."""
    return _texts("missing", text) if text.startswith("[") else tuple(each.strip() for each in text.split(","))


def parse_date_format(text: str) -> str:
    """Return a format of `strptime`. Raises `InvalidFile`."""
    if len(text) > MAX_FORMAT or not text.isprintable() or (text != "iso" and "%" not in text):
        raise InvalidFile("date_format must be as %d.%m.%Y %H:%M, or iso")
    return text


def _texts(name: str, text: str) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found) or not found:
        raise InvalidFile(f'{name} must be a list of texts as JSON, such as ["a", "b"]')
    return tuple(found)


PARSERS: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        "header": parse_header,
        "delimiter": parse_delimiter,
        "quote": _character("quote", "\"'", none=True),
        "decimal": parse_decimal,
        "thousands": _character("thousands", ",.' \u00a0\u202f", none=True),
        "skip_rows": parse_skip_rows,
        "comment": _character("comment", "#%;!/*", none=True),
        "encoding": parse_encoding,
        "missing": parse_missing,
        "date_format": parse_date_format,
    }
)
"""How the text of each option is read."""
