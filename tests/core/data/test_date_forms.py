"""Tests of core/data/date_forms.py."""

from datetime import UTC, datetime

import duckdb
import pytest

from core.data.date_forms import DATE_FORMS, ISO, DateForm, date_forms_of, parse_date
from core.data.readers.tables.rules import seconds

TEXTS = [
    ("2026-12-31", "iso", (2026, 12, 31)),
    ("2026-12-31 23:59", "iso", (2026, 12, 31, 23, 59)),
    ("2026-12-31T23:59:01Z", "iso", (2026, 12, 31, 23, 59, 1)),
    ("2026-12-31T23:59:01+02:00", "iso", (2026, 12, 31, 21, 59, 1)),
    ("2026/1/2", "iso", (2026, 1, 2)),
    ("31.12.2026", "%d.%m.%Y", (2026, 12, 31)),
    ("12/31/2026", "%m/%d/%Y", (2026, 12, 31)),
    ("31/12/2026 08:05", "%d/%m/%Y %H:%M", (2026, 12, 31, 8, 5)),
    ("1/2/2026 3:04 PM", "%m/%d/%Y %I:%M %p", (2026, 1, 2, 15, 4)),
    ("3 Jan 2026", "%d %b %Y", (2026, 1, 3)),
    ("January 3, 2026", "%B %d, %Y", (2026, 1, 3)),
    ("31.12.69", "%d.%m.%y", (1969, 12, 31)),
]


@pytest.mark.parametrize(("text", "form", "parts"), TEXTS, ids=[text for text, *_ in TEXTS])
def test_date_is_read_by_python_and_by_duckdb(text: str, form: str, parts: tuple[int, ...]) -> None:
    expected = datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]  # year, month, day, …
    assert date_forms_of(text)[0] == DateForm(form)
    assert parse_date(text, DateForm(form)) == expected
    query = f"SELECT {seconds('t', DateForm(form))} FROM (VALUES (?)) AS v(t)"
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    assert connection.execute(query, [text]).fetchall() == [(expected,)]


@pytest.mark.parametrize("text", ["", "1.5", "2026", "20261231", "31.02.2026", "a-b-c", "1-800-555-0100", "10:30"])
def test_other_texts_are_no_dates(text: str) -> None:
    assert date_forms_of(text) == ()


def test_iso_is_tried_first() -> None:
    assert DATE_FORMS[0] == ISO
