"""Tests of core/data/dates.py."""

from datetime import UTC, datetime

import pytest

from core.data.dates import parse_seconds

MARCH = datetime(2024, 3, 4, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-03-04", 0),
        (" 2024/3/4 ", 0),
        ("2024.03.04", 0),
        ("4.3.2024", 0),
        ("04-03-2024", 0),
        ("3/4/2024", 0),
        ("2024-03-04T05:06:07", 18_367),
        ("2024-03-04 05:06", 18_360),
        ("2024-03-04T05:06:07.25Z", 18_367.25),
        ("2024-03-04T05:06:07,250000", 18_367.25),
        ("2024-03-04T05:06:00+02:00", 11_160),
        ("2024-03-04 05:06:00-0130", 23_760),
        ("3/4/2024 12:30 AM", 1_800),
        ("3/4/2024 12:30pm", 45_000),
        ("3/4/2024 11:00 PM", 82_800),
    ],
)
def test_usual_forms_are_read(text: str, seconds: float) -> None:
    assert parse_seconds(text) == MARCH + seconds


def test_day_and_month_are_told_apart() -> None:
    assert parse_seconds("13/4/2024") == datetime(2024, 4, 13, tzinfo=UTC).timestamp()
    assert parse_seconds("3/4/2024", day_first=True) == datetime(2024, 4, 3, tzinfo=UTC).timestamp()
    assert parse_seconds("3.4.2024", day_first=False) == MARCH
    assert parse_seconds("13.4.2024", day_first=False) is None


def test_form_is_read_alone() -> None:
    assert parse_seconds("04 Mar 24", "%d %b %y") == MARCH
    assert parse_seconds("2024-03-04", "%d %b %y") is None
    assert parse_seconds("2024", "%q") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024",
        "2024-13-01",
        "2024-02-30",
        "1.2-2024",
        "2024-03-04T25:00",
        "3/4/2024 13:00 pm",
        "3/4/24",
        "٣/4/2024x",
    ],
)
def test_other_texts_are_no_dates(text: str) -> None:
    assert parse_seconds(text) is None
