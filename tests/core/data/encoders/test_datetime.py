"""Tests of core/data/encoders/datetime.py against Python's own calendar."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from core.data.encoders.datetime import DatetimeOptions, Part
from core.data.errors import InvalidFile
from core.data.schema import Column

DAY = Column(name="day", type="text", rows=9)
MOMENTS = [datetime(1999, 12, 31, 23, 59, 58, tzinfo=UTC) + timedelta(hours=1009 * n) for n in range(40)]


def encoded(options: DatetimeOptions, values: Any) -> Any:
    x = np.zeros((len(values), *options.shape_for(DAY)), np.float32)
    options.fit(DAY, values, scaled=True).transform(values, x)
    return x


def test_parts_are_those_of_the_calendar() -> None:
    texts = np.array([moment.isoformat() for moment in MOMENTS], object)
    parts: tuple[Part, ...] = ("year_day", "month", "month_day", "weekday", "hour")
    x = encoded(DatetimeOptions(parts=parts, cyclic=False), texts)
    for row, moment in zip(x, MOMENTS, strict=True):
        begin = datetime(moment.year, 1, 1, tzinfo=UTC)
        year = (moment - begin) / (datetime(moment.year + 1, 1, 1, tzinfo=UTC) - begin)
        seconds = moment.hour * 3600 + moment.minute * 60 + moment.second
        wanted = [year, (moment.month - 1) / 12, (moment.day - 1) / 31, moment.weekday() / 7, seconds / 86400]
        assert row.tolist() == pytest.approx(wanted, abs=1e-6)


def test_cyclic_parts_are_points_of_a_circle_and_ages_are_standardized() -> None:
    seconds = np.array([moment.timestamp() for moment in MOMENTS])
    x = encoded(DatetimeOptions(parts=("hour", "age")), seconds)
    flat = encoded(DatetimeOptions(parts=("hour",), cyclic=False), seconds)[:, 0]
    assert x[:, 0] == pytest.approx([math.sin(2 * math.pi * p) for p in flat], abs=1e-5)
    assert x[:, 1] == pytest.approx([math.cos(2 * math.pi * p) for p in flat], abs=1e-5)
    assert (x[:, 2].mean(), x[:, 2].std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1))


def test_texts_and_their_seconds_are_encoded_alike() -> None:
    texts = np.array([moment.strftime("%d %b %Y %H:%M:%S") for moment in MOMENTS], object)
    seconds = np.array([moment.timestamp() for moment in MOMENTS])
    options = DatetimeOptions(format="%d %b %Y %H:%M:%S")
    np.testing.assert_array_equal(encoded(options, texts), encoded(options, seconds))


def test_text_that_is_no_date_is_named() -> None:
    with pytest.raises(InvalidFile, match='column "day" is "soon": give a date such as 2024-03-31'):
        encoded(DatetimeOptions(), np.array(["2024-01-01", "soon"], object))


def test_times_outside_the_calendar_are_clipped() -> None:
    x = np.zeros((2, 7), np.float32)
    DatetimeOptions().fit(DAY, np.zeros(1), scaled=True).transform(np.array([-1e300, 1e300]), x)
    assert np.isfinite(x).all()
