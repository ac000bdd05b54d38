"""Downsampling keeps the first and the last value and every spike."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.streaming.downsample import Downsampler, downsample

VALUES = st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=400)


@given(VALUES, st.integers(4, 60))
def test_selection_is_sorted_and_includes_ends_and_extremes(values: list[float | None], points: int) -> None:
    kept = downsample(values, points).tolist()
    assert len(kept) <= max(points, 0) or len(values) <= points
    assert kept == sorted(set(kept))
    assert set(kept) <= set(range(len(values)))
    if values:
        assert kept[0] == 0
        assert kept[-1] == len(values) - 1
    numbers = [value for value in values if value is not None]
    if numbers:
        shown = [values[index] for index in kept if values[index] is not None]
        assert min(numbers) in shown
        assert max(numbers) in shown


@given(VALUES, st.integers(4, 60))
def test_short_series_is_kept_unchanged(values: list[float | None], points: int) -> None:
    short = values[:points]
    assert downsample(short, points).tolist() == list(range(len(short)))


@given(VALUES, st.integers(4, 60), st.lists(st.integers(0, 50), max_size=20))
def test_chunked_input_gives_the_same_selection(values: list[float | None], points: int, sizes: list[int]) -> None:
    downsampler, start = Downsampler(len(values), points), 0
    for size in [*sizes, len(values)]:
        chunk = values[start : start + size]
        downsampler.add([100 + start + index for index in range(len(chunk))], chunk)
        start += len(chunk)
    assert (downsampler.selected() - 100).tolist() == downsample(values, points).tolist()


@pytest.mark.parametrize("points", [4, 5, 99, 100])
def test_selection_covers_every_bucket(points: int) -> None:
    values = [math.sin(step / 7) for step in range(10_000)]
    kept = downsample(values, points)
    assert points - 3 <= len(kept) <= points
    assert np.diff(kept).max() <= 2 * len(values) / ((points - 2) // 2) + 1


def test_single_spike_among_a_million_rows_is_selected() -> None:
    values: list[float | None] = [0.5] * 1_000_000
    values[654_321] = 9.0
    assert 654_321 in downsample(values, 500)
