"""Conversion of stored values to JSON values."""

import math

import pytest

from api.schemas.values import finite_or_none, rfc3339, rfc3339_or_none


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (1_769_860_800_123_456, "2026-01-31T12:00:00.123456Z"),
    ],
)
def test_time_is_rfc_3339_in_utc(microseconds: int, text: str) -> None:
    assert rfc3339(microseconds) == rfc3339_or_none(microseconds) == text


def test_missing_time_is_none() -> None:
    assert rfc3339_or_none(None) is None


@pytest.mark.parametrize("value", [None, "nan", "-inf", math.nan, math.inf, -math.inf])
def test_nonfinite_value_is_none(value: float | str | None) -> None:
    assert finite_or_none(value) is None


@pytest.mark.parametrize("value", [0.0, -1.5, 3, 1e308])
def test_finite_value_is_unchanged(value: float) -> None:
    assert finite_or_none(value) == value
