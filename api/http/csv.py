"""Answers as CSV (RFC 4180): a header and one line per row."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from api.http.responses import json_bytes

MEDIA_TYPE = "text/csv"


def csv_table(rows: Iterable[Iterable[Any]]) -> bytes:
    """Return a line for each row. None is an empty cell; a list or an object is a cell of JSON."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return json_bytes(value).decode() if isinstance(value, list | dict | bool) else value


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with the entries of its objects as columns, such as `probabilities.yes`; an empty list as None."""
    columns: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            columns |= {f"{name}.{key}": item for key, item in value.items()}
        else:
            columns[name] = None if value == [] else value
    return columns
