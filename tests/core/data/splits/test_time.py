"""Tests of core/data/splits/time.py."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.errors import InvalidData
from core.data.splits.split import LoadedRows
from core.data.splits.time import TimeSplit

SPLIT = TimeSplit(column="day", validation=0.3, test=0.2)


def days(values: Any) -> list[list[Any]]:
    """Return the times in each part."""
    array = np.array(values)
    return [array[part].tolist() for part in SPLIT.split(LoadedRows(len(array), None, array), 0) if part is not None]


def test_latest_rows_are_held_out_in_any_order_of_the_file() -> None:
    assert days([9, 1, 8, 2, 7, 3, 6, 4, 5, 0]) == [[1, 2, 3, 4, 0], [7, 6, 5], [9, 8]]


def test_texts_are_compared_as_texts() -> None:
    found = days(["2026-01-05", "2025-12-31", "2026-01-01", "2026-02-01", "2024-01-01"])
    assert found == [["2025-12-31", "2024-01-01"], ["2026-01-05", "2026-01-01"], ["2026-02-01"]]


@given(st.lists(st.integers(0, 12), min_size=2, max_size=60))
def test_times_of_a_part_are_later_than_those_before(times: list[int]) -> None:
    try:
        train, validation, test = days(times)
    except InvalidData:  # too many equal times
        return
    assert max(train) < min(validation)
    assert max(validation) < min(test)


def test_equal_times_cannot_be_split() -> None:
    with pytest.raises(InvalidData, match="a column with more different times"):
        days([1] * 10)
