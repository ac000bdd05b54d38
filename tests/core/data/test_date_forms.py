"""Tests of core/data/date_forms.py."""

from datetime import UTC, datetime

import duckdb
import pytest

from core.data.date_forms import DATE_FORMS, ISO, DateForm, date_forms_of, parse_any_date, parse_date
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


MARCH = datetime(2024, 3, 4, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-03-04", 0),
        ("2024.03.04", 0),
        ("4.3.2024", 0),
        ("04-03-2024", 0),
        ("3/4/2024", 0),
        ("4 Mar 2024", 0),
        ("2024-03-04T05:06:07.25Z", 18_367.25),
        ("2024-03-04T05:06:00+02:00", 11_160),
        ("3/4/2024 12:30 AM", 1_800),
        ("3/4/2024 11:00 PM", 82_800),
    ],
)
def test_any_usual_form_is_read(text: str, seconds: float) -> None:
    assert parse_any_date(text) == MARCH + seconds


def test_day_and_month_are_told_apart() -> None:
    april = datetime(2024, 4, 3, tzinfo=UTC).timestamp()
    assert parse_any_date("13/4/2024") == datetime(2024, 4, 13, tzinfo=UTC).timestamp()
    assert parse_any_date("3/4/2024", day_first=True) == parse_any_date("3.4.2024") == april
    assert parse_any_date("3.4.2024", day_first=False) is None
    assert parse_any_date("2024-04-03", day_first=True) == parse_any_date("3 Apr 2024", day_first=False) == april


@pytest.mark.parametrize("text", ["", "2024", "2024-13-01", "2024-02-30", "soon", "2024-03-04T25:00"])
def test_text_without_a_form_is_no_date(text: str) -> None:
    assert parse_any_date(text) is None
